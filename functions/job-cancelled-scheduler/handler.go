// Package jobcancelledscheduler answers pipeline.job.cancelled for the
// scheduler: an offer that still waits leaves the queue.
package jobcancelledscheduler

import (
	"context"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

// New makes the function. An offer that was placed by now is refused by its
// run instead.
func New(runs *state.Runs, pools *state.Pools, route scheduling.Pools) fn.Function {
	const name = "job-cancelled-scheduler"
	return fn.On(name, events.Scheduler, "withdraws the offer of a cancelled job",
		func(ctx context.Context, e events.Event[events.JobCancelled]) ([]events.Envelope, error) {
			if e.Data.Attempt == 0 || e.Data.Worker != "" {
				return nil, nil
			}
			r, _, err := runs.Load(ctx, e.Data.Run)
			if err != nil || r.Job(e.Data.Job) == nil {
				return nil, err
			}
			offer := route.Offer(r.Job(e.Data.Job).Request)
			res, err := pools.Change(ctx, name, e.Envelope, offer.Pool, []events.OfferID{offer.Offer}, true,
				func(p *scheduling.Pool, em *events.Emitter) error {
					p.Withdraw(em, offer.Offer, e.Data.Reason)
					return nil
				})
			return res.Emitted, err
		})
}
