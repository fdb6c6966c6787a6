package scheduling

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/events"
)

func (p *Pool) emit(em *events.Emitter, d events.Data) {
	e := em.Within(p.trace(d)).Emit(d)
	p.applyAt(em.Now, e, d)
}

// trace is the traceparent that what a decision tells of one run goes on from:
// the decision's cause is of another as often as not.
func (p *Pool) trace(data events.Data) string {
	switch d := data.(type) {
	case events.AssignmentCreated:
		return p.Queue[d.Offer].Trace
	case events.OfferExpired:
		return p.Queue[d.Offer].Trace
	case events.OfferWithdrawn:
		return p.Queue[d.Offer].Trace
	case events.AssignmentReleased:
		return p.Held[d.Assignment].Trace
	}
	return ""
}

// Replay applies one event of the pool's ledger, recorded at the given time.
func (p *Pool) Replay(e events.Envelope, at time.Time) error {
	entry, ok := events.Find(e.Type)
	if !ok {
		return fmt.Errorf("%w: unknown type %s", events.ErrInvalid, e.Type)
	}
	d := entry.New()
	if err := json.Unmarshal(e.Data, d); err != nil {
		return fmt.Errorf("%w: decode %s: %w", events.ErrInvalid, e.Type, err)
	}
	switch d := d.(type) {
	case *events.OfferCreated:
		p.applyAt(at, e, *d)
	case *events.OfferWithdrawn:
		p.applyAt(at, e, *d)
	case *events.OfferExpired:
		p.applyAt(at, e, *d)
	case *events.AssignmentCreated:
		p.applyAt(at, e, *d)
	case *events.AssignmentReleased:
		p.applyAt(at, e, *d)
	case *events.CapacityUpdated:
		p.applyAt(at, e, *d)
	}
	return p.err
}

func (p *Pool) applyAt(at time.Time, e events.Envelope, data events.Data) {
	id, trace := e.ID, events.RunRef{Run: events.RunID(e.RunID)}.Foreign(e.Traceparent)
	switch d := data.(type) {
	case events.OfferCreated:
		p.Order++
		p.setOffer(Offer{OfferCreated: d, Queued: at, Expires: at.Add(p.settings.OfferTTL), Order: p.Order, Cause: id, Trace: trace})
	case events.OfferWithdrawn:
		p.dropOffer(d.Offer)
	case events.OfferExpired:
		p.dropOffer(d.Offer)
	case events.AssignmentCreated:
		p.dropOffer(d.Offer)
		h := Held{AssignmentCreated: d, Since: at, Cause: id, Trace: trace}
		p.Held[d.Assignment] = h
		put(&p.changes.Held, d.Assignment, &h)
	case events.AssignmentReleased:
		delete(p.Held, d.Assignment)
		put(&p.changes.Held, d.Assignment, nil)
	case events.CapacityUpdated:
		n := Node{CapacityUpdated: d}
		p.Nodes[d.Node] = n
		put(&p.changes.Nodes, d.Node, &n)
	}
}

func (p *Pool) setOffer(o Offer) {
	p.Queue[o.Offer] = o
	put(&p.changes.Offers, o.Offer, &o)
}

func (p *Pool) dropOffer(id events.OfferID) {
	delete(p.Queue, id)
	put(&p.changes.Offers, id, nil)
}

func put[K comparable, V any](m *map[K]V, k K, v V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[k] = v
}

func sorted[K cmp.Ordered, V any](m map[K]V) []V {
	out := make([]V, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[k])
	}
	return out
}

func sortedBy[K comparable, V any](m map[K]V, less func(a, b V) int) []V {
	return slices.SortedFunc(maps.Values(m), less)
}
