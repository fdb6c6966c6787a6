// Package runcompletedtelemetry answers the end of a run: it hands the run's
// trace to an OpenTelemetry collector. The spans follow from the run's document,
// ids and all, so that an event that comes twice sends the same ones.
package runcompletedtelemetry

import (
	"context"
	"errors"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/telemetry"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

const name = "run-completed-telemetry"

// Export hands spans on; it may be asked again with the same ones.
type Export func(ctx context.Context, spans []telemetry.Span) error

// New makes the function. Public is the address that links begin with; empty:
// there are none. A collector that is away is asked again, by the event.
func New(runs *state.Runs, front *state.Front, public string, export Export) fn.Function {
	return fn.Function{
		Name: name, Context: events.Telemetry, On: events.TypeRunCompleted,
		Also: []events.Type{events.TypeRunFailed, events.TypeRunCancelled},
		Doc:  "hands the traces of runs that ended to an OpenTelemetry collector",
		Handle: func(ctx context.Context, e events.Envelope) ([]events.Envelope, error) {
			run, _, err := runs.Load(ctx, events.RunID(e.RunID))
			if errors.Is(err, state.ErrNoRun) {
				return nil, nil // it is over for a week
			}
			if err != nil {
				return nil, err
			}
			if !run.State.Final() {
				return nil, fn.Faultf(fn.Early, "%s: run %s goes on", name, run.ID)
			}
			d, err := Delivery(ctx, front, run)
			if err != nil {
				return nil, err
			}
			spans := telemetry.Spans(run, d, public)
			if err := export(ctx, spans); err != nil {
				return nil, fn.Faultf(fn.Transient, "%s: %w", name, err)
			}
			return told(e, run, spans), nil
		},
	}
}

// Delivery is the one that led to a run, as far as it is known; nil: none.
func Delivery(ctx context.Context, front *state.Front, run *pipeline.Run) (*trigger.Delivery, error) {
	id := run.Request().Trigger.Delivery
	if id == "" || front == nil {
		return nil, nil
	}
	d, err := front.DeliveryAlone(ctx, id)
	switch {
	case err == nil:
		return &d, nil
	case fn.KindOf(err) == fn.NotFound:
		return nil, nil // it was retired
	}
	return nil, err
}

// told are the events that others may go by: that the trace stands, and the one
// sample that a run is. The many metrics are read where they are kept.
func told(e events.Envelope, run *pipeline.Run, spans []telemetry.Span) []events.Envelope {
	em := fn.Emitter(name, e).Within(run.Trace)
	em.Emit(events.TraceRecorded{RunRef: events.RunRef{Run: run.ID}, TraceID: string(run.Context().Trace), Spans: len(spans)})
	em.Emit(events.MetricEmitted{
		Name: telemetry.RunDuration, Value: run.Ended.Sub(run.Requested).Seconds(), Unit: "s",
		Attributes: map[string]string{telemetry.PipelineName: run.Pipeline, telemetry.RunResult: telemetry.ResultOf(run.Verdict)},
	})
	return em.Emitted()
}
