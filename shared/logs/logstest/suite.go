// Package logstest is the suite that every logs.Store passes.
package logstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/logs"
)

const run events.RunID = "01JABCDEFGHJKMNPQRSTVWXYZ0"

// patience bounds what should happen at once; only a broken store needs it.
const patience = 30 * time.Second

func ref(job string, attempt int, fence uint32) events.AttemptRef {
	return events.AttemptRef{
		JobRef:  events.JobRef{Run: run, Job: events.JobKey(job)},
		Attempt: attempt, Fence: events.Fence{Epoch: 1, Counter: fence},
	}
}

// Run tries the suite on stores that open makes, each empty.
func Run(t *testing.T, open func(t *testing.T) logs.Store) {
	for name, test := range map[string]func(*testing.T, logs.Store){
		"append by offset": appendByOffset,
		"attempts apart":   attemptsApart,
		"close":            closing,
		"close early":      closingEarly,
		"invalid":          invalid,
		"wait":             waiting,
		"remove":           removing,
		"many writers":     manyWriters,
		"like a model":     likeAModel,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func appending(t *testing.T, s logs.Store, r events.AttemptRef, offset int64, data string, want int64) {
	t.Helper()
	if got, err := s.Append(t.Context(), r, offset, []byte(data)); err != nil || got != want {
		t.Fatalf("append %d bytes at %d: %d, %v; want %d", len(data), offset, got, err, want)
	}
}

func reading(t *testing.T, s logs.Store, r events.AttemptRef, want string, wantClosed bool) {
	t.Helper()
	var got bytes.Buffer
	buf := make([]byte, 7)
	for {
		n, size, closed, err := s.Read(t.Context(), r, int64(got.Len()), buf)
		if err != nil || size != int64(len(want)) || closed != wantClosed {
			t.Fatalf("read at %d: size %d, closed %v, %v; want %d, %v", got.Len(), size, closed, err, len(want), wantClosed)
		}
		if n == 0 {
			break
		}
		got.Write(buf[:n])
	}
	if got.String() != want {
		t.Fatalf("read %q, want %q", got.String(), want)
	}
}

func appendByOffset(t *testing.T, s logs.Store) {
	r := ref("build", 1, 1)
	reading(t, s, r, "", false)
	appending(t, s, r, 0, "hello ", 6)
	appending(t, s, r, 0, "hello ", 6)      // again
	appending(t, s, r, 3, "XX wor", 9)      // overlaps: what is stored wins
	appending(t, s, r, 12, "a gap", 9)      // refused
	appending(t, s, r, 2, "XXX", 9)         // long there
	appending(t, s, r, 9, "", 9)            // nothing, at the end
	appending(t, s, r, 9, "ld\x00\xff", 13) // bytes, not text
	reading(t, s, r, "hello world\x00\xff"[:13], false)
	if n, size, _, err := s.Read(t.Context(), r, 100, make([]byte, 4)); n != 0 || size != 13 || err != nil {
		t.Fatalf("beyond the end: %d, %d, %v", n, size, err)
	}
}

func attemptsApart(t *testing.T, s logs.Store) {
	refs := []events.AttemptRef{
		ref("a", 1, 1), ref("a", 2, 1), ref("a", 1, 2), ref("A", 1, 1), ref("a.1", 1, 1), ref("a-1", 1, 1),
		ref("..", 1, 1), ref(".", 1, 1), ref("a/b", 1, 1), ref("a_b", 1, 1), ref("../a", 1, 1), ref("\x00", 1, 1),
	}
	for i, r := range refs {
		data := fmt.Sprintf("log %d", i)
		appending(t, s, r, 0, data, int64(len(data)))
	}
	for i, r := range refs {
		reading(t, s, r, fmt.Sprintf("log %d", i), false)
	}
}

func closing(t *testing.T, s logs.Store) {
	r := ref("build", 1, 1)
	appending(t, s, r, 0, "12345", 5)
	for range 2 {
		if err := s.Close(t.Context(), r, 5); err != nil {
			t.Fatal(err)
		}
	}
	reading(t, s, r, "12345", true)
	appending(t, s, r, 0, "12345", 5) // a late repeat is harmless
	for _, offset := range []int64{4, 5, 9} {
		if got, err := s.Append(t.Context(), r, offset, []byte("67")); !errors.Is(err, logs.ErrClosed) || got != 5 {
			t.Fatalf("append at %d: %d, %v; want 5, ErrClosed", offset, got, err)
		}
	}
	if err := s.Close(t.Context(), r, 99); err != nil { // closing again never raises it
		t.Fatal(err)
	}
	reading(t, s, r, "12345", true)
	empty := ref("empty", 1, 1)
	if err := s.Close(t.Context(), empty, 0); err != nil {
		t.Fatal(err)
	}
	reading(t, s, empty, "", true)
}

func closingEarly(t *testing.T, s logs.Store) {
	r := ref("build", 1, 1)
	appending(t, s, r, 0, "123", 3)
	if err := s.Close(t.Context(), r, 9); err != nil {
		t.Fatal(err)
	}
	reading(t, s, r, "123", false)
	appending(t, s, r, 3, "456", 6)
	reading(t, s, r, "123456", false)
	if err := s.Close(t.Context(), r, logs.Present); err != nil { // the rest was given up
		t.Fatal(err)
	}
	reading(t, s, r, "123456", true)
	below := ref("below", 1, 1)
	appending(t, s, below, 0, "123", 3)
	if err := s.Close(t.Context(), below, 1); err != nil {
		t.Fatal(err)
	}
	reading(t, s, below, "123", true)
}

func invalid(t *testing.T, s logs.Store) {
	good := ref("build", 1, 1)
	bad := map[string]func(*events.AttemptRef){
		"no run":         func(r *events.AttemptRef) { r.Run = "" },
		"run is a path":  func(r *events.AttemptRef) { r.Run = "../../../../../../../../aa" },
		"run lower case": func(r *events.AttemptRef) { r.Run = "01jabcdefghjkmnpqrstvwxyz0" },
		"no job":         func(r *events.AttemptRef) { r.Job = "" },
		"attempt 0":      func(r *events.AttemptRef) { r.Attempt = 0 },
	}
	for name, spoil := range bad {
		r := good
		spoil(&r)
		_, err1 := s.Append(t.Context(), r, 0, []byte("x"))
		_, _, _, err2 := s.Read(t.Context(), r, 0, make([]byte, 1))
		err3 := s.Close(t.Context(), r, 0)
		err4 := s.Wait(t.Context(), r, 0)
		for _, err := range []error{err1, err2, err3, err4} {
			if !errors.Is(err, logs.ErrInvalid) {
				t.Errorf("%s: %v, want ErrInvalid", name, err)
			}
		}
	}
	_, err1 := s.Append(t.Context(), good, -1, []byte("x"))
	_, err2 := s.Append(t.Context(), good, 1<<63-1, []byte("x"))
	_, _, _, err3 := s.Read(t.Context(), good, -1, make([]byte, 1))
	err4 := s.Close(t.Context(), good, -2)
	err5 := s.Remove(t.Context(), "..")
	for i, err := range []error{err1, err2, err3, err4, err5} {
		if !errors.Is(err, logs.ErrInvalid) {
			t.Errorf("call %d: %v, want ErrInvalid", i, err)
		}
	}
	reading(t, s, good, "", false)
}

func waiting(t *testing.T, s logs.Store) {
	r := ref("build", 1, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const writes = 200
	followed := make(chan error, 3)
	for range cap(followed) {
		go func() { followed <- follow(ctx, s, r, writes) }()
	}
	for i := range int64(writes) {
		appending(t, s, r, i, "x", i+1)
	}
	if err := s.Close(t.Context(), r, logs.Present); err != nil {
		t.Fatal(err)
	}
	for range cap(followed) {
		if err := <-followed; err != nil {
			t.Error(err)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Wait(gone, ref("other", 1, 1), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("wait with a context that ended: %v", err)
	}
	if err := s.Wait(ctx, r, 1000); err != nil {
		t.Errorf("wait on a closed log: %v", err)
	}
}

// follow reads a log as a client of logs -f does, to its end.
func follow(ctx context.Context, s logs.Store, r events.AttemptRef, want int64) error {
	var at int64
	for {
		if err := s.Wait(ctx, r, at); err != nil {
			return fmt.Errorf("follower at %d of %d: %w", at, want, err)
		}
		n, size, closed, err := s.Read(ctx, r, at, make([]byte, 64))
		if err != nil {
			return err
		}
		at += int64(n)
		if closed && at == size {
			if at != want {
				return fmt.Errorf("follower saw the end at %d of %d", at, want)
			}
			return nil
		}
	}
}

func removing(t *testing.T, s logs.Store) {
	r, other := ref("build", 1, 1), ref("build", 1, 1)
	other.Run = "01JABCDEFGHJKMNPQRSTVWXYZ1"
	appending(t, s, r, 0, "abc", 3)
	appending(t, s, other, 0, "kept", 4)
	if err := s.Close(t.Context(), r, 3); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Remove(t.Context(), run); err != nil {
			t.Fatal(err)
		}
	}
	reading(t, s, r, "", false)
	reading(t, s, other, "kept", false)
	appending(t, s, r, 0, "anew", 4)
}

// manyWriters resend overlapping windows of one log, as an agent does whose
// requests time out while the control plane still works on them.
func manyWriters(t *testing.T, s logs.Store) {
	r := ref("build", 1, 1)
	whole := make([]byte, 50_000)
	for i := range whole {
		whole[i] = byte(i * i / 7)
	}
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 0))
			for at := int64(0); at < int64(len(whole)); {
				from := max(0, at-random.Int64N(100))
				to := min(at+1+random.Int64N(700), int64(len(whole)))
				acknowledged, err := s.Append(t.Context(), r, from, whole[from:to])
				if err != nil || acknowledged < to {
					t.Errorf("append %d to %d: %d, %v", from, to, acknowledged, err)
					return
				}
				at = acknowledged
			}
		})
	}
	writers.Wait()
	reading(t, s, r, string(whole), false)
}

