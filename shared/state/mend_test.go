package state_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/state"
	"github.com/relevo-ci/relevo/shared/view"
	"github.com/relevo-ci/relevo/shared/view/viewtest"
)

// TestMendNeedsNoEvent: rows of a live run come to say what its document says though
// every event of it was lost; a run that did not change is not projected again, and
// one that cannot be read holds up no other.
func TestMendNeedsNoEvent(t *testing.T) {
	v := view.NewMemory()
	views, runs, _ := listed(v)
	ids := []events.RunID{"01J00000000000000000000001", "01J00000000000000000000002", "01J00000000000000000000003"}
	for _, id := range ids {
		if _, err := runs.Create(t.Context(), "api", asked(t, id)); err != nil {
			t.Fatal(err)
		}
	}
	cause := events.Envelope{ID: "c", Source: "/relevo/api", Type: events.TypeCancelRequested, Time: time.Now()}
	if _, err := runs.Change(t.Context(), "cancel-requested", cause, ids[0], func(r *pipeline.Run, em *events.Emitter, _ uint32) error {
		r.Cancel(em, cause, events.CancelRequested{RunRef: events.RunRef{Run: ids[0]}, Reason: "enough"})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := views.Store.Commit(t.Context(), protocol.Commit{
		Partition: protocol.PartitionOf(ids[1]), Puts: []protocol.Doc{{ID: protocol.DocID("run/" + ids[1]), Version: 2, Body: []byte("nonsense")}},
	}); err != nil {
		t.Fatal(err)
	}
	before := viewtest.Dump(t, v)
	m, err := views.Mend(t.Context(), "", nil)
	if err != nil || m.Next != "" || len(m.Seen) != 3 || m.Rows != 6 {
		t.Fatalf("%+v, %v", m, err)
	}
	if n := count(t, v, view.Runs, view.Index{Field: "state", Value: "CANCELLED"}); n != 1 || before == viewtest.Dump(t, v) {
		t.Errorf("%d runs are cancelled by their rows", n)
	}
	if n := count(t, v, view.Jobs, view.Index{Field: "state", Value: "CANCELLED"}); n != 2 {
		t.Errorf("%d jobs are cancelled by their rows", n)
	}
	viewtest.Consistent(t, v)
	again, err := views.Mend(t.Context(), "", m.Seen)
	if err != nil || len(again.Seen) != 2 || again.Rows != 0 {
		t.Errorf("once more: %+v, %v", again, err)
	}
}

// TestMendGoesOnFromWhereItWas: however many runs are live, each is looked at.
func TestMendGoesOnFromWhereItWas(t *testing.T) {
	v := view.NewMemory()
	views, runs, _ := listed(v)
	const all = 2500
	for i := range all {
		if _, err := runs.Create(t.Context(), "api", asked(t, events.RunID(fmt.Sprintf("01J%023d", i)))); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[events.RunID]uint64{}
	calls := 0
	for after := view.Cursor(""); ; calls++ {
		m, err := views.Mend(t.Context(), after, nil)
		if err != nil || len(m.Seen) == 0 {
			t.Fatal(m, err)
		}
		for id, version := range m.Seen {
			seen[id] += version
		}
		if after = m.Next; after == "" {
			break
		}
	}
	if len(seen) != all || calls != 2 {
		t.Errorf("%d runs were looked at, in %d calls and one", len(seen), calls)
	}
	for id, version := range seen {
		if version != 1 {
			t.Fatalf("%s was looked at more than once", id)
		}
	}
}

// TestFillPutsWhatIsMissing: what is gone has no row, what has one is left alone.
func TestFillPutsWhatIsMissing(t *testing.T) {
	v := view.NewMemory()
	views, runs, _ := listed(v)
	if _, err := runs.Create(t.Context(), "api", asked(t, "01J00000000000000000000001")); err != nil {
		t.Fatal(err)
	}
	if err := (&state.Views{View: broken{v}, Store: views.Store}).Fill(t.Context(), "01J00000000000000000000001"); err != nil {
		t.Errorf("a row that is there is put: %v", err)
	}
	views.View = view.NewMemory()
	if err := views.Fill(t.Context(), "01J00000000000000000000009", "01J00000000000000000000001"); err != nil {
		t.Error(err)
	}
	if n := count(t, views.View, view.Runs, view.All); n != 1 {
		t.Errorf("%d runs", n)
	}
	if n := count(t, views.View, view.Jobs, view.All); n != 2 {
		t.Errorf("%d jobs", n)
	}
	views.View = view.NewMemory()
	if err := views.Again(t.Context(), protocol.PartitionOf("01J00000000000000000000001")); err != nil {
		t.Error(err)
	}
	if n := count(t, views.View, view.Jobs, view.All); n != 2 {
		t.Errorf("%d jobs, all of the partition again", n)
	}
}
