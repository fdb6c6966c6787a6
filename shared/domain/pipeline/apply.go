package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/relevo-ci/relevo/events"
)

// ErrTransition: an event asked for a transition that the tables do not have.
// It is a defect of a decision; nothing is committed.
var ErrTransition = errors.New("pipeline: no such transition")

// Err is the first defect that a decision ran into; nil where all went well.
func (r *Run) Err() error { return r.err }

// emit makes an event and applies it. After a defect it does nothing more.
func (r *Run) emit(em *events.Emitter, data events.Data) {
	if r.err != nil {
		return
	}
	r.err = r.apply(em.Emit(data), data)
}

// absorb applies an event that another context published.
func (r *Run) absorb(e events.Envelope, data events.Data) {
	if r.err != nil {
		return
	}
	r.absorbed = append(r.absorbed, e)
	r.err = r.apply(e, data)
}

// record takes the cause of a decision into the ledger; what it changes follows
// from the events that the decision emits.
func (r *Run) record(cause events.Envelope) {
	if cause.Type != "" {
		r.absorbed = append(r.absorbed, cause)
	}
}

// Replay applies one event of the ledger. A run that starts from nothing and
// replays its whole ledger equals the stored one byte for byte.
func (r *Run) Replay(e events.Envelope) error {
	entry, ok := events.Find(e.Type)
	if !ok {
		return fmt.Errorf("%w: unknown type %s", events.ErrInvalid, e.Type)
	}
	p := entry.New()
	if err := json.Unmarshal(e.Data, p); err != nil {
		return fmt.Errorf("%w: decode %s: %w", events.ErrInvalid, e.Type, err)
	}
	switch d := p.(type) {
	case *events.RunRequested:
		if err := r.open(*d); err != nil {
			return err
		}
		return r.apply(e, *d)
	case *events.RunStarted:
		return r.apply(e, *d)
	case *events.RunCompleted:
		return r.apply(e, *d)
	case *events.RunFailed:
		return r.apply(e, *d)
	case *events.RunCancelled:
		return r.apply(e, *d)
	case *events.CancelRequested:
		return r.apply(e, *d)
	case *events.ConcurrencyAcquired:
		return r.apply(e, *d)
	case *events.JobRequested:
		return r.apply(e, *d)
	case *events.AwaitRequested:
		return r.apply(e, *d)
	case *events.JobScheduled:
		return r.apply(e, *d)
	case *events.WorkerCreated:
		return r.apply(e, *d)
	case *events.WorkerFailed:
		if !d.Doomed {
			return nil // what follows from it was emitted
		}
		return r.apply(e, *d)
	case *events.JobStarted:
		return r.apply(e, *d)
	case *events.EventEmitted:
		return r.apply(e, *d)
	case *events.JobCompleted:
		return r.apply(e, *d)
	case *events.JobFailed:
		return r.apply(e, *d)
	case *events.JobRetried:
		return r.apply(e, *d)
	case *events.JobCancelled:
		return r.apply(e, *d)
	case *events.JobSkipped:
		return r.apply(e, *d)
	}
	return nil // an event that changes no state of a run
}

func (r *Run) apply(e events.Envelope, data events.Data) error {
	switch d := data.(type) {
	case events.RunRequested:
		return r.applyRequested(e, d)
	case events.RunStarted:
		r.Started = e.Time
		return r.move(RunRunning)
	case events.RunCompleted:
		r.Ended, r.Verdict = e.Time, events.Succeeded
		return r.move(RunSucceeded)
	case events.RunFailed:
		r.Ended, r.Verdict, r.Reason = e.Time, d.Verdict, d.Reason
		return r.move(RunFailed)
	case events.RunCancelled:
		r.Ended, r.Verdict, r.Reason = e.Time, events.Cancelled, d.Reason
		return r.move(RunCancelled)
	case events.CancelRequested:
		if d.Job == "" {
			r.Cancelled = d.Reason
		}
		return nil
	case events.ConcurrencyAcquired:
		if d.Job == "" {
			r.Acquired = true
		}
		return nil
	}
	return r.applyJob(e, data)
}

func (r *Run) applyRequested(e events.Envelope, d events.RunRequested) error {
	r.ID, r.Pipeline, r.Project = d.Run, d.Pipeline, d.Project
	r.State, r.Asked, r.Requested = RunRequested, e.ID, e.Time
	r.Trace = d.Foreign(e.Traceparent)
	for i := range r.spec.Jobs {
		j := &Job{Key: r.spec.Jobs[i].Key}
		r.Jobs = append(r.Jobs, j)
		if from, ok := d.Carried[j.Key]; ok {
			if err := j.carry(e, from); err != nil {
				return err
			}
		}
	}
	group, err := r.groupName()
	r.Group = group
	if err != nil {
		// The decision that follows fails the run with this reason.
		r.Reason = err.Error()
	}
	return nil
}

