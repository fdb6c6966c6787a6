package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/logs"
)

// parseLog reads <run>/<log>, as logs are named in the set of those that are
// closed.
func parseLog(s string) (events.AttemptRef, error) {
	run, name, _ := strings.Cut(s, "/")
	ref := events.AttemptRef{JobRef: events.JobRef{Run: events.RunID(run)}}
	fence := strings.LastIndexByte(name, '/')
	number := strings.LastIndexByte(name[:max(fence, 0)], '/')
	if number < 0 {
		return ref, fmt.Errorf("redis: %q is no log", s)
	}
	var err1, err2 error
	ref.Job = events.JobKey(name[:number])
	ref.Attempt, err1 = strconv.Atoi(name[number+1 : fence])
	ref.Fence, err2 = events.ParseFence(name[fence+1:])
	return ref, errors.Join(err1, err2, logs.Check(ref))
}

// Closed names logs that can be moved; see logs.Hot.
func (l *Logs) Closed(ctx context.Context, limit int) ([]events.AttemptRef, error) {
	var names []string
	err := l.store.with(func(life *session) (err error) {
		names, err = life.client.ZRange(ctx, logsClosed, 0, int64(limit)-1).Result()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("redis: list closed logs: %w", err)
	}
	all := make([]events.AttemptRef, 0, len(names))
	for _, name := range names {
		ref, err := parseLog(name)
		if err != nil {
			return nil, err
		}
		all = append(all, ref)
	}
	return all, nil
}

// Drop forgets the bytes of a closed log; see logs.Hot.
func (l *Logs) Drop(ctx context.Context, ref events.AttemptRef) error {
	if err := logs.Check(ref); err != nil {
		return err
	}
	run, name := string(ref.Run), logName(ref)
	var closed bool
	err := l.store.with(func(life *session) (err error) {
		closed, err = coolScript.Run(ctx, life.client,
			[]string{logLengths(run), logLimits(run), logChunks(run, name), logBytesKey, logsClosed},
			name, run+"/"+name).Bool()
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("redis: drop log %s/%s: %w", run, name, err)
	case !closed:
		return fmt.Errorf("%w: the log %s/%s is open", logs.ErrInvalid, run, name)
	}
	return nil
}

// Room tells what all logs take, and may take; see logs.Hot.
func (l *Logs) Room(ctx context.Context) (used, most int64, err error) {
	err = l.store.with(func(life *session) error {
		used, err = life.client.Get(ctx, logBytesKey).Int64()
		if errors.Is(err, goredis.Nil) {
			return nil
		}
		return err
	})
	if err != nil && !errors.Is(err, goredis.Nil) {
		return 0, 0, fmt.Errorf("redis: look at the room for logs: %w", err)
	}
	return used, l.bounds.All, nil
}
