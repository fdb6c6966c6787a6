package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Once tells the first of all processes that ask for name within a window, and
// that one alone. It is for what need not be done by each of them; nothing may
// depend on it.
func (s *Store) Once(ctx context.Context, name string, window time.Duration) (bool, error) {
	var first bool
	err := s.with(func(life *session) error {
		err := life.client.SetArgs(ctx, onceKey(name), 1, goredis.SetArgs{Mode: "NX", TTL: window}).Err()
		first = err == nil
		if errors.Is(err, goredis.Nil) {
			return nil
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("redis: once %s: %w", name, err)
	}
	return first, nil
}
