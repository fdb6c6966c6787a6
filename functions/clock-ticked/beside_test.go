package clockticked_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relevo-ci/relevo/events"
	clockticked "github.com/relevo-ci/relevo/functions/clock-ticked"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/state"
)

// waiting makes a clock over a store with a few runs, whose events nobody got.
func waiting(t *testing.T, direct func(context.Context, events.Envelope) error) *clockticked.Clock {
	t.Helper()
	runs := &state.Runs{Committer: &state.Committer{Store: memory.New(time.Now, "test")}, Policy: pipeline.DefaultPolicy()}
	spec, err := json.Marshal(pipeline.Spec{Jobs: []pipeline.JobSpec{{ID: "a", Key: "a", Name: expression.Text("a")}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range []events.RunID{"R1", "R2", "R3"} {
		if _, err := runs.Create(t.Context(), "api", events.RunRequested{RunRef: events.RunRef{Run: run}, Spec: spec}); err != nil {
			t.Fatal(err)
		}
	}
	return &clockticked.Clock{Runs: runs, Direct: direct}
}

// TestOneThatHangsHoldsUpNoOther: the deliveries of a run that hang, whether or
// not they look at their context, keep neither the others' nor the next tick.
func TestOneThatHangsHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		got := map[string]int{}
		free := make(chan struct{})
		c := waiting(t, func(_ context.Context, e events.Envelope) error {
			mu.Lock()
			got[e.RunID]++
			mu.Unlock()
			if e.RunID == "R1" {
				<-free
			}
			return nil
		})
		c.Beside = clockticked.Beside{Most: 8, Wait: time.Second, Deadline: time.Minute}
		time.Sleep(10 * time.Second) // the outbox is looked at
		for tick := range 6 {
			began := time.Now()
			if _, _, err := c.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("tick %d took %v", tick, took)
			}
			time.Sleep(6 * time.Second)
		}
		// Once because it waits in the outbox, once because it is due.
		if got["R1"] > 2 || got["R2"] == 0 || got["R3"] == 0 {
			t.Errorf("delivered %v; what hangs is not begun again", got)
		}
		close(free)
		synctest.Wait()
	})
}

// TestTooManyThatHangAreRefused: there is room for so many.
func TestTooManyThatHangAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := waiting(t, func(ctx context.Context, _ events.Envelope) error {
			<-ctx.Done()
			return errors.New("given up")
		})
		c.Beside = clockticked.Beside{Most: 2, Wait: time.Second, Deadline: time.Minute}
		time.Sleep(10 * time.Second)
		if _, _, err := c.Tick(t.Context()); err == nil || !strings.Contains(err.Error(), "too many deliveries hang") {
			t.Errorf("three that hang with room for two: %v", err)
		}
		time.Sleep(2 * time.Minute) // past their deadline
		c.Beside.Wait = 2 * time.Minute
		if _, _, err := c.Tick(t.Context()); err == nil || !strings.Contains(err.Error(), "given up") {
			t.Errorf("a tick that waits long enough hears of it: %v", err)
		}
	})
}

// TestWithoutBesideInOrder: the zero value does one after another, each time in
// the same order.
func TestWithoutBesideInOrder(t *testing.T) {
	var before []string
	for range 3 {
		synctest.Test(t, func(t *testing.T) {
			inside := 0
			var order []string
			c := waiting(t, func(_ context.Context, e events.Envelope) error {
				if inside++; inside > 1 {
					t.Error("two at once")
				}
				defer func() { inside-- }()
				order = append(order, e.RunID)
				return errors.New("away")
			})
			time.Sleep(10 * time.Second)
			if _, _, err := c.Tick(t.Context()); err == nil || strings.Count(err.Error(), "away") < 3 {
				t.Error(err)
			}
			if before != nil && !slices.Equal(order, before) {
				t.Errorf("delivered in the order %q, and before in %q", order, before)
			}
			before = order
		})
	}
}
