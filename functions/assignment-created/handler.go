// Package assignmentcreated answers scheduler.assignment.created: the run
// accepts the assignment and gives the attempt its fence, then the provider
// launches the worker. What the run does not want is refused; what is over is
// removed.
package assignmentcreated

import (
	"context"
	"errors"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
	"github.com/relevo-ci/relevo/shared/workers"
)

const name = "assignment-created"

// New makes the function. Delivered again it launches again until the worker
// was heard of, and removes the worker of an attempt that is over: that is how
// a lost event between here and the release of capacity is made good.
func New(runs *state.Runs, w *workers.Workers) fn.Function {
	return fn.On(name, events.Provider, "accepts an assignment and launches its worker",
		func(ctx context.Context, e events.Event[events.AssignmentCreated]) ([]events.Envelope, error) {
			var run *pipeline.Run
			var attempt *pipeline.Attempt
			var answer pipeline.Acceptance
			var why string
			accept := func(r *pipeline.Run, em *events.Emitter, epoch uint32) error {
				run = r
				answer, attempt, why = r.Accept(em, epoch, e.Data)
				return nil
			}
			res, err := runs.Change(ctx, name, e.Envelope, e.Data.For.Run, accept)
			if err == nil && res.Duplicate {
				// Somebody else's commit counts: what was decided here, its fence
				// included, does not. Look at what stands.
				_, err = runs.Change(ctx, name, e.Envelope, e.Data.For.Run, accept)
			}
			if errors.Is(err, state.ErrNoRun) {
				return refuse(e, "there is no such run"), nil // the store lost it
			}
			if err != nil {
				return nil, err
			}
			var more []events.Envelope
			switch answer {
			case pipeline.Launch:
				more, err = w.Launch(ctx, name, e.Envelope, run, e.Data.For.Job, attempt)
			case pipeline.Remove:
				ref := run.AttemptRef(run.Job(e.Data.For.Job), attempt)
				more, err = w.Remove(ctx, ref, attempt.Placement, "attempt "+why, e.Envelope)
			case pipeline.Refuse:
				more = refuse(e, why)
			}
			// What was committed is emitted even when the launch has to be repeated.
			return append(res.Emitted, more...), err
		}).Launching()
}

func refuse(e events.Event[events.AssignmentCreated], why string) []events.Envelope {
	em := fn.Emitter(name, e.Envelope)
	em.Emit(events.AssignmentRefused{AssignmentRef: e.Data.AssignmentRef, For: e.Data.For, Reason: why})
	return em.Emitted()
}
