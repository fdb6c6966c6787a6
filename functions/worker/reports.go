// Package worker is the HTTP function that agents report to: hello, logs,
// steps, lease and end of an attempt. It lets the first worker of a fence in
// and tells stale ones to go.
package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/relevo-ci/relevo/events"
	jobended "github.com/relevo-ci/relevo/functions/job-ended"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/state"
)

const name = "worker"

// Reports answers agents. Each call is one report; it may come again.
type Reports struct {
	Runs *state.Runs
	Logs logs.Store
	// Publish sends events on. What is committed the outbox keeps when it can't;
	// what is only told (steps, log.appended) is then lost to those who watch.
	Publish func(ctx context.Context, es []events.Envelope) error
	// Secrets are what jobs may know; nil: nothing.
	Secrets Secrets

	mu       sync.Mutex
	attempts map[events.AttemptRef]*tail
	lookAt   time.Time // for attempts that are heard of elsewhere
}

// tail is what is not worth a commit: when the lease was extended last, and
// the part of the log that no event told of yet.
type tail struct {
	heard, beat, told time.Time
	from, to          int64
	trace             string // the run's, where it is not its own
}

// Report handles one report.
func (s *Reports) Report(ctx context.Context, r execution.Report) (execution.Reply, error) {
	run, moment, err := s.Runs.Load(ctx, r.Run)
	if errors.Is(err, state.ErrNoRun) {
		return execution.Reply{Gone: "there is no such run"}, nil
	}
	if err != nil {
		return execution.Reply{}, err
	}
	nonce := digest(r.Nonce)
	s.within(r.AttemptRef, run.Trace)
	if !run.Runs(r.AttemptRef, nonce) {
		if !run.Holds(r.AttemptRef) {
			return s.over(ctx, run, r, nonce)
		}
		ok, err := s.hello(ctx, r, nonce, moment.Now)
		if err != nil {
			return execution.Reply{}, err
		}
		if !ok {
			return execution.Reply{Gone: "another worker was first under this fence"}, nil
		}
	}
	// The lease first: a full log store or a broker that is away is not the
	// worker's end.
	if err := s.beat(ctx, r.AttemptRef, nonce, moment.Now); err != nil {
		return execution.Reply{}, err
	}
	acknowledged, err := s.keep(ctx, r, lastOf(run, r.Job), moment.Now)
	if err != nil {
		return execution.Reply{}, err
	}
	reply := execution.Reply{Acknowledged: acknowledged, Cancel: attempt(run, r.AttemptRef).Doom}
	if err := s.steps(ctx, run, r); err != nil {
		return execution.Reply{}, err
	}
	if r.End == nil || acknowledged < r.End.LogBytes {
		return reply, nil // the end counts once its log is whole
	}
	return reply, s.end(ctx, r, moment.Now)
}

// over answers a worker whose attempt is over. One that was cancelled may still
// hand in its last lines; none of its results counts.
func (s *Reports) over(ctx context.Context, run *pipeline.Run, r execution.Report, nonce string) (execution.Reply, error) {
	a := attempt(run, r.AttemptRef)
	if a == nil || a.Nonce != nonce {
		return execution.Reply{Gone: "the attempt is not this worker's"}, nil
	}
	switch a.State {
	case pipeline.AttemptTerminated, pipeline.AttemptTimedOut:
		s.forget(r.AttemptRef)
		return execution.Reply{Gone: "the attempt is over: " + a.Reason}, nil
	}
	n, err := s.keep(ctx, r, "", time.Time{})
	if errors.Is(err, logs.ErrClosed) {
		err = nil
	}
	reply := execution.Reply{Acknowledged: n}
	if a.State == pipeline.AttemptCancelled {
		reply.Cancel = a.Reason
	}
	s.forget(r.AttemptRef)
	if r.End != nil && n >= r.End.LogBytes {
		err = errors.Join(err, s.Logs.Close(ctx, r.AttemptRef, r.End.LogBytes))
	}
	return reply, err
}

func attempt(run *pipeline.Run, ref events.AttemptRef) *pipeline.Attempt {
	j := run.Job(ref.Job)
	if j == nil {
		return nil
	}
	for _, a := range j.Attempts {
		if a.Number == ref.Attempt && a.Fence == ref.Fence {
			return a
		}
	}
	return nil
}