// likeAModel compares random calls with the plainest possible store.
func likeAModel(t *testing.T, s logs.Store) {
	random := rand.New(rand.NewPCG(1, 2))
	r := ref("model", 1, 1)
	var data []byte
	limit := int64(-1)
	for i := range 2000 {
		size := int64(len(data))
		if random.IntN(100) == 0 {
			to := size + random.Int64N(200) - 50
			if err := s.Close(t.Context(), r, max(0, to)); err != nil {
				t.Fatal(err)
			}
			if to = max(to, size); limit == -1 || to < limit {
				limit = to
			}
			continue
		}
		offset := max(0, size+random.Int64N(40)-30)
		more := bytes.Repeat([]byte{byte(i)}, random.IntN(30))
		wantErr := limit != -1 && offset+int64(len(more)) > limit
		if !wantErr && offset <= size && offset+int64(len(more)) > size {
			data = append(data, more[size-offset:]...)
		}
		got, err := s.Append(t.Context(), r, offset, more)
		if got != int64(len(data)) || errors.Is(err, logs.ErrClosed) != wantErr || err != nil != wantErr {
			t.Fatalf("call %d: append %d at %d of %d (limit %d): %d, %v", i, len(more), offset, size, limit, got, err)
		}
		if limit == int64(len(data)) { // full: begin another
			reading(t, s, r, string(data), true)
			r.Attempt, data, limit = r.Attempt+1, nil, -1
		}
	}
	reading(t, s, r, string(data), limit == int64(len(data)))
}
