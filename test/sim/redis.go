package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/redis"
)

// ErrNotEmpty: the simulator plays in a Redis of its own alone.
var ErrNotEmpty = errors.New("sim: the Redis is not empty: every seed begins with an empty one, so give it one of its own")

// redisBackings opens, for each seed, a store in the Redis at url. Its time is
// Redis TIME, which nobody can fake from outside; so what depends on time is
// answered beside it, and all else (documents, versions, inbox, ledger, outbox,
// queue) by the scripts themselves. A seed without restarts must play there as
// it does in memory, to the last event.
func redisBackings(ctx context.Context, url string) (open func(clock func() time.Time) backing, closing func() error, err error) {
	options, err := goredis.ParseURL(url)
	if err != nil {
		return nil, nil, err
	}
	client := goredis.NewClient(options)
	n, err := client.DBSize(ctx).Result()
	if err == nil && n > 0 {
		err = ErrNotEmpty
	}
	if err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	var last *redis.Store
	end := func() error {
		if last == nil {
			return nil
		}
		err := errors.Join(last.Close(), client.FlushDB(ctx).Err())
		last = nil
		return err
	}
	open = func(clock func() time.Time) backing {
		if err := end(); err != nil {
			panic(err)
		}
		if last, err = redis.Open(ctx, url, redis.Options{PoolSize: 2}); err != nil {
			panic(err)
		}
		return &timedRedis{
			Store: last, clock: clock, at: map[protocol.Partition]map[protocol.LedgerID]time.Time{},
			due: map[protocol.Partition]map[string]time.Time{},
		}
	}
	return open, func() error { return errors.Join(end(), client.Close()) }, nil
}

// timedRedis is a store in Redis that lives in the world's time.
type timedRedis struct {
	*redis.Store
	clock func() time.Time
	due   map[protocol.Partition]map[string]time.Time
	at    map[protocol.Partition]map[protocol.LedgerID]time.Time
}

func (s *timedRedis) now() time.Time { return s.clock().Truncate(time.Millisecond) }

// Load reads from Redis, at the world's time.
func (s *timedRedis) Load(ctx context.Context, p protocol.Partition, ids ...protocol.DocID) ([]protocol.Doc, protocol.Moment, error) {
	docs, m, err := s.Store.Load(ctx, p, ids...)
	m.Now = s.now()
	return docs, m, err
}

// Commit commits to Redis and notes the world's time.
func (s *timedRedis) Commit(ctx context.Context, c protocol.Commit) (protocol.Receipt, error) {
	r, err := s.Store.Commit(ctx, c)
	if err != nil || r.Duplicate {
		return r, err
	}
	if s.due[c.Partition] == nil {
		s.due[c.Partition], s.at[c.Partition] = map[string]time.Time{}, map[protocol.LedgerID]time.Time{}
	}
	for _, d := range c.Due {
		if d.At.IsZero() {
			delete(s.due[c.Partition], d.Name)
		} else {
			s.due[c.Partition][d.Name] = d.At.Truncate(time.Millisecond)
		}
	}
	if r.Record != "" {
		s.at[c.Partition][r.Record] = s.now()
	}
	return r, nil
}

// Overdue answers from beside Redis, and holds what Redis says of the first
// entry against that.
func (s *timedRedis) Overdue(ctx context.Context, ps []protocol.Partition, n int) ([]protocol.DueIn, time.Time, error) {
	var due []protocol.DueIn
	var next, first time.Time
	for _, p := range ps {
		for name, at := range s.due[p] {
			if first.IsZero() || at.Before(first) {
				first = at
			}
			if !at.After(s.now()) {
				due = append(due, protocol.DueIn{Partition: p, Due: protocol.Due{Name: name, At: at}})
			} else if next.IsZero() || at.Before(next) {
				next = at
			}
		}
	}
	// The world is years ahead of Redis: there, nothing is due yet.
	got, soonest, err := s.Store.Overdue(ctx, ps, n)
	if err != nil {
		return nil, time.Time{}, err
	}
	if len(got) > 0 || !soonest.Equal(first) {
		return nil, time.Time{}, fmt.Errorf("%w: Redis has %v due and %s next, not %s", protocol.ErrInvalid, got, soonest, first)
	}
	slices.SortFunc(due, func(a, b protocol.DueIn) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Name, b.Name))
	})
	return due[:min(max(n, 0), len(due))], next, nil
}

// Outbox reads what waits in Redis and is old enough in the world.
func (s *timedRedis) Outbox(ctx context.Context, p protocol.Partition, age time.Duration, n int) ([]protocol.Record, error) {
	if len(s.at[p]) == 0 {
		return nil, nil
	}
	list, err := s.Store.Outbox(ctx, p, 0, n)
	for i := range list {
		list[i].At = s.at[p][list[i].ID]
		if list[i].At.After(s.now().Add(-age)) {
			return list[:i], err
		}
	}
	return list, err
}

// Ledger reads from Redis, with the world's times.
func (s *timedRedis) Ledger(ctx context.Context, p protocol.Partition, after protocol.LedgerID, n int) ([]protocol.Record, error) {
	list, err := s.Store.Ledger(ctx, p, after, n)
	for i := range list {
		list[i].At = s.at[p][list[i].ID]
	}
	return list, err
}

// onRedis plays seeds in memory and in Redis, and alike.
func onRedis(ctx context.Context, url string, b Battery) (Battery, func() error, error) {
	open, closing, err := redisBackings(ctx, url)
	if err != nil {
		return b, nil, err
	}
	change := b.Change
	b.Again, b.Side = open, 1
	b.Change = func(f *Faults) {
		if change != nil {
			change(f)
		}
		f.Restart, f.RestartInside = 0, 0 // Redis does not go back in time for us
	}
	return b, closing, nil
}
