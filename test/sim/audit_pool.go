package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/protocol"
)

func (a *auditor) readPool(function string) {
	p := protocol.PoolPartition(pool)
	changed := false
	a.read(p, &a.poolAt,
		func(events.Envelope) bool { return true },
		func(r protocol.Record, e events.Envelope) {
			changed = true
			a.poolEvent(r, e)
			if err := a.pool.Replay(e, a.decided(r, e)); err != nil {
				a.fail("S7: replay %s: %v", e.Type, err)
			}
		},
		func(r protocol.Record) {
			a.capacity(function)
			a.placed(r.At)
		})
	if changed && a.fault == "" {
		a.samePool(function)
	}
}

// decided is when an event of the pool was decided on: its time. An offer that
// was taken in keeps the time of the load that the decision was made on, which
// no ledger tells: there the stored one is taken, where it is near enough.
func (a *auditor) decided(r protocol.Record, e events.Envelope) time.Time {
	if e.Type != events.TypeOfferCreated {
		return e.Time
	}
	d := decode[events.OfferCreated](a, e)
	docs, _, err := a.w.store.Store.Load(context.Background(), protocol.PoolPartition(pool), protocol.DocID("offer/"+d.Offer))
	var stored scheduling.Offer
	if err == nil && docs[0].Version > 0 && json.Unmarshal(docs[0].Body, &stored) == nil && r.At.Sub(stored.Queued) < 5*time.Minute {
		return stored.Queued
	}
	return r.At
}

// poolEvent looks at an event before it is applied.
func (a *auditor) poolEvent(r protocol.Record, e events.Envelope) {
	switch e.Type {
	case events.TypeAssignmentCreated:
		d := decode[events.AssignmentCreated](a, e)
		if a.used[d.Offer] {
			a.fail("S8: offer %s was assigned twice", d.Offer)
		}
		o, ok := a.pool.Queue[d.Offer]
		if !ok {
			a.fail("S8: offer %s was assigned and did not wait", d.Offer)
		}
		if n := a.pool.Nodes[d.Node]; n.Gone || !labelled(n, o) {
			a.fail("S3: offer %s was put on %s, which cannot take it", d.Offer, d.Node)
		}
		a.used[d.Offer], a.nodeOf[d.Assignment] = true, d.Node
	case events.TypeAssignmentReleased:
		d := decode[events.AssignmentReleased](a, e)
		if _, ok := a.pool.Held[d.Assignment]; !ok {
			a.fail("S3: assignment %q was released and was not held", d.Assignment)
		}
		a.released(d)
	case events.TypeOfferExpired:
		d := decode[events.OfferExpired](a, e)
		o := a.pool.Queue[d.Offer]
		if r.At.Sub(o.Queued) < a.w.offerTTL && (!a.w.fixed || a.couldEver(o)) {
			a.fail("L2: offer %s was refused after %s though a node could take it", d.Offer, r.At.Sub(o.Queued))
		}
	}
}

// couldEver tells whether a node would take an offer when idle. Before the
// first node joined nobody knows.
func (a *auditor) couldEver(o scheduling.Offer) bool {
	if len(a.pool.Nodes) == 0 {
		return true
	}
	for _, n := range a.pool.Nodes {
		if !n.Gone && labelled(n, o) && fits(n.Capacity, o.Requirements.Resources) {
			return true
		}
	}
	return false
}

func labelled(n scheduling.Node, o scheduling.Offer) bool {
	return !slices.ContainsFunc(o.Requirements.Labels, func(l string) bool { return !slices.Contains(n.Labels, l) })
}

func fits(have, want events.Resources) bool {
	return want.CPU <= have.CPU && want.Memory <= have.Memory && want.Slots <= have.Slots
}

// free is what each node has left, counted from the ledger alone.
func (a *auditor) free() map[events.NodeID]events.Resources {
	free := map[events.NodeID]events.Resources{}
	for id, n := range a.pool.Nodes {
		f := n.Capacity
		for _, h := range a.pool.Held {
			if h.Node == id {
				f.CPU, f.Memory, f.Slots = f.CPU-h.Resources.CPU, f.Memory-h.Resources.Memory, f.Slots-h.Resources.Slots
			}
		}
		free[id] = f
	}
	return free
}

// capacity holds S3 on the books.
func (a *auditor) capacity(function string) {
	for node, f := range a.free() {
		if f.CPU < 0 || f.Memory < 0 || f.Slots < 0 {
			a.fail("S3 after %s: node %s has %+v free", function, node, f)
		}
	}
}

// placed holds L2: after every commit no offer waits that would fit. Once one
// waited for long, nodes are kept for it.
func (a *auditor) placed(now time.Time) {
	for _, o := range a.pool.Queue {
		if now.Sub(o.Queued) >= 5*time.Minute {
			return
		}
	}
	free := a.free()
	for _, o := range a.pool.Sorted() {
		for _, id := range sortedKeys(a.pool.Nodes) {
			if n := a.pool.Nodes[id]; !n.Gone && labelled(n, o) && fits(free[id], o.Requirements.Resources) {
				a.fail("L2: %s of %s waits and fits on %s, which has %+v free", o.For.Job, o.For.Run, id, free[id])
			}
		}
	}
}

// samePool holds S7 for the pool: offers, held capacity, nodes, and the queue.
func (a *auditor) samePool(function string) {
	ctx, p := context.Background(), protocol.PoolPartition(pool)
	for kind, want := range map[string]any{"held": a.pool.Held, "offer": a.pool.Queue, "node": a.pool.Nodes} {
		docs, err := a.w.store.Store.List(ctx, p, kind)
		if err != nil {
			a.fail("S7: list: %v", err)
			return
		}
		stored := map[string]json.RawMessage{}
		for _, d := range docs {
			stored[string(d.ID)[len(kind)+1:]] = d.Body
		}
		x, err1 := json.Marshal(want)
		y, err2 := json.Marshal(stored)
		if err := errors.Join(err1, err2); err != nil {
			a.fail("S7: encode: %v", err)
			return
		}
		if !bytes.Equal(x, y) {
			a.fail("S7 after %s: %s of the pool\n replayed %s\n stored   %s", function, kind, x, y)
		}
	}
	head, _, err := a.w.store.Store.Head(ctx, p, 1<<20)
	if err != nil {
		a.fail("S7: head: %v", err)
		return
	}
	want := []string{}
	for _, o := range a.pool.Sorted() {
		want = append(want, string(o.Offer))
	}
	if !slices.Equal(head, want) && len(head)+len(want) > 0 {
		a.fail("S7 after %s: the queue is %v, the ledger says %v", function, head, want)
	}
}
