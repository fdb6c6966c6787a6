package report

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/agent/spool"
	"github.com/relevo-ci/relevo/shared/domain/execution"
)

var errAway = errors.New("connection refused")

// plane is a control plane that keeps what it hears, in virtual time.
type plane struct {
	t      *testing.T
	mu     sync.Mutex
	log    []byte
	steps  []execution.StepEvent
	ends   int
	hellos int
	posts  []time.Time
	kinds  string
	// judge may break an exchange: before it has an effect, or after.
	judge func(n int, r *execution.Report) (before, after error)
	reply func(*execution.Reply)
}

func (p *plane) Post(_ context.Context, r *execution.Report) (execution.Reply, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.posts = append(p.posts, time.Now())
	var before, after error
	if p.judge != nil {
		before, after = p.judge(len(p.posts), r)
	}
	if before != nil {
		return execution.Reply{}, before
	}
	p.kinds += r.Kind[:1]
	if r.Nonce != "n1" || r.Worker != "w1" {
		p.t.Errorf("report of %q, nonce %q", r.Worker, r.Nonce)
	}
	p.keep(r)
	reply := execution.Reply{Acknowledged: int64(len(p.log))}
	if p.reply != nil {
		p.reply(&reply)
	}
	return reply, after
}

func (p *plane) keep(r *execution.Report) {
	var total int
	for i, c := range r.Logs {
		total += len(c.Data)
		if len(c.Data) == 0 || len(c.Data) > maxChunk || i > 0 && c.Offset != r.Logs[i-1].Offset+int64(len(r.Logs[i-1].Data)) {
			p.t.Errorf("chunk of %d bytes at %d does not follow", len(c.Data), c.Offset)
		}
		if have := int64(len(p.log)); c.Offset <= have && c.Offset+int64(len(c.Data)) > have {
			p.log = append(p.log, c.Data[have-c.Offset:]...)
		}
	}
	if total > maxBatch {
		p.t.Errorf("%d bytes in one report", total)
	}
	p.steps = append(p.steps, r.Steps...)
	if r.Kind == execution.Hello {
		p.hellos++
	}
	if r.Kind == execution.End && int64(len(p.log)) >= r.End.LogBytes {
		p.ends++
	}
}

// world runs f in a bubble with a reporter of the plane.
func world(t *testing.T, p *plane, f func(t *testing.T, r *Reporter)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p.t = t
		s := spool.New(t.TempDir(), 20<<20)
		defer s.Close()
		f(t, New(Config{
			Identity: execution.Report{Worker: "w1", Nonce: "n1"}, Sender: p, Spool: s, Heartbeat: 10 * time.Second,
			OnCancel: func(string) {}, Log: slog.New(slog.DiscardHandler),
		}))
	})
}

// pass lets time pass, and all that happens meanwhile.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// run starts Run and gives what it returns.
func run(t *testing.T, r *Reporter) <-chan error {
	done := make(chan error, 1)
	go func() { done <- r.Run(t.Context()) }()
	return done
}

