// Package eventemitted answers execution.event.emitted: it publishes the event
// that a step emitted as the user's own, under its own type.
package eventemitted

import (
	"context"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/fn"
)

// New makes the function. A delivery that comes twice gives the same event.
func New() fn.Function {
	return fn.On("event-emitted", events.Execution, "publishes the CloudEvents that steps emit",
		func(_ context.Context, e events.Event[events.EventEmitted]) ([]events.Envelope, error) {
			// Nobody but Relevo itself speaks under its types.
			if err := (execution.Emitted{Index: e.Data.Index, Type: e.Data.Name, Subject: e.Data.About, Data: e.Data.Content}).Check(); err != nil {
				return nil, fn.Faultf(fn.Invalid, "event-emitted: %w", err)
			}
			return []events.Envelope{{
				ID: events.DeriveID("event-emitted", e.ID), Source: "/relevo/" + e.Data.Subject(), Type: events.Type(e.Data.Name),
				Subject: e.Data.About, Time: e.Time, Data: e.Data.Content, CauseID: e.ID,
				RunID: string(e.Data.Run), PartitionKey: string(e.Data.Run), Traceparent: e.Traceparent, Tracestate: e.Tracestate,
			}}, nil
		})
}
