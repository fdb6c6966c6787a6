// Package workercreated answers provider.worker.created: where the worker is
// still being prepared (its image is pulled), the attempt says so. A worker
// that has started needs no record: its hello follows.
package workercreated

import (
	"context"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

// New makes the function. Late, or of a stale attempt, it changes nothing.
func New(runs *state.Runs) fn.Function {
	const name = "worker-created"
	return fn.On(name, events.Pipeline, "records what a worker's start waits for",
		func(ctx context.Context, e events.Event[events.WorkerCreated]) ([]events.Envelope, error) {
			if e.Data.Preparing == "" {
				return nil, nil
			}
			res, err := runs.Change(ctx, name, e.Envelope, e.Data.For.Run, func(r *pipeline.Run, _ *events.Emitter, _ uint32) error {
				r.Prepare(e.Envelope, e.Data)
				return nil
			})
			return res.Emitted, err
		})
}
