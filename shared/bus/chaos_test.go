package bus_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/bus"
	"github.com/relevo-ci/relevo/shared/fn"
)

func TestDirectGoesRoundABusThatLosesEverything(t *testing.T) {
	var j, seen journal
	b := start(
		t, bus.Options{Chaos: bus.Lose(100, 1)},
		j.on("a", "t.a", func(e events.Envelope) ([]events.Envelope, error) {
			return []events.Envelope{envelope("t.b", e.ID)}, nil
		}),
		j.on("b", "t.b", nil),
	)
	b.Tap(func(e events.Envelope) { seen.add(string(e.Type) + " " + e.ID) })
	publish(t, b, envelope("t.a", "1"))
	idle(t, b)
	same(t, "deliveries", j.all(), nil)
	if err := b.Direct(t.Context(), "a", envelope("t.a", "1")); err != nil {
		t.Fatal(err)
	}
	idle(t, b)
	same(t, "deliveries", j.all(), []string{"a 1"})
	same(t, "taps see what was published, and that alone", seen.all(), []string{"t.a 1", "t.b 1"})
	if err := b.Direct(t.Context(), "nobody", envelope("t.a", "1")); fn.KindOf(err) != fn.NotFound {
		t.Errorf("direct to nobody: %v", err)
	}
}

func TestDirectAllFollowsWhatIsEmitted(t *testing.T) {
	var j, seen journal
	var b *bus.Bus
	var inside error
	b = start(
		t, bus.Options{Chaos: bus.Lose(100, 1)},
		j.on("a", "t.a", func(e events.Envelope) ([]events.Envelope, error) {
			return []events.Envelope{envelope("t.b", e.ID+"l"), envelope("t.b", e.ID+"r")}, errors.New("after the commit")
		}),
		j.on("b", "t.b", func(e events.Envelope) ([]events.Envelope, error) {
			if e.ID == "1l" {
				panic("a defect")
			}
			return []events.Envelope{envelope("t.circle", "")}, nil
		}),
		j.on("circle", "t.circle", func(e events.Envelope) ([]events.Envelope, error) {
			return []events.Envelope{envelope("t.circle", e.ID+"x")}, nil
		}),
		fn.Function{Name: "publishes", On: "t.b", Handle: func(ctx context.Context, _ events.Envelope) ([]events.Envelope, error) {
			inside = b.Publish(ctx, envelope("t.a", "lost"))
			return nil, inside
		}},
	)
	b.Tap(func(e events.Envelope) { seen.add(e.ID) })
	err := b.DirectAll(t.Context(), envelope("t.a", "1"))
	if want := "after the commit\nbus: b panicked: a defect"; err == nil || err.Error() != want || inside != nil {
		t.Errorf("got %v, want %s; inside %v", err, want, inside)
	}
	if got := j.all(); len(got) != 18 || !slices.Equal(got[:5], []string{"a 1", "b 1l", "b 1r", "circle ", "circle x"}) {
		t.Errorf("deliveries %q: want 3, then the circle cut at depth 16", got)
	}
	// Two of t.b, what the other function published for each, sixteen circles.
	if got := seen.all(); len(got) != 20 || got[0] != "1l" {
		t.Errorf("taps saw %d: %q", len(got), got)
	}
	idle(t, b)
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.DirectAll(t.Context(), envelope("t.a", "1")); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
}

func TestLoseIsAShareAndRepeatable(t *testing.T) {
	count := func(percent int) (lost int) {
		chaos := bus.Lose(percent, 7)
		for range 10000 {
			if chaos.Fate(events.Envelope{}, "f").Lost {
				lost++
			}
		}
		return lost
	}
	if n := count(0); n != 0 {
		t.Errorf("0 %%: %d lost", n)
	}
	if n := count(100); n != 10000 {
		t.Errorf("100 %%: %d lost", n)
	}
	if n := count(30); n < 2700 || n > 3300 || n != count(30) {
		t.Errorf("30 %%: %d lost, then %d", n, count(30))
	}
}

func TestCopiesAndDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		chaos := bus.FateFunc(func(_ events.Envelope, function string) bus.Fate {
			if function == "late" {
				return bus.Fate{Copies: 2, Delay: time.Minute}
			}
			return bus.Fate{}
		})
		b := start(t, bus.Options{Chaos: chaos}, j.on("late", "t.a", nil), j.on("prompt", "t.a", nil))
		began := time.Now()
		publish(t, b, envelope("t.a", "1"))
		idle(t, b)
		same(t, "deliveries", j.all(), []string{"prompt 1", "late 1", "late 1", "late 1"})
		if took := time.Since(began); took != time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}

func TestTapsSeeEachEventOnceInOrder(t *testing.T) {
	var one, two journal
	b := start(t, bus.Options{}, (&journal{}).on("a", "t.a", func(e events.Envelope) ([]events.Envelope, error) {
		return []events.Envelope{envelope("t.b", e.ID)}, nil
	}))
	b.Tap(func(events.Envelope) { panic("a defect in a tap") })
	b.Tap(func(e events.Envelope) { one.add(e.ID + " " + string(e.Type)) })
	remove := b.Tap(func(e events.Envelope) { two.add(e.ID + " " + string(e.Type)) })
	var publishers sync.WaitGroup
	for p := range 8 {
		publishers.Go(func() {
			for i := range 50 {
				publish(t, b, envelope("t.a", strconv.Itoa(p*100+i)))
			}
		})
	}
	publishers.Wait()
	idle(t, b)
	same(t, "both taps see the same order", one.all(), two.all())
	causes := map[string]bool{}
	for _, line := range one.all() {
		id, typ := line[:len(line)-4], line[len(line)-3:]
		if typ == "t.b" && !causes[id] {
			t.Errorf("the effect of %s came before its cause", id)
		}
		causes[id] = true
	}
	if n := len(one.all()); n != 800 {
		t.Errorf("the tap saw %d events, want 800", n)
	}
	remove()
	publish(t, b, envelope("t.z", "last"))
	if len(one.all()) != 801 || len(two.all()) != 800 {
		t.Error("the tap that was removed still sees")
	}
}

// TestAtLeastOnce lets chaos repeat and delay, and handlers fail now and then:
// every event still reaches every subscriber, or its dead letter tells.
func TestAtLeastOnce(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		count := rapid.IntRange(1, 60).Draw(r, "events")
		fates := rapid.SliceOfN(rapid.IntRange(0, 5), 1, 20).Draw(r, "fates")
		failures := rapid.SliceOfN(rapid.IntRange(0, 6), 1, 20).Draw(r, "failures")
		limit := rapid.IntRange(1, 4).Draw(r, "concurrency")
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			succeeded, failed := map[string]bool{}, map[string]int{}
			chaos := bus.FateFunc(func(e events.Envelope, _ string) bus.Fate {
				f := fates[int(e.Sequence)%len(fates)]
				return bus.Fate{Copies: f % 3, Delay: time.Duration(f) * time.Millisecond}
			})
			handle := func(name string) fn.Function {
				return (&journal{}).on(name, "t.a", func(e events.Envelope) ([]events.Envelope, error) {
					mu.Lock()
					defer mu.Unlock()
					key := name + e.ID
					if failed[key] < failures[int(e.Sequence)%len(failures)] {
						failed[key]++
						return nil, errors.New("again")
					}
					succeeded[key] = true
					return nil, nil
				})
			}
			b := start(t, bus.Options{Chaos: chaos, Concurrency: limit, Tries: 4}, handle("f"), handle("g"))
			for i := range count {
				e := envelope("t.a", strconv.Itoa(i))
				e.Subject, e.Sequence = "s"+strconv.Itoa(i%5), uint64(i)
				publish(t, b, e)
			}
			idle(t, b)
			for _, l := range letters(t, b) {
				succeeded[l.Function+l.Event.ID] = true
			}
			if len(succeeded) != 2*count {
				t.Errorf("%d of %d deliveries came through or left a letter", len(succeeded), 2*count)
			}
		})
	})
}
