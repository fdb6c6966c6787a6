// Package runcompletedlogs answers the end of a run: it moves logs that are closed
// to where there is room for long.
package runcompletedlogs

import (
	"context"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
)

const name = "run-completed-logs"

// most is how many logs one event moves; the next one moves what is left.
const most = 256

// Tidy moves up to limit closed logs and tells how many. It may run at any time,
// by any number at once.
type Tidy func(ctx context.Context, limit int) (moved int, err error)

// New makes the function. Logs of attempts whose worker was lost are closed a
// little after their run: another run's end, or the clock, moves them.
func New(tidy Tidy) fn.Function {
	return fn.Function{
		Name: name, Context: events.Execution, On: events.TypeRunCompleted,
		Also: []events.Type{events.TypeRunFailed, events.TypeRunCancelled},
		Doc:  "moves closed logs to where there is room for long",
		Handle: func(ctx context.Context, _ events.Envelope) ([]events.Envelope, error) {
			if _, err := tidy(ctx, most); err != nil {
				return nil, fn.Faultf(fn.Transient, "%s: %w", name, err)
			}
			return nil, nil
		},
	}
}
