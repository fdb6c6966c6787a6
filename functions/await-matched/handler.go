// Package awaitmatched answers pipeline.await.matched: the job that waited has
// succeeded, or, where its approval was refused, failed.
package awaitmatched

import (
	"context"
	"log/slog"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

// New makes the function. Twice, or of a job that is over, it changes nothing.
// A wait that is over is forgotten, also on repeated deliveries: where it is
// not, it goes by itself after its deadline. Front may be nil: then nobody keeps
// waits here.
func New(runs *state.Runs, front *state.Front) fn.Function {
	const name = "await-matched"
	return fn.On(name, events.Pipeline, "ends a job whose event has come, or that was approved or refused",
		func(ctx context.Context, e events.Event[events.AwaitMatched]) ([]events.Envelope, error) {
			awaited := ""
			res, err := runs.Change(ctx, name, e.Envelope, e.Data.Run, func(r *pipeline.Run, em *events.Emitter, _ uint32) error {
				r.Match(em, e.Data)
				if j := r.Job(e.Data.Job); j != nil && j.Await != nil && j.State.Final() {
					awaited = j.Await.Type
				}
				return nil
			})
			if err != nil || awaited == "" || front == nil {
				return res.Emitted, err
			}
			if err := front.RemoveAwait(ctx, awaited, e.Data.JobRef); err != nil {
				slog.DebugContext(ctx, name+": forget a wait", "job", e.Data.JobRef.Subject(), "error", err)
			}
			return res.Emitted, nil
		})
}
