package scheduling

import (
	"slices"

	"github.com/relevo-ci/relevo/events"
)

// Pools routes jobs to pools by the labels of their runs-on.
type Pools struct {
	// Rows are tried in order: the first whose labels cover the job's takes it.
	Rows []Route
	// Default takes the rest: its planner then says what is missing.
	Default events.PoolID
}

// Route is one pool and the labels that its nodes carry.
type Route struct {
	Pool   events.PoolID
	Labels []string
}

// For names the pool for a set of labels.
func (p Pools) For(labels []string) events.PoolID {
	for _, r := range p.Rows {
		if !slices.ContainsFunc(labels, func(l string) bool { return !slices.Contains(r.Labels, l) }) {
			return r.Pool
		}
	}
	return p.Default
}

// OfferEvent is the offer.created event of a job's attempt. Its id depends on
// the offer alone: whichever way a job comes to be offered again, its pool
// knows that it took the offer once.
func (p Pools) OfferEvent(function string, cause events.Envelope, r events.JobRequested) events.Envelope {
	em := &events.Emitter{Function: function, Cause: cause, Now: cause.Time, Epoch: cause.Epoch}
	e := em.Emit(p.Offer(r))
	e.ID = events.DeriveID("offer.created", string(events.OfferFor(r.JobRef, r.Attempt)))
	return e
}

// Offer makes the offer of a job's attempt. What a stranger had run goes to a
// pool that is for such jobs alone, whatever labels it names: where there is
// none it waits.
func (p Pools) Offer(r events.JobRequested) events.OfferCreated {
	pool := r.Pool
	if pool == "" {
		pool = p.For(r.Requirements.Labels)
	}
	if r.Untrusted {
		pool = pool.Untrusted()
	}
	r.Requirements.Resources.Slots = max(1, r.Requirements.Resources.Slots)
	return events.OfferCreated{
		OfferRef: events.OfferRef{Pool: pool, Offer: events.OfferFor(r.JobRef, r.Attempt)},
		For:      events.AttemptRef{JobRef: r.JobRef, Attempt: r.Attempt},
		Name:     r.Name, Requirements: r.Requirements, Priority: r.Priority, Project: r.Project,
	}
}
