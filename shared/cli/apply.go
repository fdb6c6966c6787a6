package cli

import (
	"time"

	"github.com/relevo-ci/relevo/events"
)

// apply takes an event in.
func (r *run) apply(e events.Envelope, now time.Time) {
	r.pools.apply(e)
	if e.RunID == "" || r.Run != "" && e.RunID != string(r.Run) {
		return
	}
	r.hears(e, now)
	switch e.Type {
	case events.TypeStepStarted, events.TypeStepCompleted, events.TypeStepFailed, events.TypeStepSkipped:
		r.applyStep(e)
	case events.TypeJobCompleted, events.TypeJobFailed, events.TypeJobCancelled, events.TypeJobSkipped,
		events.TypeJobEnded, events.TypeJobRetried:
		r.applyEnd(e)
	case events.TypeRunRequested, events.TypeRunStarted, events.TypeRunCompleted, events.TypeRunFailed, events.TypeRunCancelled,
		events.TypeCancelRequested:
		r.applyRun(e)
	default:
		r.applyStart(e)
	}
}

// open decodes an event and hands it on; one that cannot be read says nothing.
func open[T events.Data](e events.Envelope, take func(T)) {
	if event, err := events.Decode[T](e); err == nil {
		take(event.Data)
	}
}

func (r *run) applyRun(e events.Envelope) {
	switch e.Type {
	case events.TypeRunRequested:
		r.requested = true
	case events.TypeRunStarted:
		r.started = true
	case events.TypeCancelRequested:
		open(e, func(d events.CancelRequested) {
			if d.Job == "" && r.cancelling == "" && !r.over {
				r.cancelling = reasonOr(d.Reason, "asked to")
				r.tell(nil, "cancelling: ", r.cancelling)
			}
		})
	case events.TypeRunCompleted:
		r.finish(e.Time, events.Succeeded, "")
	case events.TypeRunFailed:
		open(e, func(d events.RunFailed) { r.finish(e.Time, d.Verdict, d.Reason) })
	case events.TypeRunCancelled:
		open(e, func(d events.RunCancelled) { r.finish(e.Time, events.Cancelled, d.Reason) })
	}
}

// applyStart covers the way of an attempt up to its worker.
func (r *run) applyStart(e events.Envelope) {
	switch e.Type {
	case events.TypeJobRequested:
		open(e, func(d events.JobRequested) { r.jobRequested(e.Time, d) })
	case events.TypeAwaitRequested:
		open(e, func(d events.AwaitRequested) { r.awaits(e.Time, d) })
	case events.TypeOfferCreated:
		open(e, func(d events.OfferCreated) {
			if j := r.job(d.For.Job); j.reach(d.For.Attempt, queued) {
				j.offer = &d
			}
		})
	case events.TypeAssignmentCreated:
		open(e, func(d events.AssignmentCreated) {
			j := r.job(d.For.Job)
			j.reach(d.For.Attempt, scheduled)
			j.settle(d.For.Attempt, events.Placement{Pool: d.Pool, Node: d.Node, Worker: d.Worker, Provider: d.Provider})
		})
	case events.TypeJobScheduled:
		open(e, func(d events.JobScheduled) {
			j := r.job(d.Job)
			j.reach(d.Attempt, scheduled)
			j.settle(d.Attempt, d.Placement)
		})
	case events.TypeWorkerCreated:
		open(e, func(d events.WorkerCreated) { r.created(d) })
	case events.TypeJobStarted:
		open(e, func(d events.JobStarted) {
			j := r.job(d.Job)
			j.begin(e.Time)
			j.reach(d.Attempt, running)
			if d.Attempt == j.attempt && j.told < d.Attempt && !j.phase.final() {
				j.told = d.Attempt
				r.tell(j, "started", on(j, d.Worker), attemptOf(j))
			}
		})
	}
}

func (r *run) jobRequested(at time.Time, d events.JobRequested) {
	j := r.job(d.Job)
	if name := oneLine(d.Name); name != "" {
		j.Name = name
	}
	if !j.reach(d.Attempt, asked) {
		return
	}
	j.asked, j.group = at, oneLine(d.Group)
	if j.group != "" {
		r.tell(j, "asks for its concurrency group ", j.group)
	}
}

func (r *run) awaits(at time.Time, d events.AwaitRequested) {
	j := r.job(d.Job)
	if name := oneLine(d.Name); name != "" {
		j.Name = name
	}
	if !j.reach(0, asked) {
		return
	}
	j.asked, j.awaits = at, awaitWords(d)
	r.tell(j, j.awaits)
}

