package limit_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/shared/limit"
	"github.com/relevo-ci/relevo/shared/limit/limittest"
)

func TestSuite(t *testing.T) {
	limittest.Suite(t, func(*testing.T) limittest.Fixture {
		now := time.Unix(1_000_000, 0)
		m := &limit.Memory{Now: func() time.Time { return now }}
		return limittest.Fixture{Processes: []limit.Limits{m}, Pass: func(_ *testing.T, d time.Duration) { now = now.Add(d) }}
	})
}

// TestExact: with a clock that stands, to the nanosecond.
func TestExact(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	m := &limit.Memory{Now: func() time.Time { return now }}
	b := limit.Bound{Rate: 2, Burst: 3}
	for _, step := range []struct{ pass, want time.Duration }{
		{0, 0},
		{0, 0},
		{0, 0},
		{0, 500 * time.Millisecond},
		{499 * time.Millisecond, time.Millisecond},
		{time.Millisecond, 0},
		{0, 500 * time.Millisecond},
		{time.Hour, 0},
		{0, 0},
		{0, 0},
		{0, 500 * time.Millisecond},
	} {
		now = now.Add(step.pass)
		if d, err := m.Wait(t.Context(), "caller", "ana", b); d != step.want || err != nil {
			t.Errorf("after %v it waits %v, not %v (%v)", step.pass, d, step.want, err)
		}
	}
}

// TestForgets: callers without number do not fill the memory.
func TestForgets(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	m := &limit.Memory{Now: func() time.Time { return now }}
	for i := range 100_000 {
		if _, err := m.Wait(t.Context(), "stranger", strconv.Itoa(i), limit.Bound{Rate: 1, Burst: 1}); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Microsecond)
	}
	if n := m.Kept(); n > 10_000 {
		t.Errorf("%d are kept", n)
	}
}
