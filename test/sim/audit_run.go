package main

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// watched is a run as its ledger tells it.
type watched struct {
	id        events.RunID
	at        protocol.LedgerID
	shadow    *pipeline.Run
	fence     events.Fence // the highest ever seen, restarts included
	cancelled bool         // a cancel was acknowledged
	jobs      map[events.JobKey]*watchedJob
	nonces    map[string]string // effective nonce by attempt
	ran       map[string]string // nonce whose hello was acknowledged, by attempt
}

// watchedJob is what the auditor counts by itself.
type watchedJob struct {
	state     pipeline.JobState
	attempt   int
	user      int // retries
	infra     int
	notBefore time.Time
	asked     time.Time // when it began to await something
	ended     events.Type
	cancelled bool // a cancel of this job was acknowledged
}

func (r *watched) clear() {
	r.at, r.shadow, r.cancelled = "", &pipeline.Run{}, false
	r.jobs, r.nonces, r.ran = map[events.JobKey]*watchedJob{}, map[string]string{}, map[string]string{}
}

func (r *watched) job(key events.JobKey) *watchedJob {
	if r.jobs[key] == nil {
		r.jobs[key] = &watchedJob{}
	}
	return r.jobs[key]
}

// holds tells whether an attempt is under way; a nil run knows none.
func (r *watched) holds(ref events.AttemptRef) bool {
	if r == nil {
		return false
	}
	j := r.shadow.Job(ref.Job)
	if j == nil || j.Current() == nil {
		return false
	}
	at := j.Current()
	return !at.State.Over() && at.Number == ref.Attempt && at.Fence == ref.Fence
}

func (r *watched) wantedDues(want map[string]time.Duration, nudge time.Duration) {
	if r.shadow.State.Final() {
		return
	}
	want[events.RunRef{Run: r.id}.Subject()] = time.Hour
	for _, j := range r.shadow.Jobs {
		name := events.JobRef{Run: r.id, Job: j.Key}.Subject()
		switch j.State {
		case pipeline.Pending:
			want[name] = nudge
			if j.Await != nil {
				want[name] = time.Hour
			}
		case pipeline.Scheduled:
			want[name] = startDeadline
		case pipeline.Running:
			want[name] = lease
		}
	}
}

func (a *auditor) readRun(function string, r *watched) {
	p := protocol.PartitionOf(r.id)
	changed := false
	a.read(p, &r.at,
		func(e events.Envelope) bool { return e.RunID == string(r.id) },
		func(_ protocol.Record, e events.Envelope) {
			changed = true
			if err := r.shadow.Replay(e); err != nil {
				a.fail("S5 after %s: replay %s: %v", function, e.Type, err)
				return
			}
			a.runEvent(r, e)
		},
		func(protocol.Record) { a.structure(r) })
	if !changed || a.fault != "" {
		return
	}
	docs, _, err := a.w.store.Store.Load(context.Background(), p, protocol.DocID("run/"+r.id))
	if err != nil {
		a.fail("S7: load: %v", err)
		return
	}
	body, err := json.Marshal(r.shadow)
	if err != nil || !bytes.Equal(body, docs[0].Body) {
		a.fail("S7 after %s: run %s\n replayed %s\n stored   %s (%v)", function, r.id, body, docs[0].Body, err)
	}
}

func (a *auditor) runEvent(r *watched, e events.Envelope) {
	switch e.Type {
	case events.TypeRunRequested:
		a.carried(r, e, decode[events.RunRequested](a, e))
	case events.TypeJobRequested:
		a.requested(r, e, decode[events.JobRequested](a, e))
	case events.TypeAwaitRequested:
		a.awaited(r, e, decode[events.AwaitRequested](a, e))
	case events.TypeJobScheduled:
		a.scheduled(r, decode[events.JobScheduled](a, e))
	case events.TypeJobStarted:
		d := decode[events.JobStarted](a, e)
		key := attemptKey(d.AttemptRef)
		if r.nonces[key] != "" {
			a.fail("S2: two workers were let in for %s", key)
		}
		r.nonces[key] = d.Nonce
		a.moved(r, d.Job, pipeline.Running)
	case events.TypeWorkerCreated:
		if d := decode[events.WorkerCreated](a, e); !r.holds(d.For) {
			a.fail("S2: the stale word that %s has its worker counted", attemptKey(d.For))
		}
	case events.TypeJobCompleted:
		a.completed(r, e, decode[events.JobCompleted](a, e))
	case events.TypeJobRetried:
		a.retried(r, e, decode[events.JobRetried](a, e))
	case events.TypeJobFailed:
		a.failed(r, e, decode[events.JobFailed](a, e))
	case events.TypeJobCancelled:
		a.final(r, decode[events.JobCancelled](a, e).Job, e.Type, pipeline.Cancelled)
	case events.TypeJobSkipped:
		a.skipped(r, e, decode[events.JobSkipped](a, e))
	case events.TypeRunCompleted, events.TypeRunFailed, events.TypeRunCancelled:
		a.runEnded(r, e)
	}
}

