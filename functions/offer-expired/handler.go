// Package offerexpired answers scheduler.offer.expired: the job that found no
// node is rejected, with the reason of every node.
package offerexpired

import (
	"context"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

// New makes the function. A job that is not waiting any more is left alone.
func New(runs *state.Runs) fn.Function {
	const name = "offer-expired"
	return fn.On(name, events.Pipeline, "rejects a job that found no node",
		func(ctx context.Context, e events.Event[events.OfferExpired]) ([]events.Envelope, error) {
			res, err := runs.Change(ctx, name, e.Envelope, e.Data.For.Run, func(r *pipeline.Run, em *events.Emitter, _ uint32) error {
				r.Reject(em, e.Data)
				return nil
			})
			return res.Emitted, err
		})
}
