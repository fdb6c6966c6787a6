// Package jobretried answers pipeline.job.retried for the provider: the worker
// of a job that is to be tried again goes, and its capacity with it.
package jobretried

import (
	"context"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/workers"
)

// New makes the function. Removing twice is harmless and says the same.
func New(w *workers.Workers) fn.Function {
	return fn.On("job-retried", events.Provider, "removes the worker of a job that is to be tried again",
		func(ctx context.Context, e events.Event[events.JobRetried]) ([]events.Envelope, error) {
			return w.Remove(ctx, e.Data.AttemptRef, e.Data.Placement, "job retried", e.Envelope)
		}).Launching()
}
