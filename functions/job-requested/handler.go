// Package jobrequested answers pipeline.job.requested: it offers the job to the
// pool that its labels name, by way of its concurrency group where it has one.
package jobrequested

import (
	"context"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

// New makes the function. Without a group it is a translator without state:
// the same event gives the same offer.
func New(groups *state.Groups, pools scheduling.Pools) fn.Function {
	const name = "job-requested"
	return fn.On(name, events.Pipeline, "offers a job to the pool that its labels name",
		func(ctx context.Context, e events.Event[events.JobRequested]) ([]events.Envelope, error) {
			if e.Data.Group == "" {
				return []events.Envelope{pools.OfferEvent(name, e.Envelope, e.Data)}, nil
			}
			ref := events.GroupRef{Group: e.Data.Group, Run: e.Data.Run, Job: e.Data.Job, Attempt: e.Data.Attempt}
			res, err := groups.Change(ctx, name, e.Envelope, ref.Group, func(g *pipeline.Group, em *events.Emitter) bool {
				return g.Enter(em, ref, e.Data.CancelInProgress)
			})
			return res.Emitted, err
		})
}
