package redis_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/logs/cold"
	"github.com/relevo-ci/relevo/shared/logs/logstest"
	"github.com/relevo-ci/relevo/shared/redis"
	"github.com/relevo-ci/relevo/shared/redis/server"
)

// eager moves each log as soon as it is closed.
type eager struct{ *cold.Store }

func (e eager) Append(ctx context.Context, r events.AttemptRef, offset int64, data []byte) (int64, error) {
	n, err := e.Store.Append(ctx, r, offset, data)
	_, moveErr := e.Tidy(ctx, 100)
	return n, errors.Join(err, moveErr)
}

func (e eager) Close(ctx context.Context, r events.AttemptRef, size int64) error {
	err := e.Store.Close(ctx, r, size)
	_, moveErr := e.Tidy(ctx, 100)
	return errors.Join(err, moveErr)
}

func coldOver(t *testing.T, hot logs.Hot) *cold.Store {
	t.Helper()
	b, err := cold.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return cold.New(hot, b, cold.Options{Chunk: 1000})
}

// TestLogsThatAreMoved pass the suite with all that is closed read from a bucket.
func TestLogsThatAreMoved(t *testing.T) {
	s := start(t, t.TempDir(), server.Options{Fsync: server.FsyncNever})
	logstest.Run(t, func(t *testing.T) logs.Store {
		return eager{coldOver(t, emptied(t, s.URL()).Logs(redis.LogBounds{}))}
	})
}

// TestClosedLogsMakeRoom in a store that is full, of any job's name; what is moved
// is not counted, nor counted twice when its run is removed.
func TestClosedLogsMakeRoom(t *testing.T) {
	hot := open(t, embed(t).URL()).Logs(redis.LogBounds{All: 10_000})
	s := coldOver(t, hot)
	names := []events.JobKey{"a", "a/1/1.1", "/", "é\x00", "test.0", "x/"}
	for _, job := range names {
		for n := range 5 {
			ref := attemptOf(logRun, job)
			ref.Attempt = n + 1
			if _, err := s.Append(t.Context(), ref, 0, []byte(strings.Repeat("x", 3000))); err != nil {
				t.Fatalf("%q: %v", job, err)
			}
			if err := s.Close(t.Context(), ref, logs.Present); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := s.Tidy(t.Context(), 100); err != nil {
		t.Fatal(err)
	}
	room := func(want int64) {
		t.Helper()
		if used, most, err := hot.Room(t.Context()); used != want || most != 10_000 || err != nil {
			t.Errorf("%d of %d bytes, %v; want %d", used, most, err, want)
		}
	}
	room(0)
	open := attemptOf(logRun, "open")
	if _, err := s.Append(t.Context(), open, 0, []byte("open")); err != nil {
		t.Fatal(err)
	}
	if err := hot.Drop(t.Context(), open); !errors.Is(err, logs.ErrInvalid) {
		t.Error(err)
	}
	for _, job := range names {
		ref := attemptOf(logRun, job)
		buf := make([]byte, 4000)
		got := 0
		for {
			n, size, closed, err := s.Read(t.Context(), ref, int64(got), buf[got:])
			if err != nil || size != 3000 || !closed {
				t.Fatalf("%q: %d, %v, %v", job, size, closed, err)
			}
			if got += n; n == 0 {
				break
			}
		}
		if got != 3000 {
			t.Errorf("%q: %d bytes", job, got)
		}
	}
	room(4)
	if err := s.Remove(t.Context(), logRun); err != nil {
		t.Fatal(err)
	}
	room(0)
}
