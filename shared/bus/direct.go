package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
)

// Direct hands e to one function, round the broker: no chaos, no other
// subscriber, no tap. It returns before the function has run; what the function
// emits is published as usual. fn.NotFound when there is no such function. The
// memory bound does not apply: the clock heals with it what the bus lost.
func (b *Bus) Direct(ctx context.Context, function string, e events.Envelope) error {
	q := b.routes.Load().byName[function]
	switch {
	case q == nil:
		return fn.Faultf(fn.NotFound, "bus: deliver %s: no function %q", e.ID, function)
	case ctx.Value(insideKey{}) != b && b.closing.Load():
		return fmt.Errorf("bus: deliver %s to %s: %w", e.ID, function, ErrClosed)
	}
	b.enqueue(q, delivery{event: &e}, 0)
	return nil
}

// directDepth bounds how far DirectAll follows what is emitted; the broker
// takes the rest.
const directDepth = 16

// DirectAll hands e to every function that subscribes to it, and what they emit
// to the next, round the broker: no chaos, no queue, no retry. It returns when
// all of them have run, with their errors. What is emitted on the way is shown
// to the taps; e itself was, when it was published.
func (b *Bus) DirectAll(ctx context.Context, e events.Envelope) error {
	if ctx.Value(insideKey{}) != b && b.closing.Load() {
		return fmt.Errorf("bus: deliver %s: %w", e.ID, ErrClosed)
	}
	return b.directly(context.WithValue(ctx, insideKey{}, b), &e, 0)
}

func (b *Bus) directly(ctx context.Context, e *events.Envelope, depth int) error {
	d := delivery{event: e}
	b.pending.Add(1)
	b.held.Add(d.size())
	defer b.settle(d)
	var errs []error
	for q := range b.routes.Load().takers(e) {
		out, err := q.call(ctx, *e)
		errs = append(errs, err)
		for i := range out {
			if depth == directDepth {
				b.publish(&out[i])
				continue
			}
			b.show(&out[i])
			errs = append(errs, b.directly(ctx, &out[i], depth+1))
		}
	}
	return errors.Join(errs...)
}
