package scheduling

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// Root is a pool's own document: every change of the pool writes it, so that
// its version guards all that was read after it.
type Root struct {
	ID     events.PoolID `json:"id"`
	Policy Policy        `json:"policy"`
	// Order numbers the offers as they come.
	Order uint64 `json:"order"`
}

// Pool is a pool as a decision sees it: its nodes, what is held, and the head
// of its queue. It changes by applying events alone.
type Pool struct {
	Root
	Nodes map[events.NodeID]Node
	Held  map[events.AssignmentID]Held
	Queue map[events.OfferID]Offer // the head of the queue only

	settings Settings
	changes  Changes
	err      error
}

// Settings are what decisions read beside the pool.
type Settings struct {
	OfferTTL time.Duration // how long an offer may wait
	Nudge    time.Duration // before an assignment that is not released is told again
}

// Changes are the documents that a decision wrote (nil: removed).
type Changes struct {
	Nodes  map[events.NodeID]*Node
	Held   map[events.AssignmentID]*Held
	Offers map[events.OfferID]*Offer
}

// NewPool makes an empty pool.
func NewPool(root Root, s Settings) *Pool {
	return &Pool{
		Root: root, settings: s,
		Nodes: map[events.NodeID]Node{}, Held: map[events.AssignmentID]Held{}, Queue: map[events.OfferID]Offer{},
	}
}

// Begin forgets the changes of an earlier decision.
func (p *Pool) Begin() { p.changes, p.err = Changes{}, nil }

// Changes since Begin.
func (p *Pool) Changes() Changes { return p.changes }

// Err is the first defect that a decision ran into.
func (p *Pool) Err() error { return p.err }

// Dirty tells whether a decision changed anything.
func (c Changes) Dirty() bool { return len(c.Nodes)+len(c.Held)+len(c.Offers) > 0 }

// Enqueue takes an offer into the queue and plans. It tells whether the offer
// was news.
func (p *Pool) Enqueue(em *events.Emitter, e events.Envelope, d events.OfferCreated) bool {
	if _, ok := p.Queue[d.Offer]; ok {
		return false
	}
	if _, ok := p.Held[events.AssignmentFor(d.Offer)]; ok {
		return false
	}
	p.applyAt(em.Now, e, d)
	p.Plan(em)
	return true
}

// Plan places what can be placed and expires what never can. It may be called
// at any time: it changes nothing where nothing fits.
func (p *Pool) Plan(em *events.Emitter) {
	plan := Make(p.Snapshot(em.Now), p.Sorted(), p.Policy)
	for _, pl := range plan.Placements {
		d := events.AssignmentCreated{
			AssignmentRef: events.AssignmentRef{Pool: p.ID, Assignment: events.AssignmentFor(pl.Offer.Offer)},
			Offer:         pl.Offer.Offer, For: pl.Offer.For, Node: pl.Node.Node,
			Provider: pl.Node.Provider, Resources: pl.Offer.Requirements.Resources, Passed: shorten(pl.Passed),
		}
		d.Worker = events.WorkerFor(d.Assignment)
		p.emit(em, d)
	}
	if !p.Policy.Fixed || len(p.Nodes) == 0 {
		return
	}
	for _, u := range plan.Unplaced {
		if u.Never {
			p.expire(em, u.Offer, "no node of pool "+string(p.ID)+" can ever run it"+list(u.Reasons), u.Reasons)
		}
	}
}

// mostReasons bounds what an event tells of the nodes passed over: a pool of a
// thousand nodes must not write a thousand reasons a job. Explaining a job asks
// the planner again.
const mostReasons = 8

func shorten(reasons []events.NodeReason) []events.NodeReason {
	if len(reasons) <= mostReasons {
		return reasons
	}
	out := slices.Clone(reasons[:mostReasons])
	return append(out, events.NodeReason{Node: "…", Reason: fmt.Sprintf("and %d more", len(reasons)-mostReasons)})
}

func list(reasons []events.NodeReason) string {
	out := ""
	for i, r := range reasons {
		if i == 3 {
			return out + fmt.Sprintf("; and %d more", len(reasons)-i)
		}
		out += fmt.Sprintf("; %s %s", r.Node, r.Reason)
	}
	return out
}

