package scheduling_test

import (
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
)

// TestEachRunKeepsItsTrace though one event lets the planner place many, and told
// again it is the same.
func TestEachRunKeepsItsTrace(t *testing.T) {
	const incoming = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	p := scheduling.NewPool(scheduling.Root{ID: "linux"}, scheduling.Settings{OfferTTL: time.Hour, Nudge: time.Minute})
	offer := func(run events.RunID, traceparent string) {
		job := events.JobRef{Run: run, Job: "a"}
		d := events.OfferCreated{
			OfferRef: events.OfferRef{Pool: "linux", Offer: events.OfferFor(job, 1)}, For: events.AttemptRef{JobRef: job, Attempt: 1},
			Requirements: events.Requirements{Resources: events.Resources{CPU: 1}},
		}
		e, err := events.New("offer/"+string(run), "/relevo/test", "", now, d)
		if err != nil {
			t.Fatal(err)
		}
		e = e.Traced(traceparent)
		p.Enqueue(&events.Emitter{Function: "offer-created", Cause: e, Now: now}, e, d)
	}
	offer("A", incoming)
	offer("B", "")
	node := events.CapacityUpdated{Pool: "linux", Node: "n", Capacity: events.Resources{CPU: 100, Slots: 10}, Since: now}
	// The cause is of yet another run's trace.
	cause := events.Envelope{ID: "c", RunID: "C", Traceparent: events.RunRef{Run: "C"}.Context("").String()}
	em := &events.Emitter{Function: "capacity-updated", Cause: cause, Now: now}
	p.Declare(em, cause, node)
	want := map[string]events.TraceID{"A": "0af7651916cd43dd8448eb211c80319c", "B": events.TraceOf("B")}
	if len(em.Emitted()) != 2 {
		t.Fatalf("%d were placed", len(em.Emitted()))
	}
	for _, e := range em.Emitted() {
		if got, ok := events.ParseTraceparent(e.Traceparent); !ok || got.Trace != want[e.RunID] {
			t.Errorf("run %s is of %s", e.RunID, e.Traceparent)
		}
	}
	for _, h := range p.Held {
		again := p.Again(h)
		if got, ok := events.ParseTraceparent(again.Traceparent); !ok || got.Trace != want[again.RunID] {
			t.Errorf("told again, run %s is of %s", again.RunID, again.Traceparent)
		}
		release := &events.Emitter{Function: "worker-terminated-scheduler", Cause: cause, Now: now}
		if p.Release(release, h.Assignment) {
			for _, e := range release.Emitted() {
				if got, _ := events.ParseTraceparent(e.Traceparent); got.Trace != want[e.RunID] {
					t.Errorf("%s of run %s is of %s", e.Type, e.RunID, e.Traceparent)
				}
			}
		}
	}
}
