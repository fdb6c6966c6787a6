// Package jobfailed answers pipeline.job.failed for the provider: the worker
// of a job that failed goes, and its capacity with it.
package jobfailed

import (
	"context"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/workers"
)

// New makes the function. Removing twice is harmless and says the same.
func New(w *workers.Workers) fn.Function {
	return fn.On("job-failed", events.Provider, "removes the worker of a job that failed",
		func(ctx context.Context, e events.Event[events.JobFailed]) ([]events.Envelope, error) {
			return w.Remove(ctx, e.Data.AttemptRef, e.Data.Placement, "job failed", e.Envelope)
		}).Launching()
}
