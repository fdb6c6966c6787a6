package bus_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/bus"
	"github.com/relevo-ci/relevo/shared/fn"
)

func TestCloseFinishesWhatItHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		b := start(
			t, bus.Options{},
			j.on("a", "t.a", func(e events.Envelope) ([]events.Envelope, error) {
				time.Sleep(time.Second)
				return []events.Envelope{envelope("t.b", e.ID)}, nil
			}),
			j.on("b", "t.b", nil),
		)
		for i := range 40 {
			publish(t, b, envelope("t.a", strconv.Itoa(i)))
		}
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(j.all()); n != 80 {
			t.Errorf("%d deliveries, want 80", n)
		}
		if err := b.Publish(t.Context(), envelope("t.a", "x")); !errors.Is(err, bus.ErrClosed) {
			t.Errorf("publish after close: %v", err)
		}
		if err := b.Direct(t.Context(), "a", envelope("t.a", "x")); !errors.Is(err, bus.ErrClosed) {
			t.Errorf("direct after close: %v", err)
		}
		if err := b.Subscribe(j.on("c", "t.a", nil)); !errors.Is(err, bus.ErrClosed) {
			t.Errorf("subscribe after close: %v", err)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Errorf("second close: %v", err)
		}
	})
}

// TestCloseInAHurry has one delivery that runs, one behind it in its lane, one
// that waits for a worker, one that pauses before a retry and one that chaos
// delays.
func TestCloseInAHurry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended error
		f := fn.Function{Name: "f", On: "t.a", Handle: func(ctx context.Context, e events.Envelope) ([]events.Envelope, error) {
			if e.ID == "pauses" {
				return nil, errors.New("not yet")
			}
			<-ctx.Done()
			ended = ctx.Err()
			return []events.Envelope{envelope("t.a", "late")}, nil
		}}
		delay := bus.FateFunc(func(e events.Envelope, _ string) bus.Fate {
			if e.ID == "delayed" {
				return bus.Fate{Delay: time.Hour}
			}
			return bus.Fate{}
		})
		b := start(t, bus.Options{Concurrency: 1, Chaos: delay, Backoff: time.Hour, BackoffMax: time.Hour}, f)
		publish(t, b, envelope("t.a", "pauses"))
		synctest.Wait()
		publish(t, b, envelope("t.a", "runs"), envelope("t.a", "runs"), envelope("t.a", "waits"), envelope("t.a", "delayed"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := b.Close(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || err.Error() != "bus: close: 4 deliveries dropped: context deadline exceeded" {
			t.Errorf("close: %v", err)
		}
		if !errors.Is(ended, context.Canceled) {
			t.Errorf("the handler's context: %v", ended)
		}
		idle(t, b) // nothing is left pending, what the handler emitted included
	})
}

func TestCloseGivesUpOnAHandlerThatNeverReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f := fn.Function{Name: "f", On: "t.a", Handle: func(context.Context, events.Envelope) ([]events.Envelope, error) {
			<-release
			return nil, nil
		}}
		b := start(t, bus.Options{}, f)
		publish(t, b, envelope("t.a", "1"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := b.Close(ctx); err == nil {
			t.Error("close says that all is well")
		}
		if took := time.Since(began); took != 6*time.Second {
			t.Errorf("close took %v, want the second given and 5 of grace", took)
		}
		close(release)
	})
}
