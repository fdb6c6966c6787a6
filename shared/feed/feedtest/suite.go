// Package feedtest is the suite that every feed.Feed passes.
package feedtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/feed"
)

// Open makes an empty feed of at most count events and bytes of their frames,
// unlike any other.
type Open func(t *testing.T, count int, bytes int64) feed.Feed

// Run tries the suite on feeds that open makes.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*testing.T, Open){
		"in order":         inOrder,
		"once":             once,
		"bounded by count": boundedByCount,
		"bounded by bytes": boundedByBytes,
		"foreign position": foreignPosition,
		"waits":            waits,
		"many readers":     manyReaders,
		"frames":           frames,
		"refuses":          refuses,
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

// Event is the nth of its kind, of a run of its own.
func Event(n int) events.Envelope {
	e, err := events.New(fmt.Sprintf("id-%d", n), "/relevo/test", "", time.Date(2030, 1, 1, 0, 0, n, 0, time.UTC),
		events.RunStarted{RunRef: events.RunRef{Run: events.RunID(fmt.Sprintf("run-%d", n))}})
	if err != nil {
		panic(err)
	}
	return e
}

// record keeps events number from to to, both included.
func record(t *testing.T, f feed.Feed, from, to int) {
	t.Helper()
	for n := from; n <= to; n++ {
		if err := f.Record(t.Context(), Event(n)); err != nil {
			t.Fatal(err)
		}
	}
}

func next(t *testing.T, f feed.Feed, after feed.Position, n int) feed.Batch {
	t.Helper()
	b, err := f.Next(t.Context(), after, n)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Runs gives the numbers of a batch's events, in order.
func Runs(b feed.Batch) string {
	var s []string
	for _, e := range b.Entries {
		s = append(s, strings.TrimPrefix(e.RunID, "run-"))
	}
	return strings.Join(s, " ")
}

func inOrder(t *testing.T, open Open) {
	f := open(t, 100, 1<<20)
	record(t, f, 1, 5)
	first := next(t, f, feed.Oldest, 2)
	rest := next(t, f, first.Last(), 100)
	if got := Runs(first) + "|" + Runs(rest); got != "1 2|3 4 5" {
		t.Errorf("read %s", got)
	}
	if first.Gap || rest.Gap {
		t.Error("a gap where there is none")
	}
	last, err := f.Last(t.Context())
	if err != nil || last != rest.Last() {
		t.Errorf("the last position is %s (%v), not %s", last, err, rest.Last())
	}
	record(t, f, 6, 6)
	if got := Runs(next(t, f, last, 100)); got != "6" {
		t.Errorf("from the last position: %s", got)
	}
}

func once(t *testing.T, open Open) {
	f := open(t, 100, 1<<20)
	record(t, f, 1, 3)
	record(t, f, 2, 4)
	if got := Runs(next(t, f, feed.Oldest, 100)); got != "1 2 3 4" {
		t.Errorf("kept %s", got)
	}
}

func boundedByCount(t *testing.T, open Open) {
	f := open(t, 3, 1<<20)
	record(t, f, 1, 2)
	behind := next(t, f, feed.Oldest, 1).Last()
	record(t, f, 3, 10)
	b := next(t, f, behind, 100)
	if Runs(b) != "8 9 10" || !b.Gap || b.Missed != 6 {
		t.Errorf("got %q, gap %v of %d; want 8 9 10 and a gap of 6", Runs(b), b.Gap, b.Missed)
	}
	if b := next(t, f, feed.Oldest, 100); b.Gap || Runs(b) != "8 9 10" {
		t.Errorf("from the oldest: %q, gap %v", Runs(b), b.Gap)
	}
	record(t, f, 3, 3) // fell out: it is news again
	if got := Runs(next(t, f, feed.Oldest, 100)); got != "9 10 3" {
		t.Errorf("an event that fell out and came again: %s", got)
	}
}

func boundedByBytes(t *testing.T, open Open) {
	f := open(t, 1000, 1<<20)
	record(t, f, 1, 1)
	size := int64(len(next(t, f, feed.Oldest, 1).Entries[0].Frame))
	f = open(t, 1000, 4*size)
	record(t, f, 1, 9)
	if got := Runs(next(t, f, feed.Oldest, 100)); got != "6 7 8 9" {
		t.Errorf("kept %s of four events' bytes", got)
	}
	f = open(t, 1000, 1)
	record(t, f, 1, 2)
	if got := Runs(next(t, f, feed.Oldest, 100)); got != "2" {
		t.Errorf("kept %s; the newest stays whatever its size", got)
	}
}

func foreignPosition(t *testing.T, open Open) {
	other := open(t, 10, 1<<20)
	record(t, other, 1, 7)
	foreign, err := other.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := open(t, 10, 1<<20)
	record(t, f, 8, 9)
	if b := next(t, f, foreign, 10); !b.Gap || b.Missed != 0 || Runs(b) != "8 9" {
		t.Errorf("got %q, gap %v of %d", Runs(b), b.Gap, b.Missed)
	}
}

// waits: who asks before there is anything gets it when it comes; who asked for
// so long only hears that nothing came, and misses nothing.
func waits(t *testing.T, open Open) {
	f := open(t, 10, 1<<20)
	last, err := f.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	brief, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := f.Next(brief, last, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nothing came, and Next said %v", err)
	}
	var got [3]string
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			b, err := f.Next(t.Context(), last, 1)
			if err != nil {
				t.Error(err)
			}
			got[i] = Runs(b)
		})
	}
	record(t, f, 1, 1)
	wg.Wait()
	for _, g := range got {
		if g != "1" {
			t.Errorf("a reader that waited got %q", g)
		}
	}
}

