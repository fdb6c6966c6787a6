// Package workerterminatedscheduler answers provider.worker.terminated for the
// scheduler: the worker's capacity goes back and the next offers are placed.
package workerterminatedscheduler

import (
	"context"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

// New makes the function. Only the first release of an assignment counts.
func New(pools *state.Pools) fn.Function {
	const name = "worker-terminated-scheduler"
	return fn.On(name, events.Scheduler, "gives back the capacity of a worker that is gone",
		func(ctx context.Context, e events.Event[events.WorkerTerminated]) ([]events.Envelope, error) {
			res, err := pools.Change(ctx, name, e.Envelope, e.Data.Pool, nil, true, func(p *scheduling.Pool, em *events.Emitter) error {
				p.Release(em, e.Data.Assignment)
				return nil
			})
			return res.Emitted, err
		})
}
