package pipeline

import (
	"fmt"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/expression"
)

const (
	budgetUser  = "user"
	budgetInfra = "infra"
)

// maxBackoff bounds the wait before a retry.
const maxBackoff = 10 * time.Minute

// Acceptance is what the run says to an assignment.
type Acceptance int

// The acceptances.
const (
	// Refuse: the run does not want it and nothing was launched for it.
	Refuse Acceptance = iota
	// Launch: accepted, now or before, and its worker has not said hello yet.
	Launch
	// Leave: its worker runs; nothing to do.
	Leave
	// Remove: it was accepted and is over: its worker has to go.
	Remove
)

// Accept answers an assignment: a pending job takes it, becomes SCHEDULED and
// gives the attempt its fence. Asked again it says what is to be done now.
func (r *Run) Accept(em *events.Emitter, epoch uint32, d events.AssignmentCreated) (Acceptance, *Attempt, string) {
	j := r.Job(d.For.Job)
	if j == nil {
		return Refuse, nil, "no such job"
	}
	for _, a := range j.Attempts {
		if a.Placement.Assignment != d.Assignment {
			continue
		}
		switch {
		case a.State.Over():
			return Remove, a, string(a.State)
		case a.State == AttemptRunning:
			return Leave, a, ""
		}
		return Launch, a, ""
	}
	if j.State != Pending || j.Attempt != d.For.Attempt || !j.NotBefore.IsZero() {
		return Refuse, nil, fmt.Sprintf("job is %s at attempt %d", j.State, j.Attempt)
	}
	fence := events.Fence{Epoch: epoch, Counter: 1}
	if epoch <= r.Fences.Epoch {
		fence = events.Fence{Epoch: r.Fences.Epoch, Counter: r.Fences.Counter + 1}
	}
	r.record(em.Cause)
	r.emit(em, events.JobScheduled{
		AttemptRef: events.AttemptRef{JobRef: r.ref(j), Attempt: j.Attempt, Fence: fence},
		Placement:  events.Placement{Pool: d.Pool, Node: d.Node, Assignment: d.Assignment, Worker: d.Worker, Provider: d.Provider},
		StartBy:    em.Now.Add(r.policy.StartDeadline),
	})
	return Launch, j.Current(), ""
}

// Hello lets a worker in: the first nonce under the attempt's fence. It tells
// whether this worker is the one; a repeated hello of it changes nothing.
func (r *Run) Hello(em *events.Emitter, ref events.AttemptRef, w events.WorkerID, nonce string) bool {
	if !r.Holds(ref) {
		return false
	}
	j := r.Job(ref.Job)
	a := j.live()
	if a.Placement.Worker != w {
		return false
	}
	if a.State == AttemptRunning {
		return a.Nonce == nonce
	}
	r.emit(em, events.AssignmentAccepted{
		AssignmentRef: events.AssignmentRef{Pool: a.Placement.Pool, Assignment: a.Placement.Assignment},
		For:           ref, Worker: w,
	})
	r.emit(em, events.JobStarted{
		AttemptRef: ref, Worker: w, Nonce: nonce, Deadline: em.Now.Add(r.timeout(j)),
	})
	return true
}

// Runs tells whether ref is running on the worker with that nonce: only its
// reports count.
func (r *Run) Runs(ref events.AttemptRef, nonce string) bool {
	if !r.Holds(ref) {
		return false
	}
	a := r.Job(ref.Job).live()
	return a.State == AttemptRunning && a.Nonce == nonce
}

func (r *Run) timeout(j *Job) time.Duration {
	const fallback = 360 * time.Minute
	s := r.JobSpec(j.Key)
	minutes := s.TimeoutMinutes
	if s.TimeoutExpr != nil {
		v, err := s.TimeoutExpr.Eval(r.env(j.Key, expression.Success))
		if err == nil {
			_, err = fmt.Sscanf(v, "%g", &minutes)
		}
		if err != nil {
			return fallback
		}
	}
	if minutes <= 0 {
		return fallback
	}
	return time.Duration(minutes * float64(time.Minute))
}

// Prepare records that the provider has the worker but that it is not started
// yet; it tells whether that is news.
func (r *Run) Prepare(e events.Envelope, d events.WorkerCreated) bool {
	if !r.Holds(d.For) {
		return false
	}
	a := r.Job(d.For.Job).live()
	if a.State == AttemptRunning || a.Preparing == d.Preparing {
		return false
	}
	r.absorb(e, d)
	return true
}

// End takes the word on how an attempt went. It tells whether the word counted:
// that of a stale fence, or of an attempt that is over, does not.
func (r *Run) End(em *events.Emitter, d events.JobEnded) bool {
	if !r.Holds(d.AttemptRef) {
		return false
	}
	r.record(em.Cause)
	j := r.Job(d.Job)
	switch d.Verdict {
	case events.Succeeded:
		c := events.JobCompleted{AttemptRef: d.AttemptRef, Outputs: d.Outputs, Steps: d.Steps}
		c.Placement = j.live().Placement
		r.emit(em, c)
		r.settle(em, j)
	case events.Cancelled:
		// Nobody here cancelled it, else the attempt would be over.
		r.lose(em, j, "the worker was told to stop from outside: "+d.Reason, false)
	case events.Infra:
		r.lose(em, j, d.Reason, false)
	default:
		r.fault(em, j, d)
	}
	return true
}

