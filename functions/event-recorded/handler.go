// Package eventrecorded hears every event: it keeps the read models up with what
// changed, and records the event in the console's feed.
package eventrecorded

import (
	"context"
	"errors"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
)

// Feed keeps events for those who watch. Record may be called twice with the
// same event: the feed shows it once.
type Feed interface {
	Record(ctx context.Context, e events.Envelope) error
}

// Views keeps read models. Project may be called twice with the same event, and
// late: it goes by the document as it is now.
type Views interface {
	Project(ctx context.Context, e events.Envelope) error
}

// New makes the function. Either may be nil.
//
// Rows come first: who looks again because of an event finds what it tells. An
// event whose rows cannot be put is shown all the same, and comes again.
func New(feed Feed, views Views) fn.Function {
	return fn.Function{
		Name: "event-recorded", Context: events.Access, On: fn.Everything,
		Doc: "keeps the read models, and records every event in the console's feed",
		Handle: func(ctx context.Context, e events.Envelope) ([]events.Envelope, error) {
			var behind, missed error
			if views != nil {
				behind = views.Project(ctx, e)
			}
			if feed != nil {
				missed = feed.Record(ctx, e)
			}
			return nil, errors.Join(behind, missed)
		},
	}
}