func (r *Run) applyJob(e events.Envelope, data events.Data) error {
	key, ok := jobOf(data)
	if !ok {
		return nil
	}
	j := r.Job(key)
	if j == nil {
		return fmt.Errorf("%w: no job %q in run %s", events.ErrInvalid, key, r.ID)
	}
	if r.touched == nil {
		r.touched = map[events.JobKey]bool{}
	}
	r.touched[key] = true
	j.Last = e.ID
	switch d := data.(type) {
	case events.JobRequested:
		j.Attempt, j.Asked, j.AskedAt, j.Request = d.Attempt, e.ID, e.Time, d
		j.Name, j.NotBefore = d.Name, zeroTime
		return j.move(Pending)
	case events.AwaitRequested:
		return j.awaits(e, d)
	case events.JobScheduled:
		if d.Fence.Compare(r.Fences) <= 0 {
			return fmt.Errorf("%w: fence %s after %s", ErrTransition, d.Fence, r.Fences)
		}
		r.Fences = d.Fence
		j.Attempts = append(j.Attempts, &Attempt{
			Number: d.Attempt, State: AttemptCreated, Fence: d.Fence, Placement: d.Placement,
			Cause: e.CauseID, Asked: j.AskedAt, Scheduled: e.Time, StartBy: d.StartBy,
		})
		return j.move(Scheduled)
	case events.WorkerCreated:
		return j.launched(d)
	case events.WorkerFailed:
		return j.doomed(d)
	case events.JobStarted:
		return j.started(e, d)
	case events.EventEmitted:
		return j.emitted(d)
	case events.JobSkipped:
		j.Reason, j.Ended = d.Reason, e.Time
		return j.move(Skipped)
	}
	return j.applyEnd(e, data)
}

// applyEnd covers the events that end an attempt, the job, or both.
func (j *Job) applyEnd(e events.Envelope, data events.Data) error {
	switch d := data.(type) {
	case events.JobCompleted:
		j.Verdict, j.Reason, j.Outputs, j.Steps, j.Ended = events.Succeeded, "", d.Outputs, d.Steps, e.Time
		return errors.Join(j.endAttempt(e, AttemptSucceeded, events.Succeeded, ""), j.move(Succeeded))
	case events.JobFailed:
		j.Verdict, j.Reason, j.Outputs, j.Steps, j.Ended = d.Verdict, d.Reason, d.Outputs, d.Steps, e.Time
		to := Failed
		if d.Terminated {
			to = Terminated
		}
		return errors.Join(j.endAttempt(e, attemptEnd(d.Verdict), d.Verdict, d.Reason), j.move(to))
	case events.JobRetried:
		j.NotBefore = d.NotBefore
		if d.Budget == budgetInfra {
			j.Lost++
		} else {
			j.UserSpent++
		}
		return errors.Join(j.endAttempt(e, attemptEnd(d.Verdict), d.Verdict, d.Reason), j.move(Pending))
	case events.JobCancelled:
		j.Verdict, j.Reason, j.Ended = events.Cancelled, d.Reason, e.Time
		return errors.Join(j.endAttempt(e, AttemptCancelled, events.Cancelled, d.Reason), j.move(Cancelled))
	}
	return nil
}

func (j *Job) launched(d events.WorkerCreated) error {
	a := j.live()
	if a == nil {
		return fmt.Errorf("%w: worker of job %s without an attempt", ErrTransition, j.Key)
	}
	a.Preparing = d.Preparing
	if a.State == AttemptLaunched { // the provider tells how preparing goes on
		return nil
	}
	return a.move(AttemptLaunched)
}

func (j *Job) started(e events.Envelope, d events.JobStarted) error {
	a := j.live()
	if a == nil {
		return fmt.Errorf("%w: hello to job %s without an attempt", ErrTransition, j.Key)
	}
	a.Nonce, a.Started, a.Deadline, a.Preparing = d.Nonce, e.Time, d.Deadline, ""
	return errors.Join(a.move(AttemptRunning), j.move(Running))
}

func (j *Job) endAttempt(e events.Envelope, to AttemptState, v events.Verdict, reason string) error {
	a := j.live()
	if a == nil {
		return nil // nothing was scheduled yet
	}
	a.Ended, a.Verdict, a.Reason = e.Time, v, reason
	return a.move(to)
}

func attemptEnd(v events.Verdict) AttemptState {
	switch v {
	case events.Timeout:
		return AttemptTimedOut
	case events.Infra:
		return AttemptTerminated
	}
	return AttemptFailed
}

func (r *Run) move(to RunState) error {
	if !Allowed(RunTable, r.State, to) {
		return fmt.Errorf("%w: run %s from %s to %s", ErrTransition, r.ID, r.State, to)
	}
	r.State = to
	return nil
}

func (j *Job) move(to JobState) error {
	// The first request of a job starts from Waiting; that of a retry stays Pending.
	if !Allowed(JobTable, j.State, to) {
		return fmt.Errorf("%w: job %s from %q to %s", ErrTransition, j.Key, j.State, to)
	}
	j.State = to
	return nil
}

func (a *Attempt) move(to AttemptState) error {
	if !Allowed(AttemptTable, a.State, to) {
		return fmt.Errorf("%w: attempt %d from %s to %s", ErrTransition, a.Number, a.State, to)
	}
	a.State = to
	return nil
}

func jobOf(data events.Data) (events.JobKey, bool) {
	switch d := data.(type) {
	case events.JobRequested:
		return d.Job, true
	case events.AwaitRequested:
		return d.Job, true
	case events.JobScheduled:
		return d.Job, true
	case events.WorkerCreated:
		return d.For.Job, true
	case events.WorkerFailed:
		return d.For.Job, true
	case events.JobStarted:
		return d.Job, true
	case events.EventEmitted:
		return d.Job, true
	case events.JobCompleted:
		return d.Job, true
	case events.JobFailed:
		return d.Job, true
	case events.JobRetried:
		return d.Job, true
	case events.JobCancelled:
		return d.Job, true
	case events.JobSkipped:
		return d.Job, true
	}
	return "", false
}
