package steady_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/forge"
	"github.com/relevo-ci/relevo/shared/forge/steady"
)

// away is a forge that fails as it is told to, and counts.
type away struct {
	forge.Forge
	err   error
	asked int
}

func (a *away) Tell(context.Context, string, string, trigger.Status) error {
	a.asked++
	return a.err
}

func (a *away) Head(context.Context, string, string) (string, error) {
	a.asked++
	return "head", a.err
}

func tell(f forge.Forge) error { return f.Tell(context.Background(), "a/b", "sha", trigger.Status{}) }

func TestLeavesAForgeAloneThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &away{err: &forge.Later{Err: errors.New("502")}}
		f := steady.New(a, steady.Settings{Failures: 3, Rest: 10 * time.Second})
		for range 20 {
			if err := tell(f); !errors.Is(err, forge.ErrLater) {
				t.Fatal(err)
			}
		}
		var later *forge.Later
		if err := tell(f); a.asked != 3 || !errors.As(err, &later) || later.After <= 0 || later.After > 10*time.Second {
			t.Errorf("it was asked %d times, then %v", a.asked, later)
		}
		a.err = nil
		time.Sleep(10 * time.Second)
		if err := tell(f); err != nil || a.asked != 4 {
			t.Errorf("after its rest: %v, asked %d times", err, a.asked)
		}
	})
}

func TestWaitsAsLongAsTheForgeAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &away{err: &forge.Later{After: time.Minute, Err: errors.New("429")}}
		f := steady.New(a, steady.Settings{})
		if err := tell(f); !errors.Is(err, forge.ErrLater) {
			t.Fatal(err)
		}
		a.err = nil
		time.Sleep(20 * time.Second)
		var later *forge.Later
		if err := tell(f); !errors.As(err, &later) || later.After != 40*time.Second || a.asked != 1 {
			t.Errorf("too early: %v, asked %d times", err, a.asked)
		}
		time.Sleep(40 * time.Second)
		if err := tell(f); err != nil || a.asked != 2 {
			t.Errorf("in time: %v, asked %d times", err, a.asked)
		}
	})
}

// TestAnswersAreNoFailures: what the forge refuses says nothing against it, and
// what only reads is tried once more.
func TestAnswersAreNoFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &away{err: forge.ErrDenied}
		f := steady.New(a, steady.Settings{Failures: 2})
		for range 5 {
			if err := tell(f); !errors.Is(err, forge.ErrDenied) {
				t.Error(err)
			}
		}
		if a.asked != 5 {
			t.Errorf("asked %d times", a.asked)
		}
		a.err, a.asked = &forge.Later{Err: errors.New("502")}, 0
		if _, err := f.Head(t.Context(), "a/b", "main"); !errors.Is(err, forge.ErrLater) || a.asked != 2 {
			t.Errorf("%v, asked %d times", err, a.asked)
		}
		a.err = nil
		time.Sleep(time.Minute)
		if sha, err := f.Head(t.Context(), "a/b", "main"); err != nil || sha != "head" {
			t.Errorf("%s, %v", sha, err)
		}
	})
}
