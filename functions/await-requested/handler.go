// Package awaitrequested answers pipeline.await.requested: the event that a job
// waits for will wake it. It also answers pipeline.job.cancelled: a job that was
// cancelled waits no more.
package awaitrequested

import (
	"context"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
)

// Awaits lets jobs wait: the arrivals package does.
type Awaits interface {
	// Await lets a job wait, once, where it does so still; else its wait is
	// forgotten. What it gives is to be published.
	Await(ctx context.Context, function string, cause events.Envelope, d events.AwaitRequested) ([]events.Envelope, error)
	// Forget ends the wait of a job that is over.
	Forget(ctx context.Context, job events.JobRef) error
}

// New makes the function. Told again, it tells a job again what came for it.
func New(awaits Awaits) fn.Function {
	const name = "await-requested"
	f := fn.On(name, events.Triggers, "registers what a job waits for",
		func(ctx context.Context, e events.Event[events.AwaitRequested]) ([]events.Envelope, error) {
			return awaits.Await(ctx, name, e.Envelope, e.Data)
		})
	cancelled := fn.On(name, events.Triggers, "",
		func(ctx context.Context, e events.Event[events.JobCancelled]) ([]events.Envelope, error) {
			if e.Data.Attempt > 0 {
				return nil, nil // it waited for no event
			}
			return nil, awaits.Forget(ctx, e.Data.JobRef)
		})
	asked := f.Handle
	f.Also = []events.Type{events.TypeJobCancelled}
	f.Handle = func(ctx context.Context, e events.Envelope) ([]events.Envelope, error) {
		if e.Type == events.TypeJobCancelled {
			return cancelled.Handle(ctx, e)
		}
		return asked(ctx, e)
	}
	return f
}
