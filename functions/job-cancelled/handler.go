// Package jobcancelled answers pipeline.job.cancelled for the provider: the worker
// of a job that was cancelled goes, and its capacity with it.
package jobcancelled

import (
	"context"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/workers"
)

// New makes the function. Removing twice is harmless and says the same.
func New(w *workers.Workers) fn.Function {
	return fn.On("job-cancelled", events.Provider, "removes the worker of a job that was cancelled",
		func(ctx context.Context, e events.Event[events.JobCancelled]) ([]events.Envelope, error) {
			return w.Remove(ctx, e.Data.AttemptRef, e.Data.Placement, "job cancelled", e.Envelope)
		}).Launching()
}