// Readers that come and go while events arrive see each once and in order.
func manyReaders(t *testing.T, open Open) {
	const count = 2000
	f := open(t, count, 64<<20)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			at, seen := feed.Oldest, 0
			for seen < count {
				b, err := f.Next(t.Context(), at, 7)
				if err != nil || b.Gap {
					t.Errorf("after %s: %v, gap %v", at, err, b.Gap)
					return
				}
				for _, e := range b.Entries {
					seen++
					if want := fmt.Sprintf("run-%d", seen); e.RunID != want {
						t.Errorf("got %s, want %s", e.RunID, want)
						return
					}
				}
				at = b.Last()
			}
		})
	}
	record(t, f, 1, count)
	wg.Wait()
}

func frames(t *testing.T, open Open) {
	f := open(t, 10, 1<<20)
	want := Event(1)
	want.Data = []byte("{\n \"run\": \"line\\nbreak\"}")
	if err := f.Record(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	e := next(t, f, feed.Oldest, 1).Entries[0]
	frame := string(e.Frame)
	if frame != "id: "+string(e.Position)+"\nevent: "+string(want.Type)+"\ndata: "+string(e.JSON())+"\n\n" {
		t.Errorf("the frame is %q", frame)
	}
	if strings.Count(frame, "\n") != 4 {
		t.Errorf("%d line ends in %q, of which a reader makes as many fields", strings.Count(frame, "\n"), frame)
	}
	got, err := e.Envelope()
	if err != nil || got.ID != want.ID || string(got.Data) != `{"run":"line\nbreak"}` {
		t.Errorf("decoded %+v, %v", got, err)
	}
}

func refuses(t *testing.T, open Open) {
	f := open(t, 10, 1<<20)
	forged := Event(1)
	forged.Type = "x\nid: 7"
	if err := f.Record(t.Context(), forged); !errors.Is(err, events.ErrInvalid) {
		t.Errorf("a type of two lines: %v", err)
	}
	torn := Event(1)
	torn.Data = []byte("{")
	if err := f.Record(t.Context(), torn); !errors.Is(err, events.ErrInvalid) {
		t.Errorf("data that is no JSON: %v", err)
	}
	for _, p := range []feed.Position{"", "1", ".1", "a.-1", "a.01", "a.1 ", "a\n.1", "é.1", feed.Position(strings.Repeat("a", 80)) + ".1"} {
		if _, err := f.Next(t.Context(), p, 1); !errors.Is(err, feed.ErrInvalid) {
			t.Errorf("position %q: %v", p, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Record(ended, Event(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("recorded for nobody: %v", err)
	}
}
