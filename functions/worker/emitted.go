package worker

import (
	"context"
	"log/slog"
	"strconv"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

// emitted commits an event that a step emitted: unlike what is only told of
// steps, it is not lost. One that came before, or of an attempt that is over,
// changes nothing; one that no agent of ours would send is dropped.
func (s *Reports) emitted(ctx context.Context, ref events.AttemptRef, e execution.Emitted) error {
	if err := e.Check(); err != nil {
		slog.WarnContext(ctx, "worker: event dropped", "job", ref.Subject(), "error", err)
		return nil
	}
	cause := events.Envelope{
		ID:     events.DeriveID("emitted", ref.Subject(), ref.Fence.String(), strconv.Itoa(e.Index)),
		Source: "/relevo/" + name, RunID: string(ref.Run),
	}
	res, err := s.Runs.Change(ctx, name, cause, ref.Run, func(run *pipeline.Run, em *events.Emitter, _ uint32) error {
		em.Cause.CauseID = lastOf(run, ref.Job)
		run.Emitted(em, events.EventEmitted{AttemptRef: ref, Index: e.Index, Name: e.Type, About: e.Subject, Content: e.Data})
		return nil
	})
	if err != nil {
		return err
	}
	s.publish(ctx, res.Emitted)
	return nil
}
