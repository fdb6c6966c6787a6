package runcompletedtelemetry_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	runcompletedtelemetry "github.com/relevo-ci/relevo/functions/run-completed-telemetry"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/telemetry"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/state"
)

// ended makes a run that a delivery led to, and that was cancelled.
func ended(t *testing.T, known bool) (*state.Runs, *state.Front, events.Envelope) {
	t.Helper()
	c := &state.Committer{Store: memory.New(time.Now, "test")}
	runs, front := &state.Runs{Committer: c, Policy: pipeline.DefaultPolicy()}, &state.Front{Committer: c}
	id := events.DeliveryID("unknown")
	if known {
		got, err := front.Receive(t.Context(), "test", trigger.Arrival{Source: "github", Sender: "1", Event: "push"}, []byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		id = got.Delivery.ID
	}
	spec, err := json.Marshal(pipeline.Spec{Jobs: []pipeline.JobSpec{{ID: "a", Key: "a", Name: expression.Text("a")}}})
	if err != nil {
		t.Fatal(err)
	}
	run := events.RunRef{Run: "01JABCDEFGHJKMNPQRSTVWXYZ0"}
	if _, err := runs.Create(t.Context(), "test", events.RunRequested{RunRef: run, Pipeline: "ci", Trigger: events.Trigger{Delivery: id}, Spec: spec}); err != nil {
		t.Fatal(err)
	}
	return runs, front, events.Envelope{ID: "e", Type: events.TypeRunCancelled, RunID: string(run.Run), Time: time.Now()}
}

func cancel(t *testing.T, runs *state.Runs, e events.Envelope) {
	t.Helper()
	_, err := runs.Change(t.Context(), "test", events.Envelope{ID: "cancel"}, events.RunID(e.RunID), func(r *pipeline.Run, em *events.Emitter, _ uint32) error {
		r.Cancel(em, events.Envelope{ID: "cancel", Source: "/test", Type: events.TypeCancelRequested}, events.CancelRequested{RunRef: events.RunRef{Run: r.ID}, Reason: "x"})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestTheSameSpansTwice: an event that comes again sends what it sent, and tells
// the same of it.
func TestTheSameSpansTwice(t *testing.T) {
	for _, known := range []bool{true, false} {
		runs, front, e := ended(t, known)
		var sent [][]telemetry.Span
		f := runcompletedtelemetry.New(runs, front, "", func(_ context.Context, spans []telemetry.Span) error {
			sent = append(sent, spans)
			return nil
		})
		if _, err := f.Handle(t.Context(), e); fn.KindOf(err) != fn.Early || len(sent) != 0 {
			t.Errorf("before the end: %v", err)
		}
		cancel(t, runs, e)
		first, err := f.Handle(t.Context(), e)
		if err != nil || len(first) != 2 || first[0].Type != events.TypeTraceRecorded || first[1].Type != events.TypeMetricEmitted {
			t.Fatalf("%+v, %v", first, err)
		}
		again, err := f.Handle(t.Context(), e)
		if err != nil || !reflect.DeepEqual(first, again) || len(sent) != 2 || !reflect.DeepEqual(sent[0], sent[1]) {
			t.Errorf("again: %+v, %v", again, err)
		}
		root := "RUN ci"
		if known {
			root = "webhook push"
		}
		if sent[0][0].Name != root || sent[0][0].Parent != "" {
			t.Errorf("the root is %+v, want %s", sent[0][0], root)
		}
		recorded, err := events.Decode[events.TraceRecorded](first[0])
		if err != nil || recorded.Data.TraceID != string(events.TraceOf(e.RunID)) || recorded.Data.Spans != len(sent[0]) {
			t.Errorf("%+v, %v", recorded, err)
		}
	}
}

// TestACollectorThatIsAway is asked again; a run that is gone is not told of.
func TestACollectorThatIsAway(t *testing.T) {
	runs, front, e := ended(t, true)
	cancel(t, runs, e)
	away := true
	f := runcompletedtelemetry.New(runs, front, "", func(context.Context, []telemetry.Span) error {
		if away {
			return errors.New("connection refused")
		}
		return nil
	})
	if out, err := f.Handle(t.Context(), e); err == nil || !fn.KindOf(err).Retry() || len(out) != 0 {
		t.Errorf("%v, %v", out, err)
	}
	away = false
	if out, err := f.Handle(t.Context(), e); err != nil || len(out) != 2 {
		t.Errorf("%v, %v", out, err)
	}
	e.RunID = "01JABCDEFGHJKMNPQRSTVWXYZ1"
	if out, err := f.Handle(t.Context(), e); err != nil || len(out) != 0 {
		t.Errorf("%v, %v", out, err)
	}
}
