// Package runrequestedconcurrency answers pipeline.run.requested for runs that
// name a concurrency group: it asks the group for its place.
package runrequestedconcurrency

import (
	"context"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

// New makes the function. The holder that asks again is answered again.
func New(runs *state.Runs, groups *state.Groups) fn.Function {
	const name = "run-requested-concurrency"
	return fn.On(name, events.Pipeline, "asks a run's concurrency group for its place",
		func(ctx context.Context, e events.Event[events.RunRequested]) ([]events.Envelope, error) {
			r, _, err := runs.Load(ctx, e.Data.Run)
			if err != nil || r.Group == "" || r.State != pipeline.RunRequested {
				return nil, err
			}
			ref := events.GroupRef{Group: r.Group, Run: r.ID}
			res, err := groups.Change(ctx, name, e.Envelope, r.Group, func(g *pipeline.Group, em *events.Emitter) bool {
				return g.Enter(em, ref, r.CancelsInProgress())
			})
			return res.Emitted, err
		})
}
