package agent

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/agent/mask"
	"github.com/relevo-ci/relevo/shared/agent/report"
	"github.com/relevo-ci/relevo/shared/domain/execution"
)

func TestSecretsAreTriedForAWhile(t *testing.T) {
	away := errors.New("connection refused")
	for _, c := range []struct {
		name  string
		err   func(try int) error
		stop  bool
		want  error
		after time.Duration // at most
	}{
		{"after a while", func(try int) error {
			if try < 100 {
				return away
			}
			return nil
		}, false, nil, 2 * time.Minute},
		{"never", func(int) error { return away }, false, away, secretsWithin + time.Minute},
		{"gone", func(int) error { return report.ErrGone }, false, report.ErrGone, 0},
		{"stopped", func(int) error { return away }, true, away, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			try := 0
			a := &attempt{
				launch: &execution.Launch{HasSecrets: true}, log: slog.New(slog.DiscardHandler), masks: &mask.Set{},
				reporter: report.New(report.Config{}), stops: newStops(),
				fetch: func(context.Context, *execution.SecretsRequest) (execution.Secrets, error) {
					try++
					return execution.Secrets{Values: map[string]string{"A": "hunter2"}}, c.err(try)
				},
			}
			if c.stop {
				a.stops.ask(events.Cancelled, "why")
			}
			began := time.Now()
			secrets, err := a.secrets(t.Context())
			if !errors.Is(err, c.want) || time.Since(began) > c.after {
				t.Errorf("%s: %v after %v", c.name, err, time.Since(began))
			}
			if (err == nil) != (secrets.Values["A"] == "hunter2" && a.masks.Text("hunter2") == mask.Stars) {
				t.Errorf("%s: %q, %q", c.name, secrets.Values, a.masks.Text("hunter2"))
			}
		})
	}
}