// moves are the transitions that a job may make, as the design has them.
var moves = map[pipeline.JobState][]pipeline.JobState{
	pipeline.Waiting:   {pipeline.Pending, pipeline.Skipped, pipeline.Failed, pipeline.Cancelled},
	pipeline.Pending:   {pipeline.Pending, pipeline.Scheduled, pipeline.Failed, pipeline.Cancelled},
	pipeline.Scheduled: {pipeline.Running, pipeline.Pending, pipeline.Terminated, pipeline.Cancelled},
	pipeline.Running:   {pipeline.Succeeded, pipeline.Failed, pipeline.Pending, pipeline.Terminated, pipeline.Cancelled},
}

// moved holds S5: states move along the table, and the stored one follows.
func (a *auditor) moved(r *watched, key events.JobKey, to pipeline.JobState) {
	j := r.job(key)
	table := moves
	if r.shadow.JobSpec(key).Await != nil {
		table = gateMoves
	}
	if !slices.Contains(table[j.state], to) {
		a.fail("S5: %s of %s went from %q to %s", key, r.id, j.state, to)
	}
	j.state = to
	if got := r.shadow.Job(key).State; got != to {
		a.fail("S5: %s of %s is %s, its events say %s", key, r.id, got, to)
	}
}

func (a *auditor) final(r *watched, key events.JobKey, t events.Type, to pipeline.JobState) {
	j := r.job(key)
	if j.ended != "" {
		a.fail("S1: %s of %s ended twice: %s, then %s", key, r.id, j.ended, t)
	}
	j.ended = t
	a.moved(r, key, to)
}

func (a *auditor) requested(r *watched, e events.Envelope, d events.JobRequested) {
	j := r.job(d.Job)
	if d.Attempt != j.attempt+1 {
		a.fail("S5: attempt %d of %s asked for after attempt %d", d.Attempt, d.Job, j.attempt)
	}
	j.attempt = d.Attempt
	if e.Time.Before(j.notBefore) {
		a.fail("S5: attempt %d of %s asked for before its back-off was over", d.Attempt, d.Job)
	}
	a.moved(r, d.Job, pipeline.Pending)
	if spec := r.shadow.JobSpec(d.Job); spec.Await != nil {
		a.fail("S5: an attempt of %s of %s was asked for, which only waits", d.Job, r.id)
	} else {
		a.needsMet(r, spec)
	}
}

func (a *auditor) needsMet(r *watched, spec *pipeline.JobSpec) {
	for _, n := range r.needs(spec) {
		state := r.shadow.Job(n.Key).State
		switch {
		case !state.Final():
			a.fail("S5: %s asked for while %s, which it needs, is %q", spec.Key, n.Key, state)
		case spec.If == nil && state != pipeline.Succeeded:
			a.fail("S5: %s asked for though %s, which it needs, is %s", spec.Key, n.Key, state)
		}
	}
}

func (a *auditor) skipped(r *watched, e events.Envelope, d events.JobSkipped) {
	a.final(r, d.Job, e.Type, pipeline.Skipped)
	spec := r.shadow.JobSpec(d.Job)
	if !r.ready(spec) {
		a.fail("S5: %s skipped before all that it needs was done", d.Job)
	}
	met := true
	for _, n := range r.ancestors(spec) {
		met = met && r.shadow.Job(n.Key).State == pipeline.Succeeded
	}
	if met || spec.If != nil {
		a.fail("S5: %s skipped for no reason: %s", d.Job, d.Reason)
	}
}

func (a *auditor) scheduled(r *watched, d events.JobScheduled) {
	if !a.rereading {
		if d.Fence.Compare(r.fence) <= 0 {
			a.fail("S6: fence %s of %s after %s", d.Fence, d.Job, r.fence)
		}
		r.fence = d.Fence
	}
	if j := r.job(d.Job); d.Attempt != j.attempt {
		a.fail("S5: attempt %d of %s scheduled, attempt %d was asked for", d.Attempt, d.Job, j.attempt)
	}
	a.moved(r, d.Job, pipeline.Scheduled)
}

func (a *auditor) completed(r *watched, e events.Envelope, d events.JobCompleted) {
	a.final(r, d.Job, e.Type, pipeline.Succeeded)
	if r.cancelled || r.job(d.Job).cancelled {
		a.fail("S9: %s succeeded after an acknowledged cancel", d.Job)
	}
	if r.shadow.JobSpec(d.Job).Await != nil {
		a.woken(r, d)
		return
	}
	if d.Fence != r.shadow.Job(d.Job).Current().Fence {
		a.fail("S2: %s completed by the stale fence %s", d.Job, d.Fence)
	}
	if d.Outputs["who"] != d.Fence.String() {
		a.fail("S2: %s completed under fence %s with the outputs of %s", d.Job, d.Fence, d.Outputs["who"])
	}
	a.wholeLog(r, d.AttemptRef)
}

func (a *auditor) runEnded(r *watched, e events.Envelope) {
	failed := false
	for _, j := range r.shadow.Jobs {
		if !j.State.Final() {
			a.fail("S1: %s ended while %s is %q", r.id, j.Key, j.State)
		}
		failed = failed || j.State == pipeline.Failed || j.State == pipeline.Terminated
	}
	want := events.TypeRunCompleted
	switch {
	case r.shadow.Cancelled != "":
		want = events.TypeRunCancelled
	case failed:
		want = events.TypeRunFailed
	}
	if e.Type != want {
		a.fail("S5: %s ended with %s, its jobs say %s", r.id, e.Type, want)
	}
}
