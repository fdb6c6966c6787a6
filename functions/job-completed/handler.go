// Package jobcompleted answers pipeline.job.completed for the provider: the worker
// of a job that succeeded goes, and its capacity with it.
package jobcompleted

import (
	"context"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/workers"
)

// New makes the function. Removing twice is harmless and says the same.
func New(w *workers.Workers) fn.Function {
	return fn.On("job-completed", events.Provider, "removes the worker of a job that succeeded",
		func(ctx context.Context, e events.Event[events.JobCompleted]) ([]events.Envelope, error) {
			return w.Remove(ctx, e.Data.AttemptRef, e.Data.Placement, "job completed", e.Envelope)
		}).Launching()
}
