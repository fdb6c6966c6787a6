package redis_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/logs/logstest"
	"github.com/relevo-ci/relevo/shared/redis"
	"github.com/relevo-ci/relevo/shared/redis/server"
)

func attemptOf(run events.RunID, job events.JobKey) events.AttemptRef {
	return events.AttemptRef{JobRef: events.JobRef{Run: run, Job: job}, Attempt: 1, Fence: events.Fence{Epoch: 1, Counter: 1}}
}

const logRun events.RunID = "01JABCDEFGHJKMNPQRSTVWXYZ0"

func TestLogs(t *testing.T) {
	s := start(t, t.TempDir(), server.Options{Fsync: server.FsyncNever})
	logstest.Run(t, func(t *testing.T) logs.Store { return emptied(t, s.URL()).Logs(redis.LogBounds{}) })
}

func TestLogsEmbedded(t *testing.T) {
	logstest.Run(t, func(t *testing.T) logs.Store { return open(t, embed(t).URL()).Logs(redis.LogBounds{}) })
}

// emptied opens the store at url without the logs that it had.
func emptied(t *testing.T, url string) *redis.Store {
	t.Helper()
	s := open(t, url)
	for _, run := range []events.RunID{logRun, "01JABCDEFGHJKMNPQRSTVWXYZ1"} {
		if err := s.Logs(redis.LogBounds{}).Remove(t.Context(), run); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestLogsAreOneForAllProcesses: what one store appends another reads, and who
// waits there is woken.
func TestLogsAreOneForAllProcesses(t *testing.T) {
	s := start(t, t.TempDir(), server.Options{Fsync: server.FsyncNever})
	writer, reader := open(t, s.URL()).Logs(redis.LogBounds{}), open(t, s.URL()).Logs(redis.LogBounds{})
	ref := attemptOf(logRun, "build")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var want, got bytes.Buffer
	wrote := make(chan error, 1)
	for i := range 300 {
		fmt.Fprintf(&want, "line %d %s\n", i, strings.Repeat("x", i*i%977))
	}
	go func() {
		whole := want.Bytes()
		for at := 0; at < len(whole); {
			to := min(at+997, len(whole))
			if _, err := writer.Append(ctx, ref, int64(at), whole[at:to]); err != nil {
				wrote <- err
				return
			}
			at = to
		}
		wrote <- writer.Close(ctx, ref, logs.Present)
	}()
	buf := make([]byte, 4096)
	for {
		if err := reader.Wait(ctx, ref, int64(got.Len())); err != nil {
			t.Fatal(err)
		}
		n, size, closed, err := reader.Read(ctx, ref, int64(got.Len()), buf)
		if err != nil {
			t.Fatal(err)
		}
		got.Write(buf[:n])
		if closed && int64(got.Len()) == size {
			break
		}
	}
	if err := <-wrote; err != nil || !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("read %d bytes of %d, %v", got.Len(), want.Len(), err)
	}
}

// TestLargePiecesAreKeptInChunks: a piece beyond a chunk, and reads across
// chunks at any offset.
func TestLargePiecesAreKeptInChunks(t *testing.T) {
	l := open(t, embed(t).URL()).Logs(redis.LogBounds{})
	ref := attemptOf(logRun, "build")
	whole := make([]byte, 3<<20)
	for i := range whole {
		whole[i] = byte(i * 7 / 3)
	}
	if n, err := l.Append(t.Context(), ref, 0, whole); n != int64(len(whole)) || err != nil {
		t.Fatal(n, err)
	}
	for _, at := range []int{0, 1, 16<<10 - 1, 16 << 10, 16<<10 + 1, 1 << 20, len(whole) - 1} {
		buf := make([]byte, 100_000)
		n, size, _, err := l.Read(t.Context(), ref, int64(at), buf)
		if want := whole[at:min(at+len(buf), len(whole))]; err != nil || size != int64(len(whole)) || !bytes.Equal(buf[:n], want) {
			t.Errorf("at %d: %d bytes of %d, %v", at, n, size, err)
		}
	}
	if n, _, _, err := l.Read(t.Context(), ref, 0, make([]byte, 2<<20)); n != 1<<20 || err != nil {
		t.Errorf("a read gives %d bytes at most, %v", n, err)
	}
}

// TestLogsAreBounded: each alone and all together, and removal makes room.
func TestLogsAreBounded(t *testing.T) {
	l := open(t, embed(t).URL()).Logs(redis.LogBounds{All: 25, Each: 10, Advice: "do something"})
	other := logRun[:25] + "1"
	for i, c := range []struct {
		ref  events.AttemptRef
		at   int64
		data string
		want int64
		full string
	}{
		{ref: attemptOf(logRun, "a"), data: "0123456789", want: 10},
		{ref: attemptOf(logRun, "a"), at: 10, data: "x", want: 10, full: "may have 10 bytes: do something"},
		{ref: attemptOf(logRun, "a"), at: 5, data: "56789", want: 10}, // a repeat
		{ref: attemptOf(logRun, "b"), data: "0123456789", want: 10},
		{ref: attemptOf(other, "a"), data: "0123456789", full: "all logs together may have 25 bytes: do something"},
		{ref: attemptOf(other, "a"), data: "01234", want: 5},
	} {
		n, err := l.Append(t.Context(), c.ref, c.at, []byte(c.data))
		if n != c.want || errors.Is(err, logs.ErrFull) != (c.full != "") || (err != nil) != (c.full != "") {
			t.Errorf("%d: %d, %v", i, n, err)
		}
		if c.full != "" && err != nil && !strings.Contains(err.Error(), c.full) {
			t.Errorf("%d: %v does not say %q", i, err, c.full)
		}
	}
	if err := l.Remove(t.Context(), logRun); err != nil {
		t.Fatal(err)
	}
	if n, err := l.Append(t.Context(), attemptOf(other, "b"), 0, []byte("0123456789")); n != 10 || err != nil {
		t.Errorf("after the removal: %d, %v", n, err)
	}
}

// TestLogsOutliveTheServer: a follower that waits hears of what comes after
// Redis was away, and the log is what was acknowledged.
func TestLogsOutliveTheServer(t *testing.T) {
	dir := t.TempDir()
	first, err := server.Start(t.Context(), dir, server.Options{})
	if err != nil {
		t.Fatal(err)
	}
	writer, reader := open(t, first.URL()).Logs(redis.LogBounds{}), open(t, first.URL()).Logs(redis.LogBounds{})
	ref := attemptOf(logRun, "build")
	if _, err := writer.Append(t.Context(), ref, 0, []byte("before ")); err != nil {
		t.Fatal(err)
	}
	woken := make(chan error, 1)
	go func() { woken <- reader.Wait(t.Context(), ref, 7) }()
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := start(t, dir, server.Options{}); again.URL() != first.URL() {
		t.Fatalf("the server moved from %s to %s", first.URL(), again.URL())
	}
	deadline := time.Now().Add(time.Minute)
	for {
		n, err := writer.Append(t.Context(), ref, 7, []byte("after"))
		if err == nil && n == 12 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(n, err)
		}
	}
	select {
	case err = <-woken:
	case <-time.After(time.Minute):
		err = errors.New("it still waits")
	}
	buf := make([]byte, 100)
	if n, _, _, readErr := reader.Read(t.Context(), ref, 0, buf); readErr != nil || string(buf[:n]) != "before after" {
		t.Errorf("%q, %v", buf[:n], readErr)
	}
	// A look at the wrong moment may fail with the connection: the follower comes
	// again. What must not be is that it waits for ever.
	t.Log("woken with", err)
	if err != nil && strings.Contains(err.Error(), "still waits") {
		t.Error(err)
	}
}