func (p *Pool) expire(em *events.Emitter, o Offer, why string, nodes []events.NodeReason) {
	p.emit(em, events.OfferExpired{OfferRef: o.OfferRef, For: o.For, Reason: why, Nodes: shorten(nodes)})
}

// Expire ends an offer whose time is over.
func (p *Pool) Expire(em *events.Emitter, id events.OfferID) {
	o, ok := p.Queue[id]
	if !ok || em.Now.Before(o.Expires) {
		return
	}
	plan := Make(p.Snapshot(em.Now), []Offer{o}, p.Policy)
	var reasons []events.NodeReason
	if len(plan.Unplaced) > 0 {
		reasons = plan.Unplaced[0].Reasons
	}
	p.expire(em, o, fmt.Sprintf("found no free node within %s%s", em.Now.Sub(o.Queued).Round(time.Second), list(reasons)), reasons)
}

// Release gives an assignment's capacity back and places the next offers. It
// tells whether the assignment was still held: only the first release counts.
func (p *Pool) Release(em *events.Emitter, id events.AssignmentID) bool {
	h, ok := p.Held[id]
	if !ok {
		return false
	}
	p.emit(em, events.AssignmentReleased{AssignmentRef: h.AssignmentRef, For: h.For, Node: h.Node, Resources: h.Resources})
	p.Plan(em)
	return true
}

// Withdraw takes an offer out of the queue. An offer that was placed already
// is refused by its run instead.
func (p *Pool) Withdraw(em *events.Emitter, id events.OfferID, why string) bool {
	o, ok := p.Queue[id]
	if !ok {
		return false
	}
	p.emit(em, events.OfferWithdrawn{OfferRef: o.OfferRef, For: o.For, Reason: why})
	p.Plan(em)
	return true
}

// Declare adds, changes or withdraws a node. An older declaration than the one
// known changes nothing.
func (p *Pool) Declare(em *events.Emitter, e events.Envelope, d events.CapacityUpdated) bool {
	if n, ok := p.Nodes[d.Node]; ok && !d.Since.After(n.Since) {
		return false
	}
	p.applyAt(em.Now, e, d)
	p.Plan(em)
	return true
}

// Snapshot is what the planner sees of the pool.
func (p *Pool) Snapshot(now time.Time) Snapshot {
	return Snapshot{Now: now, Nodes: sorted(p.Nodes), Held: sorted(p.Held)}
}

// Room tells whether a node has anything left: an offer that fits may stand
// behind those that do not.
func (p *Pool) Room() bool {
	for id, f := range Free(Snapshot{Nodes: sorted(p.Nodes), Held: sorted(p.Held)}) {
		if n := p.Nodes[id]; !n.Gone && f.Slots > 0 && f.CPU > 0 {
			return true
		}
	}
	return false
}

// Sorted is the known part of the queue in order.
func (p *Pool) Sorted() []Offer { return sortedBy(p.Queue, Before) }

// Dues gives when the changed offers and assignments must be looked at; the
// zero time for those that are gone.
func (p *Pool) Dues(now time.Time) map[string]time.Time {
	due := map[string]time.Time{}
	for id, o := range p.changes.Offers {
		name := events.OfferRef{Pool: p.ID, Offer: id}.Subject()
		due[name] = time.Time{}
		if o != nil {
			due[name] = o.Expires
		}
	}
	for id, h := range p.changes.Held {
		name := events.AssignmentRef{Pool: p.ID, Assignment: id}.Subject()
		due[name] = time.Time{}
		if h != nil {
			due[name] = p.NudgeAt(*h, now)
		}
	}
	return due
}

// NudgeAt is when an assignment is told again: the longer it is held, the
// rarer.
func (p *Pool) NudgeAt(h Held, now time.Time) time.Time {
	return now.Add(min(max(p.settings.Nudge, now.Sub(h.Since)/2), 10*time.Minute))
}

// Again is the assignment.created event of a held assignment, as it was
// emitted: same id, same payload.
func (p *Pool) Again(h Held) events.Envelope {
	raw, err := json.Marshal(h.AssignmentCreated)
	if err != nil { // payloads of package events always encode
		panic(err)
	}
	return events.Envelope{
		ID: h.Cause, Source: "/relevo/offer-created", Type: h.EventType(), Subject: h.Subject(),
		Time: h.Since, Data: raw, RunID: string(h.For.Run), PartitionKey: string(h.For.Run),
	}.Traced(h.Trace)
}
