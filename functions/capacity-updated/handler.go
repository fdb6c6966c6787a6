// Package capacityupdated answers scheduler.capacity.updated: a node joins,
// changes or leaves its pool, and the queue is planned again.
package capacityupdated

import (
	"context"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

// New makes the function. An older declaration than the one known changes nothing.
func New(pools *state.Pools) fn.Function {
	const name = "capacity-updated"
	return fn.On(name, events.Scheduler, "declares a node and plans its pool",
		func(ctx context.Context, e events.Event[events.CapacityUpdated]) ([]events.Envelope, error) {
			res, err := pools.Change(ctx, name, e.Envelope, e.Data.Pool, nil, true, func(p *scheduling.Pool, em *events.Emitter) error {
				p.Declare(em, e.Envelope, e.Data)
				return nil
			})
			return res.Emitted, err
		})
}