// hello lets the first nonce under a fence in.
func (s *Reports) hello(ctx context.Context, r execution.Report, nonce string, now time.Time) (bool, error) {
	var ok bool
	cause := events.Envelope{
		ID:     events.DeriveID("hello", r.AttemptRef.Subject(), r.Fence.String(), nonce),
		Source: "/relevo/" + name, RunID: string(r.Run),
	}
	res, err := s.Runs.Change(ctx, name, cause, r.Run, func(run *pipeline.Run, em *events.Emitter, _ uint32) error {
		if j := run.Job(r.Job); j != nil {
			em.Cause.CauseID = j.Last
		}
		ok = run.Hello(em, r.AttemptRef, r.Worker, nonce)
		return nil
	})
	if err != nil || !ok {
		return false, err
	}
	t := s.tail(r.AttemptRef) // the commit set the lease: no beat is needed yet
	s.mu.Lock()
	t.beat = now
	s.mu.Unlock()
	s.publish(ctx, res.Emitted)
	return true, nil
}

// beat extends the lease, at most four times in a lease's time.
func (s *Reports) beat(ctx context.Context, ref events.AttemptRef, nonce string, now time.Time) error {
	t := s.tail(ref)
	s.mu.Lock()
	t.heard = now
	s.forgetSilent(now)
	fresh := now.Sub(t.beat) < s.Runs.Policy.Lease/4
	s.mu.Unlock()
	if fresh {
		return nil
	}
	ok, err := s.Runs.Beat(ctx, ref, nonce)
	if err == nil && ok {
		s.mu.Lock()
		t.beat = now
		s.mu.Unlock()
	}
	return err
}

// within remembers the trace of an attempt's run: what is told of it goes on from
// there.
func (s *Reports) within(ref events.AttemptRef, trace string) {
	if trace == "" {
		return
	}
	t := s.tail(ref)
	s.mu.Lock()
	defer s.mu.Unlock()
	t.trace = trace
}

func (s *Reports) tail(ref events.AttemptRef) *tail {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.attempts == nil {
		s.attempts = map[events.AttemptRef]*tail{}
	}
	t, ok := s.attempts[ref]
	if !ok {
		t = &tail{}
		s.attempts[ref] = t
	}
	return t
}

// end hands the verdict to the pipeline. It is the same event that the broker
// may carry to job-ended: whichever comes first counts.
func (s *Reports) end(ctx context.Context, r execution.Report, now time.Time) error {
	if err := s.Logs.Close(ctx, r.AttemptRef, r.End.LogBytes); err != nil {
		return fmt.Errorf("worker: close log: %w", err)
	}
	run, _, err := s.Runs.Load(ctx, r.Run)
	if err != nil {
		return err
	}
	cause := lastOf(run, r.Job)
	if err := s.tellLog(ctx, r.AttemptRef, cause, now, true); err != nil {
		return err
	}
	ended, err := events.New(
		events.DeriveID("job.ended", r.AttemptRef.Subject(), r.Fence.String()), "/relevo/"+name, cause, now,
		events.JobEnded{
			AttemptRef: r.AttemptRef, Verdict: r.End.Verdict, Reason: r.End.Reason,
			Outputs: r.End.Outputs, Steps: execution.Bound(r.End.Steps), LogBytes: r.End.LogBytes,
		})
	if err != nil {
		return err
	}
	ended = run.Traced(ended)
	emitted, err := jobended.New(s.Runs).Handle(ctx, ended)
	if err != nil {
		return err
	}
	s.forget(r.AttemptRef)
	s.publish(ctx, append([]events.Envelope{ended}, emitted...))
	return nil
}

// publish sends events on. That it failed is no business of the agent's: what
// counts is committed, and the clock sends it again. An agent that is done does
// not wait for it.
func (s *Reports) publish(ctx context.Context, es []events.Envelope) {
	if len(es) == 0 {
		return
	}
	if err := s.Publish(context.WithoutCancel(ctx), es); err != nil {
		slog.WarnContext(ctx, "worker: events not published", "first", es[0].ID, "count", len(es), "error", err)
	}
}

// forgetSilent drops what is known of attempts that were not heard of for two
// leases: they are lost, or report to other processes, and this one would never
// hear of their end. The caller holds mu.
func (s *Reports) forgetSilent(now time.Time) {
	if now.Before(s.lookAt) {
		return
	}
	silence := 2 * s.Runs.Policy.Lease
	s.lookAt = now.Add(silence)
	maps.DeleteFunc(s.attempts, func(_ events.AttemptRef, t *tail) bool { return now.Sub(t.heard) > silence })
}

func (s *Reports) forget(ref events.AttemptRef) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.attempts, ref)
}

func digest(nonce string) string {
	h := sha256.Sum256([]byte(nonce))
	return hex.EncodeToString(h[:])
}
