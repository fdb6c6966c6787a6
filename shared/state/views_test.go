package state_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/state"
	"github.com/relevo-ci/relevo/shared/view"
	"github.com/relevo-ci/relevo/shared/view/viewtest"
)

// listed is a store whose rows are kept.
func listed(v view.Store) (*state.Views, *state.Runs, *state.Front) {
	views := &state.Views{Store: memory.New(time.Now, "test"), View: v}
	c := &state.Committer{Store: views.Keep()}
	return views, &state.Runs{Committer: c, Policy: pipeline.DefaultPolicy()}, &state.Front{Committer: c}
}

func asked(t *testing.T, id events.RunID) events.RunRequested {
	t.Helper()
	spec, err := json.Marshal(pipeline.Spec{Jobs: []pipeline.JobSpec{{ID: "a", Key: "a"}, {ID: "b", Key: "b"}}})
	if err != nil {
		t.Fatal(err)
	}
	return events.RunRequested{RunRef: events.RunRef{Run: id}, Pipeline: "p", Spec: spec}
}

func count(t *testing.T, v view.Store, kind view.Kind, i view.Index) int {
	t.Helper()
	n, err := v.Count(t.Context(), kind, i)
	if err != nil {
		t.Fatal(err)
	}
	return n[0]
}

// broken is a read model that cannot be written.
type broken struct{ view.Store }

func (broken) Put(context.Context, ...view.Row) error { return errors.New("away") }

// TestRowsOfWhatStands: a run and its jobs, and each state of a delivery, are rows
// as soon as they are told to stand; once more changes nothing.
func TestRowsOfWhatStands(t *testing.T) {
	v := view.NewMemory()
	_, runs, front := listed(v)
	for range 2 {
		if _, err := runs.Create(t.Context(), "api", asked(t, "01J00000000000000000000001")); err != nil {
			t.Fatal(err)
		}
	}
	if n, jobs := count(t, v, view.Runs, view.All), count(t, v, view.Jobs, view.Index{Field: "state", Value: view.Waiting}); n != 1 || jobs != 2 {
		t.Errorf("%d runs, %d jobs", n, jobs)
	}
	got, err := front.Receive(t.Context(), "api", trigger.Arrival{Source: "cloudevent", Sender: "1", Event: "x"}, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if n := count(t, v, view.Deliveries, view.Index{Field: "state", Value: "received"}); n != 1 {
		t.Errorf("%d deliveries are received", n)
	}
	if _, err := front.Finish(t.Context(), got.Emitted[0], got.Delivery.ID, 1, trigger.Ending{Reason: "nothing to do"}); err != nil {
		t.Fatal(err)
	}
	if n := count(t, v, view.Deliveries, view.Index{Field: "state", Value: "done"}); n != 1 {
		t.Errorf("%d deliveries are done", n)
	}
	viewtest.Consistent(t, v)
}

// TestARowThatFailsTakesNothingBack: what was committed stands, and its event
// brings the row.
func TestARowThatFailsTakesNothingBack(t *testing.T) {
	v := view.NewMemory()
	views, runs, _ := listed(broken{v})
	res, err := runs.Create(t.Context(), "api", asked(t, "01J00000000000000000000002"))
	if err != nil || len(res.Emitted) == 0 {
		t.Fatal(res, err)
	}
	if err := views.Project(t.Context(), res.Emitted[0]); err == nil {
		t.Error("an event whose rows fail does not come again")
	}
	views.View = v
	for range 2 {
		if err := views.Project(t.Context(), res.Emitted[0]); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, v, view.Runs, view.All); n != 1 {
		t.Errorf("%d runs", n)
	}
	for _, e := range []events.Envelope{
		{Type: events.TypeRunStarted, RunID: "01J00000000000000000000009"},
		{Type: events.TypeDeliveryReceived, Subject: "delivery/x"},
		{Type: events.TypeLogAppended, RunID: "01J00000000000000000000002"},
		{Type: "dev.example.thing.v1"},
	} {
		if err := views.Project(t.Context(), e); err != nil {
			t.Errorf("%s of what is not there: %v", e.Type, err)
		}
	}
}

// TestRebuildGoesOnFromWhereItWas: every step tells where; a place that it never
// told is refused.
func TestRebuildGoesOnFromWhereItWas(t *testing.T) {
	v := view.NewMemory()
	views, runs, _ := listed(v)
	for _, id := range []events.RunID{"01J00000000000000000000001", "01J00000000000000000000002", "01J00000000000000000000003"} {
		if _, err := runs.Create(t.Context(), "api", asked(t, id)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := views.Store.Commit(t.Context(), protocol.Commit{
		Partition: protocol.PartitionOf("01J00000000000000000000001"), Puts: []protocol.Doc{{ID: "run/01J00000000000000000000001", Version: 2, Body: []byte(`nonsense`)}},
	}); err != nil {
		t.Fatal(err)
	}
	want := viewtest.Dump(t, v)
	views.View = view.NewMemory()
	rows, skipped, done := 0, 0, 0
	for at := ""; ; {
		step, err := views.Rebuild(t.Context(), at)
		if err != nil || step.Done < done || step.Of != 64+len(view.Kinds) {
			t.Fatal(step, err)
		}
		rows, skipped, done = rows+step.Rows, skipped+step.Skipped, step.Done
		if at = step.Next; at == "" {
			break
		}
	}
	if rows != 6 || skipped != 1 || done != 64+len(view.Kinds) {
		t.Errorf("%d rows, %d skipped, %d parts", rows, skipped, done)
	}
	if got := viewtest.Dump(t, views.View); len(got) >= len(want) || count(t, views.View, view.Runs, view.All) != 2 {
		t.Errorf("rebuilt %s", got)
	}
	if _, err := views.Rebuild(t.Context(), "p99"); !errors.Is(err, state.ErrNoPart) {
		t.Errorf("a part that is none: %v", err)
	}
}
