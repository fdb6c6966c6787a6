// Package workerfailed answers provider.worker.failed: the attempt ends with
// the verdict infra and is tried again while that budget lasts.
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
				r.Lose(em, e.Data.For, e.Data.Reason, e.Data.Permanent)
				return nil
			})
			return res.Emitted, err
		})
}
