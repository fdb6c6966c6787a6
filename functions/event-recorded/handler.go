// Package eventrecorded hears every event and records it in the console's feed.
package eventrecorded

import (
	"context"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
)

// Feed keeps events for those who watch. Record may be called twice with the
// same event: the feed shows it once.
type Feed interface {
	Record(ctx context.Context, e events.Envelope) error
}

// New makes the function.
func New(feed Feed) fn.Function {
	return fn.Function{
		Name: "event-recorded", Context: events.Access, On: fn.Everything,
		Doc: "records every event in the console's feed",
		Handle: func(ctx context.Context, e events.Envelope) ([]events.Envelope, error) {
			return nil, feed.Record(ctx, e)
		},
	}
}
