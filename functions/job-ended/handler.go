// Package jobended answers execution.job.ended: the pipeline decides what
// follows from how an attempt went.
package jobended

import (
	"context"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

// Name of the function; the worker function decides under it too, so that an
// ending that came by the worker's report and by the broker counts once.
const Name = "job-ended"

// New makes the function. The word of a stale fence changes nothing.
func New(runs *state.Runs) fn.Function {
	return fn.On(Name, events.Pipeline, "completes, retries or fails a job whose attempt ended",
		func(ctx context.Context, e events.Event[events.JobEnded]) ([]events.Envelope, error) {
			res, err := runs.Change(ctx, Name, e.Envelope, e.Data.Run, func(r *pipeline.Run, em *events.Emitter, _ uint32) error {
				r.End(em, e.Data)
				return nil
			})
			return res.Emitted, err
		})
}
