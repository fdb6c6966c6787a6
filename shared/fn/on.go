package fn

import (
	"context"

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
			return handle(ctx, ev)
		},
	}
}

// Launching marks a function as one that talks to a provider.
func (f Function) Launching() Function {
	f.Launches = true
	return f
}

// Emitter makes the events of a stateless function: at the time of their cause.
func Emitter(name string, cause events.Envelope) *events.Emitter {
	return &events.Emitter{Function: name, Cause: cause, Now: cause.Time}
}
