package main

import (
	"slices"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

// needs are the jobs that a job needs directly, matrices unfolded.
func (r *watched) needs(spec *pipeline.JobSpec) []*pipeline.JobSpec {
	var out []*pipeline.JobSpec
	jobs := r.shadow.Spec().Jobs
	for i := range jobs {
		if slices.Contains(spec.Needs, jobs[i].ID) {
			out = append(out, &jobs[i])
		}
	}
	return out
}

// ancestors are the jobs that a job needs, directly or through others.
func (r *watched) ancestors(spec *pipeline.JobSpec) []*pipeline.JobSpec {
	var out []*pipeline.JobSpec
	for _, n := range r.needs(spec) {
		out = append(append(out, n), r.ancestors(n)...)
	}
	return out
}

// siblings are the jobs of a job's matrix, itself included.
func (r *watched) siblings(spec *pipeline.JobSpec) []*pipeline.Job {
	var out []*pipeline.Job
	for i := range r.shadow.Spec().Jobs {
		if s := &r.shadow.Spec().Jobs[i]; s.ID == spec.ID {
			out = append(out, r.shadow.Job(s.Key))
		}
	}
	return out
}

// structure holds, after every commit, what must be so between the jobs of a
// run: nothing waits whose time has come, and nothing goes on that must not.
func (a *auditor) structure(r *watched) {
	all := true
	for i := range r.shadow.Spec().Jobs {
		spec := &r.shadow.Spec().Jobs[i]
		j := r.shadow.Job(spec.Key)
		all = all && j.State.Final()
		live, failed := 0, false
		if s := spec.Strategy; s != nil {
			for _, o := range r.siblings(spec) {
				if o.State.Live() {
					live++
				}
				failed = failed || o.State == pipeline.Failed || o.State == pipeline.Terminated
			}
			if s.FailFast && failed && !j.State.Final() {
				a.fail("S5: %s is %q though its matrix failed and is fail-fast", j.Key, j.State)
			}
			if s.MaxParallel > 0 && live > s.MaxParallel {
				a.fail("S3: %d jobs of the matrix of %s are live, at most %d may be", live, j.Key, s.MaxParallel)
			}
		}
		held := spec.Strategy != nil && spec.Strategy.MaxParallel > 0 && live >= spec.Strategy.MaxParallel
		if r.shadow.State == pipeline.RunRunning && j.State == pipeline.Waiting && !held && r.ready(spec) {
			a.fail("L2: all that %s of %s needs is done, and it was not asked for", j.Key, r.id)
		}
	}
	if all != r.shadow.State.Final() && r.shadow.State != pipeline.RunRequested {
		a.fail("S1: run %s is %s, all of its jobs final: %t", r.id, r.shadow.State, all)
	}
}

func (r *watched) ready(spec *pipeline.JobSpec) bool {
	return !slices.ContainsFunc(r.needs(spec), func(n *pipeline.JobSpec) bool { return !r.shadow.Job(n.Key).State.Final() })
}

// retried holds the budgets: the platform's faults never spend the author's.
func (a *auditor) retried(r *watched, e events.Envelope, d events.JobRetried) {
	j := r.job(d.Job)
	j.notBefore = d.NotBefore
	switch d.Verdict {
	case events.Infra:
		j.infra++
	case events.Failed, events.Timeout:
		j.user++
	default:
		a.fail("S5: %s tried again after %s", d.Job, d.Verdict)
	}
	if !r.wants(d.Job, d.Verdict) || j.user > r.most(d.Job) {
		a.fail("S5: %s tried again after %s: %d retries of %d", d.Job, d.Verdict, j.user, r.most(d.Job))
	}
	if j.infra > infraRetries {
		a.fail("S5: %s was lost and tried again %d times", d.Job, j.infra)
	}
	stored := r.shadow.Job(d.Job)
	if stored.UserSpent != j.user || stored.Lost != j.infra {
		a.fail("S5: %s spent %d and %d retries, the books say %d and %d", d.Job, j.user, j.infra, stored.UserSpent, stored.Lost)
	}
	was := j.state
	a.moved(r, d.Job, pipeline.Pending)
	a.attemptEnded(r, e, was, d.AttemptRef, d.Verdict)
}

// wants tells whether a verdict is tried again at all.
func (r *watched) wants(key events.JobKey, v events.Verdict) bool {
	retry := r.shadow.JobSpec(key).Retry
	switch v {
	case events.Infra:
		return true
	case events.Failed, events.Timeout:
		return retry != nil && (len(retry.On) == 0 || slices.Contains(retry.On, v))
	}
	return false
}

func (r *watched) most(key events.JobKey) int {
	if retry := r.shadow.JobSpec(key).Retry; retry != nil {
		return retry.Max
	}
	return 0
}

func (a *auditor) failed(r *watched, e events.Envelope, d events.JobFailed) {
	j := r.job(d.Job)
	was, to := j.state, pipeline.Failed
	if d.Terminated {
		to = pipeline.Terminated
	}
	a.final(r, d.Job, e.Type, to)
	if r.shadow.JobSpec(d.Job).Await != nil {
		a.gateFailed(r, e, d)
		return
	}
	switch d.Verdict {
	case events.Infra:
		if j.infra < infraRetries {
			a.fail("S5: %s given up after %d lost attempts of %d", d.Job, j.infra, infraRetries)
		}
	case events.Failed, events.Timeout:
		if r.wants(d.Job, d.Verdict) && j.user < r.most(d.Job) {
			a.fail("S5: %s failed with %d of %d retries spent", d.Job, j.user, r.most(d.Job))
		}
	case events.Rejected:
		if was != pipeline.Pending {
			a.fail("S5: %s was rejected while %s", d.Job, was)
		}
		inGroup := r.shadow.Job(d.Job).Request.Group != "" // it may have waited for another job
		if e.Source == "/relevo/clock-ticked" && len(r.shadow.JobSpec(d.Job).RunsOn) == 0 && !inGroup {
			a.fail("L2: %s of %s was rejected, and its pool could take it: %s", d.Job, r.id, d.Reason)
		}
		return
	}
	a.attemptEnded(r, e, was, d.AttemptRef, d.Verdict)
}

// attemptEnded looks at the end of an attempt without success.
func (a *auditor) attemptEnded(r *watched, e events.Envelope, was pipeline.JobState, ref events.AttemptRef, v events.Verdict) {
	if v == events.Failed {
		a.wholeLog(r, ref)
		return
	}
	if e.Source == "/relevo/worker-terminated" && !a.rereading {
		a.goneFor(ref)
	}
	at := r.attempt(ref)
	if e.Source != "/relevo/clock-ticked" || at == nil {
		return
	}
	switch {
	case v == events.Timeout:
		a.w.count("job ran into its timeout")
		if e.Time.Before(at.Deadline) {
			a.fail("S2: %s timed out before its deadline", ref.Job)
		}
	case was == pipeline.Scheduled:
		a.w.count("worker not heard of in time")
		if e.Time.Before(at.StartBy) {
			a.fail("S2: %s was given up before its start deadline", ref.Job)
		}
		a.grace(e, ref)
	case was == pipeline.Running:
		a.w.count("lease ran out")
		a.leaseOver(e, ref)
		a.grace(e, ref)
	}
}

func (r *watched) attempt(ref events.AttemptRef) *pipeline.Attempt {
	j := r.shadow.Job(ref.Job)
	if j == nil {
		return nil
	}
	for _, at := range j.Attempts {
		if at.Fence == ref.Fence {
			return at
		}
	}
	return nil
}

// leaseOver holds that a worker that was heard is not given up. A beat may be
// kept from the store for a quarter of the lease.
func (a *auditor) leaseOver(e events.Envelope, ref events.AttemptRef) {
	last, ok := a.heard[attemptKey(ref)]
	if !ok || a.rolled.After(last.Add(-lease)) {
		return // a restart may have lost the beat
	}
	if silent := e.Time.Sub(last); silent < lease*3/4 {
		a.fail("S2: %s was given up as silent, %s after it was heard", attemptKey(ref), silent)
	}
}

// grace holds that silence proves nothing before the workers had the time to be
// heard again: after the store was away, and after the clock's process began.
func (a *auditor) grace(e events.Envelope, ref events.AttemptRef) {
	p := a.ticking
	if p == nil || a.rereading {
		return
	}
	if seeing := e.Time.Sub(p.blind); 0 <= seeing && seeing < lease {
		a.fail("S2: %s was given up %s after its clock could see again", attemptKey(ref), seeing)
	}
}

// silence holds that a worker that is not heard of any more does not stay
// RUNNING.
func (a *auditor) silence() {
	const patience = 2 * lease
	if a.w.now.Sub(a.w.calmAt) < patience {
		return
	}
	for _, id := range sortedKeys(a.runs) {
		r := a.runs[id]
		for _, j := range r.shadow.Jobs {
			if j.State != pipeline.Running {
				continue
			}
			at := j.Current()
			last := a.heard[attemptKey(r.shadow.AttemptRef(j, at))]
			if silent := a.w.now.Sub(latest(last, at.Started)); silent > patience {
				a.fail("L1: the worker of %s of %s is silent for %s and counts as running", j.Key, id, silent)
			}
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