func (r *run) created(d events.WorkerCreated) {
	j := r.job(d.For.Job)
	what := oneLine(d.Preparing)
	if what == "" {
		j.reach(d.For.Attempt, launched)
		j.settle(d.For.Attempt, d.Placement)
		return
	}
	news := j.reach(d.For.Attempt, preparing) ||
		j.attempt == d.For.Attempt && j.phase == preparing && j.preparing != what
	if news {
		j.preparing = what
		j.settle(d.For.Attempt, d.Placement)
		r.tell(j, "preparing: ", what)
	}
}

func (r *run) applyStep(e events.Envelope) {
	end := func(ref events.AttemptRef, s events.StepResult) {
		if j := r.job(ref.Job); r.stepOf(j, ref) {
			r.endStep(j, s)
		}
	}
	switch e.Type {
	case events.TypeStepStarted:
		open(e, func(d events.StepStarted) {
			if j := r.job(d.Job); r.stepOf(j, d.AttemptRef) {
				j.startStep(d.Step, d.Name)
			}
		})
	case events.TypeStepCompleted:
		open(e, func(d events.StepCompleted) { end(d.AttemptRef, d.Step) })
	case events.TypeStepFailed:
		open(e, func(d events.StepFailed) { end(d.AttemptRef, d.Step) })
	case events.TypeStepSkipped:
		open(e, func(d events.StepSkipped) { end(d.AttemptRef, d.Step) })
	}
}

// stepOf tells whether a step belongs to the newest attempt. It is of interest
// also after the job's end, to find the step's lines.
func (r *run) stepOf(j *job, ref events.AttemptRef) bool {
	j.reach(ref.Attempt, running)
	return ref.Attempt == j.attempt
}

func (r *run) endStep(j *job, s events.StepResult) {
	if ended := j.endStep(s); ended != nil && r.say != nil {
		r.tell(j, ended.words())
	}
}

// applyEnd covers what ends an attempt, or the job.
func (r *run) applyEnd(e events.Envelope) {
	switch e.Type {
	case events.TypeJobEnded:
		open(e, func(d events.JobEnded) { r.jobEnded(d) })
	case events.TypeJobRetried:
		open(e, func(d events.JobRetried) { r.retried(e.Time, d) })
	case events.TypeJobCompleted:
		open(e, func(d events.JobCompleted) {
			r.endJob(e.Time, d.AttemptRef, d.Steps, succeeded, events.Succeeded, "")
		})
	case events.TypeJobFailed:
		open(e, func(d events.JobFailed) {
			p := failed
			if d.Terminated {
				p = lost
			}
			r.endJob(e.Time, d.AttemptRef, d.Steps, p, d.Verdict, d.Reason)
		})
	case events.TypeJobCancelled:
		open(e, func(d events.JobCancelled) {
			r.endJob(e.Time, d.AttemptRef, nil, cancelled, events.Cancelled, d.Reason)
		})
	case events.TypeJobSkipped:
		open(e, func(d events.JobSkipped) {
			ref := events.AttemptRef{JobRef: d.JobRef}
			r.endJob(e.Time, ref, nil, skipped, "", d.Reason)
		})
	}
}

func (r *run) jobEnded(d events.JobEnded) {
	j := r.job(d.Job)
	if !j.phase.final() {
		j.reach(d.Attempt, ended)
	}
	if d.Attempt != j.attempt {
		return
	}
	j.log(d.Attempt).expect(d.LogBytes)
	for _, s := range d.Steps {
		r.endStep(j, s)
	}
}

func (r *run) retried(at time.Time, d events.JobRetried) {
	j := r.job(d.Job)
	if !j.reach(d.Attempt, backingOff) {
		return
	}
	j.notBefore, j.reason = d.NotBefore, oneLine(d.Reason)
	if r.say != nil {
		r.tell(j, retryWords(j, d.Verdict, d.NotBefore.Sub(at)))
	}
}

func (r *run) endJob(at time.Time, ref events.AttemptRef, steps []events.StepResult, p phase, v events.Verdict, reason string) {
	j := r.job(ref.Job)
	if j.phase.final() {
		return
	}
	j.follow(ref.Attempt)
	for _, s := range steps {
		r.endStep(j, s)
	}
	j.end(p, at, v, reason)
	if r.say != nil {
		r.tell(j, endWords(j))
	}
}
