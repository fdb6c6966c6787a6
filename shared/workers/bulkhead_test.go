package workers_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/provider"
	"github.com/relevo-ci/relevo/shared/workers"
)

// stuck is a provider whose calls hang: until their context ends, or until it is
// let go.
type stuck struct {
	provider.Provider // none: what is not set here is not called
	deaf              bool
	free              chan struct{}
	in                atomic.Int32
}

func (s *stuck) Name() string { return "stuck" }

func (s *stuck) List(context.Context) ([]provider.Status, error) { return nil, nil }

func (s *stuck) Create(ctx context.Context, _ execution.Launch) (provider.Status, error) {
	s.in.Add(1)
	if s.deaf {
		<-s.free
		return provider.Status{Handle: "late"}, nil
	}
	select {
	case <-s.free:
		return provider.Status{Handle: "made"}, nil
	case <-ctx.Done():
		return provider.Status{}, errors.New("the daemon does not answer")
	}
}

func (s *stuck) Terminate(context.Context, events.WorkerID, events.Fence) error { panic("oh") }

func TestAProviderThatHangsIsGivenUp(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := &stuck{deaf: deaf, free: make(chan struct{})}
			p := workers.Bulkhead(s, time.Minute, 2)
			began := time.Now()
			errs := make(chan error, 3)
			for range 3 { // one more than there is room for
				go func() {
					_, err := p.Create(t.Context(), execution.Launch{})
					errs <- err
				}()
			}
			for range 3 {
				if err := <-errs; err == nil || !fn.KindOf(err).Retry() {
					t.Errorf("deaf %v: %v", deaf, err)
				}
			}
			if took := time.Since(began); took > 2*time.Minute || s.in.Load() > 2 && deaf {
				t.Errorf("deaf %v: given up after %v, %d calls", deaf, took, s.in.Load())
			}
			close(s.free)
			synctest.Wait()
			if st, err := p.Create(t.Context(), execution.Launch{}); err != nil || st.Handle == "" {
				t.Errorf("deaf %v: when it is back: %+v, %v", deaf, st, err)
			}
		})
	}
}

func TestAProviderThatPanicsIsAnError(t *testing.T) {
	p := workers.Bulkhead(&stuck{}, time.Minute, 1)
	for range 2 {
		if err := p.Terminate(t.Context(), "w", events.Fence{}); err == nil || !strings.Contains(err.Error(), "panicked: oh") {
			t.Error(err)
		}
	}
	if list, err := p.List(t.Context()); err != nil || len(list) != 0 || p.Name() != "stuck" {
		t.Errorf("%v, %v", list, err)
	}
}
