package state_test

import (
	"strconv"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/state"
)

// offer brings an offer to the pool as a process does that reads it afresh.
func (r *rig) offer(t *testing.T, n int, labels ...string) state.Result {
	t.Helper()
	run := events.RunID("R" + strconv.Itoa(n))
	ref := events.JobRef{Run: run, Job: "a"}
	d := events.OfferCreated{
		OfferRef: events.OfferRef{Pool: "linux", Offer: events.OfferFor(ref, 1)}, For: events.AttemptRef{JobRef: ref, Attempt: 1},
		Requirements: events.Requirements{Labels: labels, Resources: events.Resources{CPU: 1000, Slots: 1}},
	}
	e, err := events.New("offer "+string(run), "/relevo/test", "", r.now, d)
	if err != nil {
		t.Fatal(err)
	}
	return r.change(t, e, func(p *scheduling.Pool, em *events.Emitter) { p.Enqueue(em, e, d) })
}

func (r *rig) change(t *testing.T, e events.Envelope, decide func(p *scheduling.Pool, em *events.Emitter)) state.Result {
	t.Helper()
	fresh := &state.Pools{Committer: r.pools.Committer, Settings: r.pools.Settings}
	res, err := fresh.Change(t.Context(), "f", e, "linux", nil, true, func(p *scheduling.Pool, em *events.Emitter) error {
		decide(p, em)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// What fits is placed though many that do not fit stand before it, also by a
// process that knows the pool from the store alone.
func TestOfferBehindManyThatDoNotFit(t *testing.T) {
	r := newRig()
	for n := range 150 {
		r.offer(t, n, "gpu")
	}
	last := r.offer(t, 150)
	if len(last.Emitted) > 0 {
		t.Fatalf("no node yet, and %v", last.Emitted)
	}
	d := events.CapacityUpdated{
		Pool: "linux", Node: "n1", Provider: "fake", Labels: []string{"linux"}, Since: r.now,
		Capacity: events.Resources{CPU: 1000, Memory: 1 << 30, Slots: 1},
	}
	e, err := events.New("node", "/relevo/test", "", r.now, d)
	if err != nil {
		t.Fatal(err)
	}
	res := r.change(t, e, func(p *scheduling.Pool, em *events.Emitter) { p.Declare(em, e, d) })
	if len(res.Emitted) != 1 || res.Emitted[0].Type != events.TypeAssignmentCreated || res.Emitted[0].RunID != "R150" {
		t.Errorf("emitted %v", res.Emitted)
	}
}
