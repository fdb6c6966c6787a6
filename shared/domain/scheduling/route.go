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

// Offer makes the offer of a job's attempt.
func (p Pools) Offer(r events.JobRequested) events.OfferCreated {
	pool := r.Pool
	if pool == "" {
		pool = p.For(r.Requirements.Labels)
	}
	return events.OfferCreated{
		OfferRef: events.OfferRef{Pool: pool, Offer: events.OfferFor(r.JobRef, r.Attempt)},
		For:      events.AttemptRef{JobRef: r.JobRef, Attempt: r.Attempt},
		Name:     r.Name, Requirements: r.Requirements, Priority: r.Priority, Project: r.Project,
	}
}
