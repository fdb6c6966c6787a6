// Package workerterminated answers provider.worker.terminated for the pipeline:
// an attempt that was still under way lost its worker.
package workerterminated

import (
	"context"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

// New makes the function. An attempt that ended by itself is left alone.
func New(runs *state.Runs) fn.Function {
	const name = "worker-terminated"
	return fn.On(name, events.Pipeline, "ends an attempt that lost its worker",
		func(ctx context.Context, e events.Event[events.WorkerTerminated]) ([]events.Envelope, error) {
			res, err := runs.Change(ctx, name, e.Envelope, e.Data.For.Run, func(r *pipeline.Run, em *events.Emitter, _ uint32) error {
				r.Lose(em, e.Data.For, "its worker is gone: "+e.Data.Reason, false)
				return nil
			})
			return res.Emitted, err
		})
}
