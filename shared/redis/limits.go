package redis

import (
	"context"
	"fmt"
	"time"

	"github.com/relevo-ci/relevo/shared/limit"
)

// Limits counts requests for all processes of the installation, by the clock of
// Redis. It is none of the truth: what is counted goes by itself.
func (s *Store) Limits() limit.Limits { return limits{s} }

type limits struct{ store *Store }

// limitPatience is how long a request is held up by being counted, in all.
const limitPatience = time.Second

func (l limits) Wait(ctx context.Context, kind, caller string, b limit.Bound) (time.Duration, error) {
	if b.Rate <= 0 {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, limitPatience)
	defer cancel()
	var wait int64
	err := l.store.with(func(life *session) (err error) {
		keys := []string{limitKey(kind, caller)}
		wait, err = allowScript.Run(ctx, life.client, keys, b.Every().Microseconds(), b.Room().Microseconds()).Int64()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("redis: count a request: %w", err)
	}
	return time.Duration(wait) * time.Microsecond, nil
}
