// Package offercreated answers scheduler.offer.created: the offer joins its
// pool's queue, and the planner places what fits, all in one commit.
package offercreated

import (
	"context"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

// New makes the function. Twice, the queue is planned again and nothing else.
func New(pools *state.Pools) fn.Function {
	const name = "offer-created"
	return fn.On(name, events.Scheduler, "queues an offer and plans its pool",
		func(ctx context.Context, e events.Event[events.OfferCreated]) ([]events.Envelope, error) {
			res, err := pools.Change(ctx, name, e.Envelope, e.Data.Pool, []events.OfferID{e.Data.Offer}, true,
				func(p *scheduling.Pool, em *events.Emitter) error {
					p.Enqueue(em, e.Envelope, e.Data)
					return nil
				})
			return res.Emitted, err
		})
}
