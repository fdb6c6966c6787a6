// Package limittest is what every adapter of limit.Limits must hold.
package limittest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/shared/limit"
)

// Fixture is a limit.Limits under test.
type Fixture struct {
	// Processes are several views of the same counts, one a process.
	Processes []limit.Limits
	// Pass lets that much time go by there, and not much more.
	Pass func(t *testing.T, d time.Duration)
}

// seldom gives nothing back while a test runs.
var seldom = limit.Bound{Rate: 1.0 / 3600, Burst: 3}

// Suite tries what open makes anew for each test.
func Suite(t *testing.T, open func(t *testing.T) Fixture) {
	t.Helper()
	for name, try := range map[string]func(*testing.T, Fixture){
		"a burst and no more": burst, "room comes back": comes, "callers and kinds apart": apart,
		"no bound": unbounded, "all at once": atOnce, "names of any kind": names, "often": often,
	} {
		t.Run(name, func(t *testing.T) { try(t, open(t)) })
	}
}

// wait asks the i-th process.
func wait(t *testing.T, f Fixture, i int, kind, caller string, b limit.Bound) time.Duration {
	t.Helper()
	d, err := f.Processes[i%len(f.Processes)].Wait(t.Context(), kind, caller, b)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// burst: whichever process is asked, all of them together let through so many.
func burst(t *testing.T, f Fixture) {
	for i := range 3 {
		if d := wait(t, f, i, "caller", "ana", seldom); d != 0 {
			t.Errorf("request %d waits %v", i, d)
		}
	}
	for i := range 5 { // those that are refused do not count
		if d := wait(t, f, i, "caller", "ana", seldom); d <= 50*time.Minute || d > time.Hour {
			t.Errorf("one too many waits %v", d)
		}
	}
	if d := wait(t, f, 0, "caller", "bea", limit.Bound{Rate: seldom.Rate}); d != 0 {
		t.Errorf("without a burst not one is let through: %v", d)
	}
	if d := wait(t, f, 1, "caller", "bea", limit.Bound{Rate: seldom.Rate}); d == 0 {
		t.Error("without a burst two are let through at once")
	}
}

// comes: after the time that was told there is room for one, and never for more
// than the burst.
func comes(t *testing.T, f Fixture) {
	b := limit.Bound{Rate: 4, Burst: 2}
	until := func() (n int, d time.Duration) {
		for n = range 100 {
			if d = wait(t, f, n, "caller", "ana", b); d > 0 {
				return n, d
			}
		}
		return n, 0
	}
	n, d := until()
	if n < 2 || d > 250*time.Millisecond {
		t.Errorf("%d at once, then a wait of %v", n, d)
	}
	f.Pass(t, d+10*time.Millisecond) // clocks do not all go at the same pace
	if got := wait(t, f, 0, "caller", "ana", b); got != 0 {
		t.Errorf("after what was told there is a wait of %v", got)
	}
	f.Pass(t, 2*time.Second) // room for eight, were it kept
	began := time.Now()
	n, _ = until()
	if most := 3 + int(b.Rate*time.Since(began).Seconds()); n < 2 || n > most { // more come while it asks
		t.Errorf("%d at once after a rest", n)
	}
}

func apart(t *testing.T, f Fixture) {
	for range 3 {
		wait(t, f, 0, "caller", "ana", seldom)
	}
	for _, c := range [][2]string{{"caller", "bob"}, {"stranger", "ana"}, {"caller", "ana "}, {"calle", "rana"}} {
		if d := wait(t, f, 0, c[0], c[1], seldom); d != 0 {
			t.Errorf("%q waits %v for another", c, d)
		}
	}
}

func unbounded(t *testing.T, f Fixture) {
	for i := range 500 {
		if d := wait(t, f, i, "caller", "ana", limit.Bound{Burst: 1}); d != 0 {
			t.Fatalf("without a rate request %d waits %v", i, d)
		}
	}
}

// atOnce: requests that come together are counted one by one.
func atOnce(t *testing.T, f Fixture) {
	b := limit.Bound{Rate: seldom.Rate, Burst: 20}
	var mu sync.Mutex
	var wg sync.WaitGroup
	through := 0
	for i := range 60 {
		wg.Go(func() {
			d, err := f.Processes[i%len(f.Processes)].Wait(t.Context(), "caller", "ana", b)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			} else if d == 0 {
				through++
			}
		})
	}
	wg.Wait()
	if through != 20 {
		t.Errorf("%d of 60 were let through, not 20", through)
	}
}

// names: what a caller is called is data.
func names(t *testing.T, f Fixture) {
	for i, name := range []string{"", "a:b", "{x}", "a\r\nb", "\x00", "%7B", "ünï", fmt.Sprintf("%01000d", 0)} {
		for k := range 4 {
			if d := wait(t, f, i+k, "caller", name, seldom); (d > 0) != (k == 3) {
				t.Errorf("request %d of %.20q waits %v", k, name, d)
			}
		}
	}
}

// often: high rates are counted as exactly as low ones.
func often(t *testing.T, f Fixture) {
	b := limit.Bound{Rate: 1e6, Burst: 1 << 30}
	for i := range 200 {
		if d := wait(t, f, i, "caller", "ana", b); d != 0 {
			t.Fatalf("request %d waits %v", i, d)
		}
	}
}
