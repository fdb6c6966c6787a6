// Package concurrencyreleased answers pipeline.concurrency.released: whoever
// waits for the group comes next.
package concurrencyreleased

import (
	"context"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

// New makes the function. One that does not hold the group changes nothing.
func New(groups *state.Groups) fn.Function {
	const name = "concurrency-released"
	return fn.On(name, events.Pipeline, "passes a concurrency group on",
		func(ctx context.Context, e events.Event[events.ConcurrencyReleased]) ([]events.Envelope, error) {
			res, err := groups.Change(ctx, name, e.Envelope, e.Data.Group, func(g *pipeline.Group, em *events.Emitter) bool {
				return g.Leave(em, e.Data.GroupRef)
			})
			return res.Emitted, err
		})
}
