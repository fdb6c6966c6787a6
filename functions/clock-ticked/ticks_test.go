package clockticked_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relevo-ci/relevo/events"
	clockticked "github.com/relevo-ci/relevo/functions/clock-ticked"
)

// TestTicksWhileThereIsSomethingToSend: one event that wakes the clock causes
// another tick each five seconds while the outboxes hold what nobody took, and
// one that finds nothing more; it ends after the tick that is beyond 40 s, and
// with whoever waits for it.
func TestTicksWhileThereIsSomethingToSend(t *testing.T) {
	errAway := errors.New("away")
	for name, c := range map[string]struct {
		young bool          // what waits may yet be published
		away  time.Duration // what is delivered is taken after that
		limit time.Duration // of the request
		want  time.Duration // that it takes
		err   error         // among those that it returns
	}{
		"nothing":            {young: true},
		"taken at once":      {want: 5 * time.Second},
		"taken after a time": {away: 12 * time.Second, want: 20 * time.Second, err: errAway},
		"never taken":        {away: time.Hour, want: 45 * time.Second, err: errAway},
		"cut off":            {away: time.Hour, limit: 7 * time.Second, want: 7 * time.Second, err: context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var began time.Time
				taken := map[string]bool{}
				clock := waiting(t, func(_ context.Context, e events.Envelope) error {
					if time.Since(began) < c.away {
						return errAway
					}
					taken[e.RunID] = true
					return nil
				})
				if !c.young {
					time.Sleep(10 * time.Second) // long enough to count as not published
				}
				ctx := t.Context()
				if c.limit > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.limit)
					defer cancel()
				}
				began = time.Now()
				out, err := clockticked.New(clock).Handle(ctx, events.Envelope{})
				if took := time.Since(began); took != c.want || len(out) > 0 || !errors.Is(err, c.err) || (err != nil) != (c.err != nil) {
					t.Errorf("after %v, want %v: %v, %v", took, c.want, out, err)
				}
				if want := !c.young && c.away < time.Minute; (len(taken) == 3) != want {
					t.Errorf("taken: %v", taken)
				}
			})
		})
	}
}
