package inprocess

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/bus"
	"github.com/relevo-ci/relevo/shared/deadletter"
	"github.com/relevo-ci/relevo/shared/fn"
)

// letters keep the bus's dead letters in the store, where the api shows them,
// and where they outlive this process.
type letters struct{ box *deadletter.Box }

var _ bus.DeadLetters = letters{}

// Add keeps a letter; see bus.DeadLetters.
func (l letters) Add(ctx context.Context, d bus.DeadLetter) error {
	raw, err := json.Marshal(d.Event)
	if err != nil {
		return fmt.Errorf("inprocess: encode dead letter: %w", err)
	}
	_, err = l.box.Add(ctx, deadletter.Letter{
		Event: raw, Destination: d.Function, Error: fmt.Sprintf("%s (after %d tries)", d.Error, d.Tries),
	})
	return err
}

// List gives up to n; see bus.DeadLetters.
func (l letters) List(ctx context.Context, n int) ([]bus.DeadLetter, error) {
	list, err := l.box.List(ctx, n)
	if err != nil {
		return nil, err
	}
	out := make([]bus.DeadLetter, 0, len(list.Letters))
	for _, one := range list.Letters {
		d := bus.DeadLetter{Function: one.Destination, Error: one.Error, Tries: one.Count, At: one.Last}
		if err := json.Unmarshal(one.Event, &d.Event); err != nil {
			return nil, fmt.Errorf("inprocess: decode dead letter %s: %w", one.ID, err)
		}
		out = append(out, d)
	}
	return out, nil
}

// mostLetters is more than the box holds.
const mostLetters = 10_000

// Take removes and returns one; see bus.DeadLetters.
func (l letters) Take(ctx context.Context, function, event string) (bus.DeadLetter, error) {
	list, err := l.box.List(ctx, mostLetters)
	if err != nil {
		return bus.DeadLetter{}, err
	}
	for _, one := range list.Letters {
		if one.Destination != function || one.Attributes().ID != event {
			continue
		}
		d := bus.DeadLetter{Function: function, Error: one.Error, Tries: one.Count, At: one.Last}
		if err := json.Unmarshal(one.Event, &d.Event); err != nil {
			return bus.DeadLetter{}, fmt.Errorf("inprocess: decode dead letter %s: %w", one.ID, err)
		}
		return d, l.box.Discard(ctx, one.ID)
	}
	return bus.DeadLetter{}, fn.Faultf(fn.NotFound, "inprocess: no dead letter of %s for %s", event, function)
}

// sendAgain delivers a letter's event to the function that did not take it.
func (h *Host) sendAgain(ctx context.Context, l deadletter.Letter) error {
	var e events.Envelope
	if err := json.Unmarshal(l.Event, &e); err != nil {
		return fmt.Errorf("inprocess: decode dead letter %s: %w", l.ID, err)
	}
	return h.Bus.Direct(ctx, l.Destination, e)
}
