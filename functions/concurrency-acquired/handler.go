// Package concurrencyacquired answers pipeline.concurrency.acquired: the run,
// or the job, that waited for its group goes on. One that is done by now gives
// the group back.
package concurrencyacquired

import (
	"context"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

const name = "concurrency-acquired"

// New makes the function.
func New(runs *state.Runs, pools scheduling.Pools) fn.Function {
	return fn.On(name, events.Pipeline, "lets in whoever waited for a concurrency group",
		func(ctx context.Context, e events.Event[events.ConcurrencyAcquired]) ([]events.Envelope, error) {
			if e.Data.Job != "" {
				return job(ctx, runs, pools, e)
			}
			done := false
			res, err := runs.Change(ctx, name, e.Envelope, e.Data.Run, func(r *pipeline.Run, em *events.Emitter, _ uint32) error {
				done = r.State.Final()
				r.Acquire(em, e.Envelope, e.Data)
				return nil
			})
			if done {
				return released(e), err
			}
			return res.Emitted, err
		})
}

func job(ctx context.Context, runs *state.Runs, pools scheduling.Pools, e events.Event[events.ConcurrencyAcquired]) ([]events.Envelope, error) {
	r, _, err := runs.Load(ctx, e.Data.Run)
	if err != nil {
		return nil, err
	}
	j := r.Job(e.Data.Job)
	if j == nil || j.State.Final() {
		return released(e), nil
	}
	if j.State != pipeline.Pending || !j.NotBefore.IsZero() {
		return nil, nil
	}
	return []events.Envelope{pools.OfferEvent(name, e.Envelope, j.Request)}, nil
}

func released(e events.Event[events.ConcurrencyAcquired]) []events.Envelope {
	em := fn.Emitter(name, e.Envelope)
	em.Emit(events.ConcurrencyReleased{GroupRef: e.Data.GroupRef})
	return em.Emitted()
}
