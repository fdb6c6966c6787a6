package redis_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/feed"
	"github.com/relevo-ci/relevo/shared/feed/feedtest"
	"github.com/relevo-ci/relevo/shared/redis"
	"github.com/relevo-ci/relevo/shared/redis/server"
)

func TestFeed(t *testing.T) {
	feedtest.Run(t, func(t *testing.T, count int, bytes int64) feed.Feed {
		s := start(t, t.TempDir(), server.Options{Fsync: server.FsyncNever})
		return open(t, s.URL()).Feed(redis.FeedBounds{Events: count, Bytes: bytes})
	})
}

func TestFeedEmbedded(t *testing.T) {
	feedtest.Run(t, func(t *testing.T, count int, bytes int64) feed.Feed {
		return open(t, embed(t).URL()).Feed(redis.FeedBounds{Events: count, Bytes: bytes})
	})
}

// TestFeedIsOneForAllProcesses: several record, the same events among them, and
// each reader elsewhere sees every one once, in one order.
func TestFeedIsOneForAllProcesses(t *testing.T) {
	const recorders, readers, count = 3, 3, 200
	url := start(t, t.TempDir(), server.Options{Fsync: server.FsyncNever}).URL()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	seen := make(chan []string, readers)
	for range readers {
		f := open(t, url).Feed(redis.FeedBounds{})
		go func() {
			var ids []string
			for at := feed.Oldest; len(ids) < count; {
				b, err := f.Next(ctx, at, 16)
				if err != nil || b.Gap {
					t.Errorf("after %s: %v, gap %v", at, err, b.Gap)
					break
				}
				for _, e := range b.Entries {
					ids = append(ids, e.RunID)
				}
				at = b.Last()
			}
			seen <- ids
		}()
	}
	var recording sync.WaitGroup
	for r := range recorders {
		f := open(t, url).Feed(redis.FeedBounds{})
		recording.Go(func() {
			for i := range count {
				n := (i*7 + r*31) % count // each in an order of its own
				e, err := events.New(fmt.Sprint("id-", n), "/relevo/test", "", time.Unix(1, 0),
					events.RunStarted{RunRef: events.RunRef{Run: events.RunID(fmt.Sprint("run-", n))}})
				if err == nil {
					err = f.Record(ctx, e)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	recording.Wait()
	first := <-seen
	once := map[string]bool{}
	for _, id := range first {
		once[id] = true
	}
	if len(first) != count || len(once) != count {
		t.Errorf("%d entries of %d events, want %d", len(first), len(once), count)
	}
	for range readers - 1 {
		if other := <-seen; fmt.Sprint(other) != fmt.Sprint(first) {
			t.Error("two readers saw two orders")
		}
	}
}

// TestAFeedThatWasLostIsAGap: one process may begin it again, and a position in
// the lost one stands for nothing in the next, however far that has come.
func TestAFeedThatWasLostIsAGap(t *testing.T) {
	url := embed(t).URL()
	f := open(t, url).Feed(redis.FeedBounds{})
	record := func(from, to int) {
		t.Helper()
		for n := from; n <= to; n++ {
			if err := f.Record(t.Context(), feedtest.Event(n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	record(1, 3)
	at, err := f.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o, err := goredis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := goredis.NewClient(o)
	defer c.Close()
	if err := c.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	record(11, 15)
	if b, err := f.Next(t.Context(), at, 10); err != nil || !b.Gap || feedtest.Runs(b) != "11 12 13 14 15" {
		t.Errorf("%q, gap %v, %v", feedtest.Runs(b), b.Gap, err)
	}
}

// TestAPositionOutlivesTheProcess: the first to ask begins the feed, and a
// position that one process gave out is good at every other.
func TestAPositionOutlivesTheProcess(t *testing.T) {
	url := embed(t).URL()
	at, err := open(t, url).Feed(redis.FeedBounds{}).Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e, err := events.New("id", "/relevo/test", "", time.Unix(1, 0), events.RunStarted{RunRef: events.RunRef{Run: "run"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := open(t, url).Feed(redis.FeedBounds{}).Record(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	b, err := open(t, url).Feed(redis.FeedBounds{}).Next(t.Context(), at, 10)
	if err != nil || b.Gap || len(b.Entries) != 1 || b.Entries[0].RunID != "run" {
		t.Errorf("%+v, %v", b, err)
	}
}
