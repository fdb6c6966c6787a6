package redis_test

import (
	"context"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/relevo-ci/relevo/shared/limit"
	"github.com/relevo-ci/relevo/shared/limit/limittest"
	"github.com/relevo-ci/relevo/shared/redis"
	"github.com/relevo-ci/relevo/shared/redis/server"
)

// limited are three processes on the Redis at url, of which nobody is counted
// yet.
func limited(t *testing.T, url string) limittest.Fixture {
	t.Helper()
	wipe(t, url)
	pass := fixture(t, url).Pass
	f := limittest.Fixture{Pass: pass}
	for range 3 {
		f.Processes = append(f.Processes, open(t, url).Limits())
	}
	return f
}

func direct(t *testing.T, url string) *goredis.Client {
	t.Helper()
	o, err := goredis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := goredis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func wipe(t *testing.T, url string) {
	t.Helper()
	if err := direct(t, url).FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestLimits(t *testing.T) {
	s := start(t, t.TempDir(), server.Options{Fsync: server.FsyncNever})
	limittest.Suite(t, func(t *testing.T) limittest.Fixture { return limited(t, s.URL()) })
}

func TestLimitsEmbedded(t *testing.T) {
	e := embed(t)
	limittest.Suite(t, func(t *testing.T) limittest.Fixture { return limited(t, e.URL()) })
}

// TestLimitsLeaveNothing: what is kept of a caller goes when it says nothing any
// more.
func TestLimitsLeaveNothing(t *testing.T) {
	url := start(t, t.TempDir(), server.Options{Fsync: server.FsyncNever}).URL()
	l := open(t, url).Limits()
	b := limit.Bound{Rate: 0.01, Burst: 10}
	for range 2 {
		if d, err := l.Wait(t.Context(), "stranger", "192.0.2.1", b); d != 0 || err != nil {
			t.Fatal(d, err)
		}
	}
	left, err := direct(t, url).PTTL(t.Context(), "relevo:{limits}:stranger:192.0.2.1").Result()
	if err != nil || left < 100*time.Second || left > 200*time.Second {
		t.Errorf("it goes after %v (%v)", left, err)
	}
}

// TestLimitsOfARedisThatIsAway: it says so, and holds nobody up for long.
func TestLimitsOfARedisThatIsAway(t *testing.T) {
	e := embed(t)
	l := open(t, e.URL()).Limits()
	e.Close()
	if d, err := l.Wait(t.Context(), "caller", "ana", limit.Bound{Rate: 1, Burst: 1}); d != 0 || err == nil {
		t.Errorf("a wait of %v, %v", d, err)
	}
}

// BenchmarkLimits is what counting adds to a request.
func BenchmarkLimits(b *testing.B) {
	s, err := server.Start(b.Context(), b.TempDir(), server.Options{Fsync: server.FsyncNever})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Stop(context.WithoutCancel(b.Context())) }()
	store, err := redis.Open(b.Context(), s.URL(), redis.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	l := store.Limits()
	for b.Loop() {
		if _, err := l.Wait(b.Context(), "caller", "ana", limit.Bound{Rate: 1e6, Burst: 1 << 30}); err != nil {
			b.Fatal(err)
		}
	}
}
