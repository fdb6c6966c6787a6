// Package workerfailed answers provider.worker.failed: the attempt ends with
// the verdict infra and is tried again while that budget lasts. That of a worker
// which is doomed goes on until its agent, which hears of it, ends it.
package workerfailed

import (
	"context"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

// New makes the function. A stale attempt is left alone.
func New(runs *state.Runs) fn.Function {
	const name = "worker-failed"
	return fn.On(name, events.Pipeline, "ends an attempt whose worker could not be had",
		func(ctx context.Context, e events.Event[events.WorkerFailed]) ([]events.Envelope, error) {
			res, err := runs.Change(ctx, name, e.Envelope, e.Data.For.Run, func(r *pipeline.Run, em *events.Emitter, _ uint32) error {
				if e.Data.Doomed {
					r.Doom(e.Envelope, e.Data)
					return nil
				}
				r.Lose(em, e.Data.For, e.Data.Reason, e.Data.Permanent)
				return nil
			})
			return res.Emitted, err
		})
}
