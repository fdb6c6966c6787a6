package api_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/feed"
	"github.com/relevo-ci/relevo/shared/redis"
	"github.com/relevo-ci/relevo/shared/redis/server"
)

const (
	burst    = 100_000
	bursters = 8 // record at once
)

// TestABurstAcrossAHundredCuts: a subscriber that is cut off a hundred times in a
// burst of 100,000 events, each time within a frame, sees each once and in the
// order of the feed. The window holds all of them, so there is no gap.
func TestABurstAcrossAHundredCuts(t *testing.T) {
	const room = 256 << 20
	t.Run("Memory", func(t *testing.T) { acrossCuts(t, feed.NewMemory(burst, room)) })
	t.Run("Redis", func(t *testing.T) {
		srv, err := server.Start(t.Context(), t.TempDir(), server.Options{Fsync: server.FsyncNever})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = srv.Stop(context.WithoutCancel(t.Context())) })
		store, err := redis.Open(t.Context(), srv.URL(), redis.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		acrossCuts(t, store.Feed(redis.FeedBounds{Events: burst, Bytes: room}))
	})
}

func acrossCuts(t *testing.T, f feed.Feed) {
	const wanted = 100
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	w := newWorld(t, func(w *world) { w.api.Feed = f })
	first, err := f.Last(ctx)
	if err != nil {
		t.Fatal(err)
	}
	frame, err := feed.Encode(burstEvent(t, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	// No connection lives for more than a hundredth of what is sent.
	cutter := newCuts(w.http, int64(len(frame))*burst/(wanted+10), wanted)
	s := httptest.NewServer(cutter)
	defer s.Close()
	defer w.api.Close()
	var recording sync.WaitGroup
	defer recording.Wait()
	for by := range bursters {
		recording.Go(func() {
			for n := range burst / bursters {
				if err := f.Record(ctx, burstEvent(t, by, n)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	c := &client.Client{BaseURL: s.URL, HTTP: s.Client(), Pause: noPause}
	inOrder(ctx, t, c, first)
	if got := cutter.count.Load(); got < wanted {
		t.Errorf("only %d connections were cut: the test shows little", got)
	}
}

// inOrder reads the burst: the places follow one another, and of each recorder
// come its events, in its order.
func inOrder(ctx context.Context, t *testing.T, c *client.Client, first feed.Position) {
	t.Helper()
	at, err := first.Place()
	if err != nil {
		t.Fatal(err)
	}
	var seen [bursters]int
	total := 0
	for e, err := range c.Events(ctx, client.EventOptions{After: string(first)}) {
		if err != nil || e.Gap != nil {
			t.Fatalf("after %d events: %v, gap %+v", total, err, e.Gap)
		}
		at.N++
		if e.Position != string(at.Position()) {
			t.Fatalf("event %s stands at %s, want %s", e.ID, e.Position, at.Position())
		}
		var by, n int
		if _, err := fmt.Sscanf(e.ID, "burst-%d-%d", &by, &n); err != nil || n != seen[by] {
			t.Fatalf("got %s, want number %d: %v", e.ID, seen[by], err)
		}
		seen[by]++
		if total++; total == burst {
			return
		}
	}
}

func burstEvent(t *testing.T, by, n int) events.Envelope {
	e, err := events.New(fmt.Sprintf("burst-%d-%d", by, n), "/relevo/test", "", time.Unix(int64(n), 0),
		events.RunStarted{RunRef: events.RunRef{Run: events.RunID(fmt.Sprintf("%026d", n))}})
	if err != nil {
		t.Error(err)
	}
	return e
}
