package eventrecorded_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/relevo-ci/relevo/events"
	eventrecorded "github.com/relevo-ci/relevo/functions/event-recorded"
)

// both writes down what is asked of it, in order.
type both struct {
	calls []string
	fails map[string]error
}

func (b *both) Record(context.Context, events.Envelope) error  { return b.call("feed") }
func (b *both) Project(context.Context, events.Envelope) error { return b.call("rows") }

func (b *both) call(what string) error {
	b.calls = append(b.calls, what)
	return b.fails[what]
}

// TestRowsComeFirst: who looks again because of an event finds what it tells. What
// fails of one holds up no other, and lets the event come again.
func TestRowsComeFirst(t *testing.T) {
	away := errors.New("away")
	for name, fails := range map[string]map[string]error{"well": {}, "rows": {"rows": away}, "feed": {"feed": away}} {
		b := &both{fails: fails}
		out, err := eventrecorded.New(b, b).Handle(t.Context(), events.Envelope{Type: events.TypeRunStarted})
		if (err != nil) != (len(fails) > 0) || len(out) > 0 || !slices.Equal(b.calls, []string{"rows", "feed"}) {
			t.Errorf("%s: %v, %v, %v", name, b.calls, out, err)
		}
	}
}

// TestEitherMayBeMissing: without one of them the other is served.
func TestEitherMayBeMissing(t *testing.T) {
	b := &both{}
	for _, f := range []struct {
		feed  eventrecorded.Feed
		views eventrecorded.Views
	}{{nil, b}, {b, nil}} {
		if _, err := eventrecorded.New(f.feed, f.views).Handle(t.Context(), events.Envelope{}); err != nil {
			t.Error(err)
		}
	}
	if !slices.Equal(b.calls, []string{"rows", "feed"}) {
		t.Errorf("calls %v", b.calls)
	}
}