// fault handles an attempt that failed by the author's doing.
func (r *Run) fault(em *events.Emitter, j *Job, d events.JobEnded) {
	retry := r.JobSpec(j.Key).Retry
	wanted := retry != nil && (len(retry.On) == 0 || slices.Contains(retry.On, d.Verdict))
	if wanted && j.UserSpent < retry.Max {
		base := time.Duration(retry.BackoffSeconds * float64(time.Second))
		r.again(em, j, budgetUser, d.Verdict, d.Reason, backoff(base, j.UserSpent))
		return
	}
	f := events.JobFailed{
		AttemptRef: d.AttemptRef, Placement: j.live().Placement, Verdict: d.Verdict,
		Reason: d.Reason, Outputs: d.Outputs, Steps: d.Steps,
	}
	r.emit(em, f)
	r.settle(em, j)
}

// Lose ends an attempt whose worker failed or went; it tells whether the
// attempt was the one under way.
func (r *Run) Lose(em *events.Emitter, ref events.AttemptRef, reason string, permanent bool) bool {
	if !r.Holds(ref) {
		return false
	}
	r.record(em.Cause)
	r.lose(em, r.Job(ref.Job), reason, permanent)
	return true
}

func (r *Run) lose(em *events.Emitter, j *Job, reason string, permanent bool) {
	if a := j.live(); a != nil && a.Doom != "" {
		reason = a.Doom // all else followed from it
	}
	if !permanent && j.Lost < r.policy.InfraRetries {
		r.again(em, j, budgetInfra, events.Infra, reason, backoff(r.policy.InfraBackoff, j.Lost))
		return
	}
	f := events.JobFailed{Verdict: events.Infra, Reason: reason, Terminated: true}
	f.AttemptRef, f.Placement = r.current(j)
	r.emit(em, f)
	r.settle(em, j)
}

func (r *Run) again(em *events.Emitter, j *Job, budget string, v events.Verdict, reason string, wait time.Duration) {
	d := events.JobRetried{Verdict: v, Reason: reason, Budget: budget, NotBefore: em.Now.Add(wait)}
	d.AttemptRef, d.Placement = r.current(j)
	r.emit(em, d)
	if wait == 0 {
		r.requestAgain(em, j)
	}
}

func (r *Run) requestAgain(em *events.Emitter, j *Job) {
	req := j.Request
	req.Attempt = j.Attempt + 1
	r.emit(em, req)
}

func backoff(base time.Duration, spent int) time.Duration {
	d := base << min(spent, 20)
	if d < 0 || d > maxBackoff {
		return maxBackoff
	}
	return d
}

// Reject ends a pending job that no node will ever take.
func (r *Run) Reject(em *events.Emitter, d events.OfferExpired) bool {
	j := r.Job(d.For.Job)
	if j == nil || j.State != Pending || j.Attempt != d.For.Attempt {
		return false
	}
	r.record(em.Cause)
	r.fail(em, j, events.Rejected, d.Reason)
	r.settle(em, j)
	return true
}

// settle does what follows from a job that became final: its group goes back,
// fail-fast stops its matrix, followers are asked for, the run may end.
func (r *Run) settle(em *events.Emitter, j *Job) {
	if j.Request.Group != "" {
		r.release(em, j.Key)
	}
	s := r.JobSpec(j.Key)
	failed := (j.State == Failed || j.State == Terminated) && !r.tolerated(j)
	if failed && s.Strategy != nil && s.Strategy.FailFast {
		for i := range r.spec.Jobs {
			if o := &r.spec.Jobs[i]; o.ID == s.ID && o.Key != s.Key {
				r.cancelJob(em, r.Job(o.Key), fmt.Sprintf("%s failed and the matrix is fail-fast", j.Key))
			}
		}
	}
	r.advance(em)
}

// Cancel ends the run, or one job of it. It tells whether there was anything
// to cancel; after it no success of those attempts counts.
func (r *Run) Cancel(em *events.Emitter, e events.Envelope, d events.CancelRequested) bool {
	if r.State.Final() {
		return false
	}
	if d.Job != "" {
		j := r.Job(d.Job)
		if j == nil || j.State.Final() {
			return false
		}
		r.cancelJob(em, j, d.Reason)
		r.advance(em)
		return true
	}
	if r.Cancelled != "" {
		return false
	}
	r.absorb(e, d)
	for _, j := range r.Jobs {
		r.cancelJob(em, j, d.Reason)
	}
	if r.State == RunRequested { // never started: it has no job to wait for
		r.emit(em, events.RunCancelled{RunRef: events.RunRef{Run: r.ID}, Reason: d.Reason})
		r.release(em, "")
		return true
	}
	r.finish(em)
	return true
}

func (r *Run) cancelJob(em *events.Emitter, j *Job, reason string) {
	if j.State.Final() {
		return
	}
	d := events.JobCancelled{Reason: reason}
	d.AttemptRef, d.Placement = r.current(j)
	r.emit(em, d)
	if j.Request.Group != "" {
		r.release(em, j.Key)
	}
}
