package bus_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/bus"
	"github.com/relevo-ci/relevo/shared/fn"
)

// failing is a function that fails so many times and then succeeds; at tells
// when it was called.
func failing(times int, err error, at *[]time.Time) fn.Function {
	return fn.Function{Name: "f", On: "t.a", Handle: func(context.Context, events.Envelope) ([]events.Envelope, error) {
		*at = append(*at, time.Now())
		if len(*at) <= times {
			return nil, err
		}
		return nil, nil
	}}
}

func letters(t *testing.T, b *bus.Bus) []bus.DeadLetter {
	t.Helper()
	all, err := b.DeadLetters(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestRetriesBackOffAndSucceed(t *testing.T) {
	for _, kind := range []fn.Kind{fn.Transient, fn.Early, fn.Exhausted} {
		synctest.Test(t, func(t *testing.T) {
			var at []time.Time
			b := start(t, bus.Options{BackoffMax: 300 * time.Millisecond}, failing(5, fn.Faultf(kind, "not yet"), &at))
			publish(t, b, envelope("t.a", "1"))
			idle(t, b)
			if len(at) != 6 {
				t.Fatalf("kind %d: %d tries, want 6", kind, len(at))
			}
			// Half of each pause is random.
			for i, millis := range []int{50, 100, 200, 300, 300} {
				full := time.Duration(millis) * time.Millisecond
				if pause := at[i+1].Sub(at[i]); pause < full/2 || pause > full {
					t.Errorf("pause %d is %v, want %v to %v", i, pause, full/2, full)
				}
			}
			if dead := letters(t, b); len(dead) != 0 {
				t.Errorf("dead letters: %v", dead)
			}
		})
	}
}

func TestLastTryMakesADeadLetterThatCanBeSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		b := start(t, bus.Options{}, failing(10, errors.New("redis is away"), &at))
		publish(t, b, envelope("t.a", "1"))
		idle(t, b)
		dead := letters(t, b)
		if len(dead) != 1 {
			t.Fatalf("%d dead letters, want 1", len(dead))
		}
		l := dead[0]
		if l.Function != "f" || l.Event.ID != "1" || l.Error != "redis is away" || l.Tries != 10 || !l.At.Equal(at[9]) {
			t.Errorf("dead letter %+v", l)
		}
		if err := b.Resend(t.Context(), "f", "1"); err != nil {
			t.Fatal(err)
		}
		idle(t, b)
		if len(at) != 11 || len(letters(t, b)) != 0 {
			t.Errorf("after sending again: %d tries, %d dead letters", len(at), len(letters(t, b)))
		}
		if err := b.Resend(t.Context(), "f", "1"); fn.KindOf(err) != fn.NotFound {
			t.Errorf("sending again twice: %v", err)
		}
	})
}

func TestWhatCannotPassIsNotTriedAgain(t *testing.T) {
	for _, kind := range []fn.Kind{fn.Invalid, fn.Conflict, fn.NotFound, fn.Denied} {
		var at []time.Time
		b := start(t, bus.Options{}, failing(1, fn.Faultf(kind, "no"), &at))
		publish(t, b, envelope("t.a", "1"))
		idle(t, b)
		if dead := letters(t, b); len(dead) != 1 || dead[0].Tries != 1 {
			t.Errorf("kind %d: dead letters %v", kind, dead)
		}
	}
}

func TestPanicIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		b := start(t, bus.Options{Tries: 3, Concurrency: 1}, j.on("f", "t.a", func(e events.Envelope) ([]events.Envelope, error) {
			if e.ID == "bad" {
				panic("a defect")
			}
			return nil, nil
		}))
		publish(t, b, envelope("t.a", "bad"), envelope("t.a", "good"))
		idle(t, b)
		same(t, "deliveries", j.all(), []string{"f bad", "f good", "f bad", "f bad"})
		if dead := letters(t, b); len(dead) != 1 || dead[0].Error != "bus: f panicked: a defect" {
			t.Errorf("dead letters %v", dead)
		}
	})
}

// TestWhatWasCommittedIsEmittedBesideAnError: a handler may have committed and
// then failed at an effect outside.
func TestWhatWasCommittedIsEmittedBesideAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		failed := false
		b := start(
			t, bus.Options{},
			j.on("a", "t.a", func(events.Envelope) ([]events.Envelope, error) {
				out := []events.Envelope{envelope("t.b", "2")}
				if failed {
					return out, nil
				}
				failed = true
				return out, errors.New("no worker yet")
			}),
			j.on("b", "t.b", nil),
		)
		publish(t, b, envelope("t.a", "1"))
		idle(t, b)
		same(t, "deliveries", j.all(), []string{"a 1", "b 2", "a 1", "b 2"})
	})
}

func TestResendKeepsWhatItCannotDeliver(t *testing.T) {
	kept := bus.NewMemory(10)
	b := start(t, bus.Options{DeadLetters: kept})
	if err := kept.Add(t.Context(), bus.DeadLetter{Function: "gone", Event: envelope("t.a", "1")}); err != nil {
		t.Fatal(err)
	}
	if err := b.Resend(t.Context(), "gone", "1"); fn.KindOf(err) != fn.NotFound {
		t.Errorf("got %v", err)
	}
	if len(letters(t, b)) != 1 {
		t.Error("the dead letter is lost")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	ctx := t.Context()
	m := bus.NewMemory(2)
	for _, id := range []string{"1", "2", "2", "3"} {
		if err := m.Add(ctx, bus.DeadLetter{Function: "f", Event: envelope("t.a", id)}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	list, err := m.List(ctx, 10)
	for _, l := range list {
		got = append(got, l.Event.ID)
	}
	same(t, "newest first", got, []string{"3", "2"})
	if err != nil || m.Dropped() != 1 {
		t.Errorf("%v, %d dropped, want 1", err, m.Dropped())
	}
	if one, err := m.List(ctx, 1); err != nil || len(one) != 1 || one[0].Event.ID != "3" {
		t.Errorf("the newest: %v %v", one, err)
	}
}

func TestIdleCountsPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		b := start(t, bus.Options{Tries: 2, Backoff: time.Hour, BackoffMax: time.Hour}, failing(2, errors.New("x"), &at))
		publish(t, b, envelope("t.a", "1"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := b.Idle(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("idle while a delivery pauses: %v", err)
		}
		idle(t, b)
		if len(at) != 2 {
			t.Errorf("%d tries, want 2", len(at))
		}
	})
}
