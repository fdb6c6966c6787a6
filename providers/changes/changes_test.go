package changes

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/relevo-ci/relevo/shared/provider"
)

func change(reason string) provider.Change {
	return provider.Change{Status: provider.Status{Reason: reason}}
}

func TestEverySubscriberGetsEverythingInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Feed
		ctx, cancel := context.WithCancel(t.Context())
		got := make([][]string, 2)
		errs := make([]error, 2)
		for i := range got {
			s := f.Subscribe()
			go func() {
				defer s.Close()
				errs[i] = s.Drain(ctx, func(c provider.Change) { got[i] = append(got[i], c.Reason) })
			}()
		}
		want := []string{"a", "b", "c"}
		for _, r := range want {
			if !f.Tell(change(r)) {
				t.Error("nobody heard")
			}
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		for i := range got {
			if !slices.Equal(got[i], want) || !errors.Is(errs[i], context.Canceled) {
				t.Errorf("subscriber %d: got %v, %v; want %v, context canceled", i, got[i], errs[i], want)
			}
		}
		if f.Tell(change("late")) {
			t.Error("somebody heard after every subscription closed")
		}
	})
}

func TestSlowSubscriberHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Feed
		ctx, cancel := context.WithCancel(t.Context())
		stuck := make(chan struct{})
		slow, quick := f.Subscribe(), f.Subscribe()
		var slowGot, quickGot int
		go func() {
			_ = slow.Drain(ctx, func(provider.Change) { slowGot++; <-stuck })
		}()
		go func() { _ = quick.Drain(ctx, func(provider.Change) { quickGot++ }) }()
		for range 1000 {
			f.Tell(change("x"))
		}
		synctest.Wait()
		if quickGot != 1000 || slowGot != 1 {
			t.Errorf("quick got %d, slow %d; want 1000 and 1", quickGot, slowGot)
		}
		close(stuck)
		synctest.Wait()
		if slowGot != 1000 {
			t.Errorf("slow got %d in the end, want 1000", slowGot)
		}
		cancel()
	})
}

func TestExited(t *testing.T) {
	for code, want := range map[int]string{
		0: "exited 0", 1: "exited 1", 128: "exited 128", 137: "exited 137 (killed)",
		143: "exited 143 (terminated)", 255: "exited 255", -1: "exited -1",
	} {
		if got := Exited(code); got != want {
			t.Errorf("Exited(%d) = %q, want %q", code, got, want)
		}
	}
}
