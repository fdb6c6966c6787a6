// Package assignmentrefused answers scheduler.assignment.refused: the capacity
// goes back and the next offers are placed.
package assignmentrefused

import (
	"context"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

// New makes the function. Only the first release of an assignment counts.
func New(pools *state.Pools) fn.Function {
	const name = "assignment-refused"
	return fn.On(name, events.Scheduler, "gives back the capacity of a refused assignment",
		func(ctx context.Context, e events.Event[events.AssignmentRefused]) ([]events.Envelope, error) {
			res, err := pools.Change(ctx, name, e.Envelope, e.Data.Pool, nil, true, func(p *scheduling.Pool, em *events.Emitter) error {
				p.Release(em, e.Data.Assignment)
				return nil
			})
			return res.Emitted, err
		})
}
