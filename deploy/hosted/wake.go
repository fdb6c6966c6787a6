package hosted

import (
	"context"
	"time"

	"github.com/relevo-ci/relevo/shared/knative"
)

// wakeWindow is shorter than Knative keeps a pod that has nothing to do, so that
// a function that was woken lately is awake.
const wakeWindow = 30 * time.Second

// waker wakes the functions at their addresses; nil where there are none.
func (s *Service) waker() *knative.Waker {
	if s.config.Host.Functions == "" || !s.config.Host.Wake {
		return nil
	}
	return &knative.Waker{
		Address: s.address, Window: wakeWindow, Client: s.sender.Client, Log: s.log,
		First: func(ctx context.Context, window time.Duration) (bool, error) {
			return s.store.Once(ctx, "wake", window)
		},
	}
}
