package redis

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/relevo-ci/relevo/shared/protocol"
)

// Overdue reads up to n entries that are due, earliest first, and when the next
// one falls due: in one round trip, or two where a partition has n or more due.
func (s *Store) Overdue(ctx context.Context, ps []protocol.Partition, n int) ([]protocol.DueIn, time.Time, error) {
	n = max(n, 0)
	var due []protocol.DueIn
	var next time.Time
	err := s.with(func(life *session) error {
		now, heads, err := firstDue(ctx, life, ps, n)
		if err != nil {
			return err
		}
		var full []protocol.Partition
		due, next, full = split(ps, heads, now)
		if len(full) == 0 {
			return nil
		}
		later, err := firstAfter(ctx, life, full, now)
		if !later.IsZero() && (next.IsZero() || later.Before(next)) {
			next = later
		}
		return err
	})
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("redis: read due entries: %w", err)
	}
	slices.SortFunc(due, func(a, b protocol.DueIn) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Name, b.Name))
	})
	return due[:min(n, len(due))], next, nil
}

// firstDue reads the time and the first n+1 entries of each partition.
func firstDue(ctx context.Context, life *session, ps []protocol.Partition, n int) (time.Time, []*goredis.ZSliceCmd, error) {
	pipe := life.client.Pipeline()
	now := pipe.Time(ctx)
	heads := make([]*goredis.ZSliceCmd, len(ps))
	for i, p := range ps {
		heads[i] = pipe.ZRangeWithScores(ctx, keysOf(p).due(), 0, int64(n))
	}
	_, err := pipe.Exec(ctx)
	return now.Val().Truncate(time.Millisecond).UTC(), heads, err
}

// split tells what is due from what comes next, and which partitions showed
// only what is due.
func split(ps []protocol.Partition, heads []*goredis.ZSliceCmd, now time.Time) (due []protocol.DueIn, next time.Time, full []protocol.Partition) {
	for i, p := range ps {
		entries, all := heads[i].Val(), true
		for _, z := range entries {
			at := time.UnixMilli(int64(z.Score)).UTC()
			if at.After(now) {
				all = false
				if next.IsZero() || at.Before(next) {
					next = at
				}
				break
			}
			name, _ := z.Member.(string)
			due = append(due, protocol.DueIn{Partition: p, Due: protocol.Due{Name: name, At: at}})
		}
		if all && len(entries) > 0 {
			full = append(full, p)
		}
	}
	return due, next, full
}

// firstAfter reads when the first entry after now falls due.
func firstAfter(ctx context.Context, life *session, ps []protocol.Partition, now time.Time) (time.Time, error) {
	pipe := life.client.Pipeline()
	firsts := make([]*goredis.ZSliceCmd, len(ps))
	for i, p := range ps {
		firsts[i] = pipe.ZRangeByScoreWithScores(ctx, keysOf(p).due(), &goredis.ZRangeBy{
			Min: "(" + strconv.FormatInt(now.UnixMilli(), 10), Max: "+inf", Count: 1,
		})
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return time.Time{}, err
	}
	var first time.Time
	for _, f := range firsts {
		for _, z := range f.Val() {
			if at := time.UnixMilli(int64(z.Score)).UTC(); first.IsZero() || at.Before(first) {
				first = at
			}
		}
	}
	return first, nil
}