func finish(t *testing.T, r *Reporter, done <-chan error) {
	t.Helper()
	_, end := r.Spool.Bounds()
	r.Finish(execution.Ending{Verdict: events.Succeeded, LogBytes: end})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, r *Reporter, text string) {
	t.Helper()
	if err := r.Spool.Append([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func TestQuietIsAHeartbeat(t *testing.T) {
	p := &plane{}
	world(t, p, func(t *testing.T, r *Reporter) {
		if err := r.Hello(t.Context()); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		done := run(t, r)
		pass(61 * time.Second)
		if got := p.kinds; got != "hbbbbbb" {
			t.Errorf("a minute of silence: %s", got)
		}
		if last := p.posts[len(p.posts)-1].Sub(begin); last != time.Minute {
			t.Errorf("last beat after %v", last)
		}
		finish(t, r, done)
		if p.kinds != "hbbbbbbe" || p.ends != 1 {
			t.Errorf("at the end: %s", p.kinds)
		}
	})
}

func TestOutputWaitsASecondAtMost(t *testing.T) {
	p := &plane{}
	world(t, p, func(t *testing.T, r *Reporter) {
		done := run(t, r)
		pass(5 * time.Second)
		posts, complete := len(p.posts), time.Now()
		for i := range 100 {
			write(t, r, fmt.Sprintf("line %d\n", i))
			pass(50 * time.Millisecond)
			if _, end := r.Spool.Bounds(); int64(len(p.log)) == end {
				complete = time.Now()
			} else if waits := time.Since(complete); waits > every+settle {
				t.Fatalf("line %d: %d of %d bytes arrived, the next one waits since %v", i, len(p.log), end, waits)
			}
		}
		if n := len(p.posts) - posts; n > 7 {
			t.Errorf("%d posts in 5 seconds of output", n)
		}
		finish(t, r, done)
		if n := strings.Count(string(p.log), "\n"); n != 100 {
			t.Errorf("%d lines arrived", n)
		}
	})
}

func TestEveryFaultAtOnce(t *testing.T) {
	for seed := range uint64(30) {
		random, faults := rand.New(rand.NewPCG(seed, 9)), rand.New(rand.NewPCG(seed, 10))
		p := &plane{judge: func(int, *execution.Report) (error, error) {
			switch faults.IntN(4) {
			case 0:
				return errAway, nil
			case 1: // the effect is there, the reply is lost
				return nil, errAway
			}
			return nil, nil
		}}
		world(t, p, func(t *testing.T, r *Reporter) {
			if err := r.Hello(t.Context()); err != nil {
				t.Fatal(err)
			}
			done := run(t, r)
			var want bytes.Buffer
			for i := range 40 {
				piece := bytes.Repeat([]byte{byte(i)}, 1<<random.IntN(20))
				want.Write(piece)
				write(t, r, string(piece))
				r.Step(execution.StepEvent{Index: i})
				pass(time.Duration(random.IntN(1500)) * time.Millisecond)
			}
			finish(t, r, done)
			if !bytes.Equal(p.log, want.Bytes()) {
				t.Errorf("seed %d: the log differs", seed)
			}
			next := 0
			for _, s := range p.steps { // repeated perhaps, but none skipped
				if s.Index > next {
					t.Fatalf("seed %d: step event %d before %d", seed, s.Index, next)
				}
				next = max(next, s.Index+1)
			}
			if next != 40 {
				t.Errorf("seed %d: %d step events arrived", seed, next)
			}
		})
	}
}

func TestAwayForHours(t *testing.T) {
	var back atomic.Bool
	p := &plane{judge: func(int, *execution.Report) (error, error) {
		if !back.Load() {
			return errAway, nil
		}
		return nil, nil
	}}
	world(t, p, func(t *testing.T, r *Reporter) {
		done := run(t, r)
		write(t, r, "hello\n")
		pass(3 * time.Hour)
		if n := len(p.posts); n > 3*3600 || n < 3*3600/8 {
			t.Errorf("%d tries in 3 hours", n)
		}
		back.Store(true)
		finish(t, r, done)
		if string(p.log) != "hello\n" || p.ends != 1 {
			t.Errorf("log %q, %d ends", p.log, p.ends)
		}
	})
}

func TestGivesUpADayAfterTheEnd(t *testing.T) {
	p := &plane{judge: func(int, *execution.Report) (error, error) { return errAway, nil }}
	world(t, p, func(t *testing.T, r *Reporter) {
		done := run(t, r)
		pass(48 * time.Hour) // while the job runs there is no giving up
		r.Finish(execution.Ending{})
		begin := time.Now()
		if err := <-done; !errors.Is(err, ErrUndelivered) || time.Since(begin) < deliverFor {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
	})
}

func TestGone(t *testing.T) {
	for name, judge := range map[string]func(int, *execution.Report) (error, error){
		"at once": func(int, *execution.Report) (error, error) { return ErrGone, nil },
		"refused": func(int, *execution.Report) (error, error) { return ErrRefused, nil },
	} {
		p := &plane{judge: judge}
		world(t, p, func(t *testing.T, r *Reporter) {
			begin := time.Now()
			if err := r.Hello(t.Context()); !errors.Is(err, ErrGone) {
				t.Errorf("%s: hello: %v", name, err)
			}
			if took := time.Since(begin); name == "refused" && took < refusedFor || took > 2*refusedFor {
				t.Errorf("%s: known after %v", name, took)
			}
			if err := <-run(t, r); !errors.Is(err, ErrGone) {
				t.Errorf("%s: run: %v", name, err)
			}
		})
	}
}

// TestOrphaned: a worker that nobody comes back for ends once nothing listens any
// more; a server that is slow, or comes back, is no reason, and others wait for ever.
func TestOrphaned(t *testing.T) {
	const limit = 10 * time.Second
	dead := fmt.Errorf("report: %w", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)})
	away := fmt.Errorf("report: %w", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENOENT)})
	for name, c := range map[string]struct {
		judge func(int, *execution.Report) (error, error)
		limit time.Duration
		gone  bool
	}{
		"nobody listens":     {func(int, *execution.Report) (error, error) { return dead, nil }, limit, true},
		"the socket is gone": {func(int, *execution.Report) (error, error) { return away, nil }, limit, true},
		"its folder is gone": {func(int, *execution.Report) (error, error) { return fmt.Errorf("%w: %w", ErrFolderGone, away), nil }, limit, true},
		"another comes":      {func(int, *execution.Report) (error, error) { return dead, nil }, 0, false},
		"slow":               {func(int, *execution.Report) (error, error) { return errAway, nil }, limit, false},
		"now and then refused": {func(n int, _ *execution.Report) (error, error) {
			if n%2 == 0 {
				return dead, nil
			}
			return errAway, nil
		}, limit, false},
	} {
		world(t, &plane{judge: c.judge}, func(t *testing.T, r *Reporter) {
			if r.OrphanAfter = c.limit; name == "its folder is gone" {
				r.OrphanAfter = 0
				c.limit = folderGoneFor
			}
			begin := time.Now()
			done := run(t, r)
			if c.gone {
				if err := <-done; !errors.Is(err, ErrGone) || time.Since(begin) < c.limit || time.Since(begin) > 3*c.limit {
					t.Errorf("%s: after %v: %v", name, time.Since(begin), err)
				}
				return
			}
			pass(time.Hour)
			select {
			case err := <-done:
				t.Errorf("%s: after %v: %v", name, time.Since(begin), err)
			default:
			}
		})
	}
}

