// Package runrequested answers pipeline.run.requested: it starts the run and
// asks for the jobs that need nothing.
package runrequested

import (
	"context"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

// New makes the function. Twice or late it changes nothing: the run has started.
func New(runs *state.Runs) fn.Function {
	const name = "run-requested"
	return fn.On(name, events.Pipeline, "starts a run that no concurrency group holds back",
		func(ctx context.Context, e events.Event[events.RunRequested]) ([]events.Envelope, error) {
			res, err := runs.Change(ctx, name, e.Envelope, e.Data.Run, func(r *pipeline.Run, em *events.Emitter, _ uint32) error {
				r.Start(em)
				return nil
			})
			return res.Emitted, err
		})
}
