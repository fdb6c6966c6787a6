package scheduling_test

import (
	"slices"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/shared/domain/scheduling"
)

func TestForecast(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC)
	const s = time.Second
	for _, c := range []struct {
		name    string
		running []time.Duration // for how long by now
		took    []time.Duration
		n       int
		want    []time.Duration // from now
	}{
		{"nothing is known", []time.Duration{s}, nil, 2, nil},
		{"nothing runs", nil, []time.Duration{s}, 2, nil},
		{"one place, in turn", []time.Duration{4 * s}, []time.Duration{10 * s}, 3, []time.Duration{6 * s, 16 * s, 26 * s}},
		{"two places", []time.Duration{0, 4 * s}, []time.Duration{10 * s}, 4, []time.Duration{6 * s, 10 * s, 16 * s, 20 * s}},
		{"of those that take longer", []time.Duration{20 * s}, []time.Duration{s, 2 * s, 30 * s, 60 * s, 90 * s}, 2, []time.Duration{40 * s, 70 * s}},
		{"longer than any", []time.Duration{10 * s}, []time.Duration{3 * s, 10 * s}, 1, nil},
		{"longer than any, beside another", []time.Duration{99 * s, 4 * s}, []time.Duration{10 * s}, 2, []time.Duration{6 * s, 16 * s}},
	} {
		var running []time.Time
		for _, d := range c.running {
			running = append(running, now.Add(-d))
		}
		var got []time.Duration
		for _, at := range scheduling.Forecast(now, running, c.took, c.n) {
			got = append(got, at.Sub(now))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
