package fn

import (
	"context"
	"log/slog"

	"github.com/relevo-ci/relevo/events"
)

// On makes the function name of one event type: it decodes the payload, and
// refuses what does not decode.
func On[T events.Data](name string, c events.Context, doc string, handle func(context.Context, events.Event[T]) ([]events.Envelope, error)) Function {
	var zero T
	return Function{
		Name: name, Context: c, On: zero.EventType(), Doc: doc,
		Handle: func(ctx context.Context, e events.Envelope) ([]events.Envelope, error) {
			ev, err := events.Decode[T](e)
			if err != nil {
				return nil, err
			}
			out, err := handle(ctx, ev)
			if KindOf(err) == Stale {
				slog.DebugContext(ctx, name+": dropped", "event", e.ID, "type", e.Type, "why", err)
				return nil, nil
			}
			return out, err
		},
	}
}

// Launching marks a function as one that talks to a provider.
func (f Function) Launching() Function {
	f.Launches = true
	return f
}

// OnTheWay marks a function as one on the way of a job.
func (f Function) OnTheWay() Function {
	f.Way = true
	return f
}

// Emitter makes the events of a stateless function: of the time and the epoch of
// their cause.
func Emitter(name string, cause events.Envelope) *events.Emitter {
	return &events.Emitter{Function: name, Cause: cause, Now: cause.Time, Epoch: cause.Epoch}
}
