// Package cancelrequested answers pipeline.cancel.requested: the run, or the
// job, is cancelled in one commit, after which no success of it counts.
package cancelrequested

import (
	"context"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

// New makes the function. What is final stays as it is.
func New(runs *state.Runs) fn.Function {
	const name = "cancel-requested"
	return fn.On(name, events.Pipeline, "cancels a run or one of its jobs",
		func(ctx context.Context, e events.Event[events.CancelRequested]) ([]events.Envelope, error) {
			var left *events.ConcurrencyReleased
			res, err := runs.Change(ctx, name, e.Envelope, e.Data.Run, func(r *pipeline.Run, em *events.Emitter, _ uint32) error {
				left = r.Left(e.Data.Job)
				r.Cancel(em, e.Envelope, e.Data)
				return nil
			})
			if err == nil && left != nil {
				// It is over already: whoever asks may not have heard of it.
				em := fn.Emitter(name, e.Envelope)
				em.Emit(*left)
				return em.Emitted(), nil
			}
			return res.Emitted, err
		})
}
