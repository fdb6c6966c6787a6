package scenarios_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/relevo-ci/relevo/deploy/inprocess"
	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/bus"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/fn"
)

// TestTheClockAloneFinishesARun: the truth is in the store and a broker only
// carries. With one that loses every event, the clock alone brings a diamond to
// its end, and gives all capacity back.
func TestTheClockAloneFinishesARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lost, carried atomic.Int64
		all := bus.Lose(100, 1)
		h := startHost(t, 4, inprocess.Options{Chaos: bus.FateFunc(func(e events.Envelope, function string) bus.Fate {
			fate := all.Fate(e, function)
			if fate.Lost {
				lost.Add(1)
			} else {
				carried.Add(1)
			}
			return fate
		})})
		if err := h.Submit(t.Context(), request(t, runID, diamond())); err != nil {
			t.Fatal(err)
		}
		run := h.await(t, runID)
		h.rest(t)
		if err := h.Close(t.Context()); err != nil {
			t.Error(err)
		}
		h.tasks.Wait()
		if run.State != pipeline.RunSucceeded || h.live != 0 {
			t.Errorf("the run is %s (%s), %d workers are left", run.State, run.Reason, h.live)
		}
		if carried.Load() != 0 || lost.Load() == 0 {
			t.Errorf("%d deliveries were lost, %d came through", lost.Load(), carried.Load())
		}
	})
}

// TestF6OverloadIsBackPressureNotACrash: Argo with 128 workers crash-looped its
// controller. Here a provider that hangs lets work pile up until the bus refuses
// more, by a kind that a caller may try again. What was accepted stands in the
// ledger: once the provider goes on, every run ends, on no more workers than
// there is room for.
func TestF6OverloadIsBackPressureNotACrash(t *testing.T) {
	const runs, room = 192, 128
	synctest.Test(t, func(t *testing.T) {
		h := startHost(t, room, inprocess.Options{Bus: bus.Options{Memory: 64 << 10}})
		gate := make(chan struct{})
		h.provider.Refuse = func(execution.Launch) error {
			<-gate
			return nil
		}
		refused := 0
		for n := range runs {
			switch err := h.Submit(t.Context(), request(t, numbered(n), []pipeline.JobSpec{job("a")})); {
			case err == nil:
			case fn.KindOf(err) == fn.Exhausted:
				refused++
			default:
				t.Errorf("run %d: %v", n, err)
			}
			synctest.Wait() // all that can happen has
		}
		if refused == 0 || refused == runs {
			t.Errorf("%d of %d runs met back-pressure", refused, runs)
		}
		close(gate)
		for n := range runs {
			if run := h.await(t, numbered(n)); run.State != pipeline.RunSucceeded || len(run.Jobs[0].Attempts) != 1 {
				t.Errorf("run %d is %s after %d attempts: %s", n, run.State, len(run.Jobs[0].Attempts), run.Reason)
			}
		}
		h.rest(t)
		if err := h.Close(t.Context()); err != nil {
			t.Error(err)
		}
		h.tasks.Wait()
		if h.peak != room || h.live != 0 {
			t.Errorf("%d workers at a time in room for %d; %d are left", h.peak, room, h.live)
		}
	})
}
