package feed_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relevo-ci/relevo/shared/feed"
	"github.com/relevo-ci/relevo/shared/feed/feedtest"
)

func TestMemory(t *testing.T) {
	feedtest.Run(t, func(_ *testing.T, count int, bytes int64) feed.Feed { return feed.NewMemory(count, bytes) })
}

func TestNextWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := feed.NewMemory(10, 1<<20)
		last, err := f.Last(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got [3]string
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() {
				b, err := f.Next(t.Context(), last, 10)
				if err != nil {
					t.Error(err)
				}
				got[i] = feedtest.Runs(b)
			})
		}
		synctest.Wait() // all of them wait
		if err := f.Record(t.Context(), feedtest.Event(1)); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		for _, g := range got {
			if g != "1" {
				t.Errorf("a reader that waited got %q", g)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		last, _ = f.Last(ctx)
		if _, err := f.Next(ctx, last, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("nothing came, and Next said %v", err)
		}
	})
}

// Whatever is taken for a position can stand in a header, and names itself.
func FuzzPosition(f *testing.F) {
	for _, s := range []string{"0", "", "abc.1", "a.b.2", "x.18446744073709551615", "x.18446744073709551616", "\r\n.1", "a.+1"} {
		f.Add(s)
	}
	window := feed.NewMemory(10, 1<<20)
	if err := window.Record(context.Background(), feedtest.Event(1)); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p := feed.Position(s)
		b, err := window.Next(t.Context(), p, 1)
		switch {
		case p.Valid() != (err == nil):
			t.Errorf("%q is valid: %v, and Next says %v", s, p.Valid(), err)
		case err != nil && !errors.Is(err, feed.ErrInvalid):
			t.Errorf("%q: %v", s, err)
		case err == nil && (feedtest.Runs(b) != "1" || strings.ContainsAny(s, "\r\n\x00 ")):
			t.Errorf("%q read %q", s, feedtest.Runs(b))
		}
	})
}

func ExampleMemory() {
	ctx := context.Background()
	f := feed.NewMemory(1000, 1<<20)
	for n := 1; n <= 3; n++ {
		if err := f.Record(ctx, feedtest.Event(n)); err != nil {
			fmt.Println(err)
		}
	}
	at := feed.Oldest
	for range 3 {
		b, err := f.Next(ctx, at, 1)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(b.Entries[0].Type, b.Entries[0].RunID)
		at = b.Last()
	}
	// Output:
	// dev.relevo.pipeline.run.started.v1 run-1
	// dev.relevo.pipeline.run.started.v1 run-2
	// dev.relevo.pipeline.run.started.v1 run-3
}