func TestRefusedForAMomentIsNotGone(t *testing.T) {
	p := &plane{judge: func(n int, _ *execution.Report) (error, error) {
		if n < 10 {
			return ErrRefused, nil
		}
		return nil, nil
	}}
	world(t, p, func(t *testing.T, r *Reporter) {
		if err := r.Hello(t.Context()); err != nil || p.hellos != 1 {
			t.Errorf("%v, %d hellos", err, p.hellos)
		}
	})
}

func TestLogLostByTheControlPlane(t *testing.T) {
	p := &plane{}
	world(t, p, func(t *testing.T, r *Reporter) {
		done := run(t, r)
		write(t, r, strings.Repeat("x", 500))
		pass(2 * time.Second)
		p.mu.Lock()
		p.log = p.log[:100]
		p.mu.Unlock()
		write(t, r, "and on\n")
		finish(t, r, done)
		if got := string(p.log); len(got) != 507 || !strings.HasPrefix(got[100:], "\n(this part of the log was lost) ...") || !strings.HasSuffix(got, ".\nand on\n") {
			t.Errorf("%d bytes: %q", len(got), got)
		}
	})
}

func TestFullStoreIsNotHammered(t *testing.T) {
	var full atomic.Bool
	full.Store(true)
	p := &plane{}
	p.reply = func(r *execution.Reply) {
		if full.Load() {
			r.Acknowledged, p.log = 0, nil
		}
	}
	world(t, p, func(t *testing.T, r *Reporter) {
		done := run(t, r)
		write(t, r, strings.Repeat("x", 3<<20))
		pass(10 * time.Minute)
		if n := len(p.posts); n > 600 {
			t.Errorf("%d posts in 10 minutes without progress", n)
		}
		full.Store(false)
		finish(t, r, done)
		if len(p.log) != 3<<20 {
			t.Errorf("%d bytes arrived", len(p.log))
		}
	})
}

func TestTooLargeIsCut(t *testing.T) {
	p := &plane{judge: func(_ int, r *execution.Report) (error, error) {
		if raw, _ := json.Marshal(r); len(raw) > 100<<10 {
			return ErrTooLarge, nil
		}
		return nil, nil
	}}
	world(t, p, func(t *testing.T, r *Reporter) {
		done := run(t, r)
		write(t, r, strings.Repeat("x", 2<<20))
		finish(t, r, done)
		if len(p.log) != 2<<20 {
			t.Errorf("%d bytes arrived", len(p.log))
		}
	})
}

func TestCancelIsToldOnce(t *testing.T) {
	p := &plane{reply: func(r *execution.Reply) { r.Cancel = "by a person" }}
	world(t, p, func(t *testing.T, r *Reporter) {
		var told []string
		r.OnCancel = func(reason string) { told = append(told, reason) }
		done := run(t, r)
		pass(time.Minute)
		finish(t, r, done)
		if len(told) != 1 || told[0] != "by a person" {
			t.Errorf("told %q", told)
		}
	})
}

func TestManyStepsTakeSeveralReports(t *testing.T) {
	p := &plane{judge: func(_ int, r *execution.Report) (error, error) {
		if raw, _ := json.Marshal(r); len(raw) > maxSummaries+maxSteps*200+execution.SummaryMax {
			t.Errorf("a report of %d bytes", len(raw))
		}
		return nil, nil
	}}
	world(t, p, func(t *testing.T, r *Reporter) {
		for i := range 1000 {
			e := execution.StepEvent{Index: i}
			if i < 50 {
				e.Summary = strings.Repeat("x", execution.SummaryMax)
			}
			r.Step(e)
		}
		finish(t, r, run(t, r))
		for i, s := range p.steps {
			if s.Index != i {
				t.Fatalf("step event %d comes as number %d", s.Index, i)
			}
		}
		if len(p.steps) != 1000 {
			t.Errorf("%d step events", len(p.steps))
		}
	})
}
