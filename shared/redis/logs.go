package redis

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	goredis "github.com/redis/go-redis/v9"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/logs"
)

// LogBounds bound what logs take of Redis's memory; zero values mean the
// defaults.
type LogBounds struct {
	// All is the most bytes of all logs together: 1 GiB.
	All int64
	// Each is the most bytes of one: 64 MiB. One that overflows holds up its own
	// attempt and no other.
	Each int64
	// Advice says what to do when a bound is reached.
	Advice string
}

// Logs keep logs in Redis, for all processes of an installation. They last as
// Redis does: with a stale replica or a torn append-only file, a log may be
// shorter than what was acknowledged; the next Append then tells so.
type Logs struct {
	store  *Store
	bounds LogBounds
}

var _ logs.Hot = (*Logs)(nil)

// Logs gives the installation's logs.
func (s *Store) Logs(b LogBounds) *Logs {
	b.All, b.Each = cmp.Or(b.All, 1<<30), cmp.Or(b.Each, 64<<20)
	return &Logs{store: s, bounds: b}
}

const (
	// logChunk is the most bytes of an entry: what a read of a few bytes costs.
	logChunk = 16 << 10
	// logRead is the most bytes that one read gives.
	logRead = 1 << 20
	// farthest is beyond every log. Scripts count in doubles.
	farthest = 1 << 53
)

// logName names a log within its run. The job's key may hold anything; the two
// numbers behind it tell where it ends.
func logName(ref events.AttemptRef) string {
	return string(ref.Job) + "/" + strconv.Itoa(ref.Attempt) + "/" + ref.Fence.String()
}

// Append keeps data at offset; see logs.Store.
func (l *Logs) Append(ctx context.Context, ref events.AttemptRef, offset int64, data []byte) (int64, error) {
	if err := logs.Check(ref); err != nil {
		return 0, err
	}
	if end := offset + int64(len(data)); offset < 0 || end < offset {
		return 0, fmt.Errorf("%w: offset %d", logs.ErrInvalid, offset)
	}
	run, name := string(ref.Run), logName(ref)
	var word string
	var length int64
	err := l.store.with(func(life *session) error {
		reply, err := appendScript.Run(ctx, life.client,
			[]string{logLengths(run), logLimits(run), logChunks(run, name), logBytesKey, logsClosed},
			name, min(offset, farthest), data, l.bounds.Each, l.bounds.All, logChunk,
			logsChanged, run+"/"+name).StringSlice()
		if err != nil {
			return err
		}
		if len(reply) != 2 {
			return fmt.Errorf("answer %q of the script", reply)
		}
		word = reply[0]
		length, err = strconv.ParseInt(reply[1], 10, 64)
		return err
	})
	switch {
	case err != nil:
		return 0, fmt.Errorf("redis: append to log %s/%s: %w", run, name, err)
	case word == "closed":
		return length, fmt.Errorf("%w: at %d bytes, refused up to %d", logs.ErrClosed, length, offset+int64(len(data)))
	case word == "long":
		return length, fmt.Errorf("%w: the log %s/%s may have %d bytes%s", logs.ErrFull, run, name, l.bounds.Each, l.advice())
	case word == "full":
		return length, fmt.Errorf("%w: all logs together may have %d bytes%s", logs.ErrFull, l.bounds.All, l.advice())
	}
	return length, nil
}

func (l *Logs) advice() string {
	if l.bounds.Advice == "" {
		return ""
	}
	return ": " + l.bounds.Advice
}

// Read copies what is at offset into buf, at most 1 MiB of it; see logs.Store.
func (l *Logs) Read(ctx context.Context, ref events.AttemptRef, offset int64, buf []byte) (int, int64, bool, error) {
	if err := logs.Check(ref); err != nil {
		return 0, 0, false, err
	}
	if offset < 0 {
		return 0, 0, false, fmt.Errorf("%w: offset %d", logs.ErrInvalid, offset)
	}
	run, name := string(ref.Run), logName(ref)
	wanted := min(len(buf), logRead)
	var length, limit int64
	var data string
	err := l.store.with(func(life *session) error {
		reply, err := readScript.Run(ctx, life.client,
			[]string{logLengths(run), logLimits(run), logChunks(run, name)},
			name, min(offset, farthest), wanted).StringSlice()
		if err != nil {
			return err
		}
		if len(reply) != 3 {
			return fmt.Errorf("answer of %d parts of the script", len(reply))
		}
		data = reply[2]
		if length, err = strconv.ParseInt(reply[0], 10, 64); err != nil {
			return err
		}
		limit, err = strconv.ParseInt(reply[1], 10, 64)
		return err
	})
	if err == nil && data == "" && wanted > 0 && offset < length {
		if limit == length {
			return 0, length, true, logs.ErrMoved
		}
		err = fmt.Errorf("nothing is kept at %d of %d bytes", offset, length)
	}
	if err != nil {
		return 0, 0, false, fmt.Errorf("redis: read log %s/%s: %w", run, name, err)
	}
	return copy(buf, data), length, limit == length, nil
}

// Wait returns when the log has grown beyond offset; see logs.Store.
func (l *Logs) Wait(ctx context.Context, ref events.AttemptRef, offset int64) error {
	for {
		grown, done := l.store.bell.follow(logsChanged, string(ref.Run)+"/"+logName(ref))
		_, size, closed, err := l.Read(ctx, ref, offset, nil)
		if err != nil || size > offset || closed {
			done()
			return err
		}
		select {
		case <-grown:
			done()
		case <-ctx.Done():
			done()
			return ctx.Err()
		}
	}
}

// Close fixes the log's size; see logs.Store.
func (l *Logs) Close(ctx context.Context, ref events.AttemptRef, size int64) error {
	if err := logs.Check(ref); err != nil {
		return err
	}
	if size < logs.Present {
		return fmt.Errorf("%w: size %d", logs.ErrInvalid, size)
	}
	run, name := string(ref.Run), logName(ref)
	err := l.store.with(func(life *session) error {
		return closeScript.Run(ctx, life.client, []string{logLengths(run), logLimits(run), logsClosed},
			name, min(size, farthest), logsChanged, run+"/"+name).Err()
	})
	if err != nil {
		return fmt.Errorf("redis: close log %s/%s: %w", run, name, err)
	}
	return nil
}

// removals bounds how often Remove looks again at a run that is being written.
const removals = 8

// Remove forgets every log of a run; see logs.Store.
func (l *Logs) Remove(ctx context.Context, run events.RunID) error {
	if err := logs.CheckRun(run); err != nil {
		return err
	}
	for range removals {
		var gone bool
		err := l.store.with(func(life *session) (err error) {
			gone, err = remove(ctx, life.client, string(run))
			return err
		})
		if err != nil {
			return fmt.Errorf("redis: remove logs of %s: %w", run, err)
		}
		if gone {
			return nil
		}
	}
	return fmt.Errorf("redis: remove logs of %s: new ones come all the time", run)
}

func remove(ctx context.Context, client *goredis.Client, run string) (bool, error) {
	names, err := client.HKeys(ctx, logLengths(run)).Result()
	if err != nil {
		return false, err
	}
	keys := []string{logLengths(run), logLimits(run), logBytesKey, logsClosed}
	args := make([]any, len(names)+1)
	args[0] = run
	for i, name := range names {
		keys, args[i+1] = append(keys, logChunks(run, name)), name
	}
	return removeScript.Run(ctx, client, keys, args...).Bool()
}
