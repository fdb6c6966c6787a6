package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/expression"
)

var zeroTime time.Time

// Start lets the run's first jobs go. Where the run has a concurrency group it
// does so only once the group was acquired. It does nothing twice.
func (r *Run) Start(em *events.Emitter) {
	if r.State != RunRequested || (r.Group != "" && !r.Acquired) {
		return
	}
	broken := r.Reason // set when the group's name could not be evaluated
	r.emit(em, events.RunStarted{RunRef: events.RunRef{Run: r.ID}})
	if broken != "" {
		for _, j := range r.Jobs {
			if !j.State.Final() { // else it was carried over
				r.fail(em, j, events.Failed, "concurrency: "+broken)
			}
		}
	}
	r.advance(em)
}

// Acquire records that the run's concurrency group let it in, and starts it.
func (r *Run) Acquire(em *events.Emitter, e events.Envelope, d events.ConcurrencyAcquired) bool {
	if r.State != RunRequested || r.Acquired || d.Job != "" {
		return false
	}
	r.absorb(e, d)
	r.Start(em)
	return true
}

// advance asks for every job whose time has come, skips those whose condition
// is false, and ends the run when all of its jobs are final.
func (r *Run) advance(em *events.Emitter) {
	if r.State != RunRunning {
		return
	}
	for changed := true; changed && r.err == nil; {
		changed = false
		for i := range r.spec.Jobs {
			j := r.Job(r.spec.Jobs[i].Key)
			if j.State != Waiting || !r.needsFinal(&r.spec.Jobs[i]) {
				continue
			}
			r.consider(em, j, &r.spec.Jobs[i])
			changed = changed || j.State.Final()
		}
	}
	r.finish(em)
}

func (r *Run) needsFinal(s *JobSpec) bool {
	for i := range r.spec.Jobs {
		if need := &r.spec.Jobs[i]; slices.Contains(s.Needs, need.ID) && !r.Job(need.Key).State.Final() {
			return false
		}
	}
	return true
}

// consider decides about one job whose needs are all final.
func (r *Run) consider(em *events.Emitter, j *Job, s *JobSpec) {
	status := r.status(s)
	ok, err := expression.Condition(s.If, r.env(j.Key, status))
	switch {
	case err != nil:
		r.fail(em, j, events.Failed, "if: "+err.Error())
	case !ok:
		r.emit(em, events.JobSkipped{JobRef: r.ref(j), Reason: r.skipReason(s, status)})
	case r.atMaxParallel(s):
		// Looked at again when another job of the matrix ends.
	case s.Await != nil:
		r.await(em, j, s)
	default:
		r.request1(em, j, s)
	}
}

func (r *Run) skipReason(s *JobSpec, status expression.Status) string {
	if s.If != nil && status == expression.Success {
		return "its condition is false"
	}
	for _, id := range s.Needs {
		if result, _ := r.resultOf(id); result != "success" {
			return fmt.Sprintf("needs %s, which ended as %s", id, result)
		}
	}
	return "a job that it needs did not succeed"
}

func (r *Run) atMaxParallel(s *JobSpec) bool {
	if s.Strategy == nil || s.Strategy.MaxParallel == 0 {
		return false
	}
	live := 0
	for i := range r.spec.Jobs {
		if o := &r.spec.Jobs[i]; o.ID == s.ID && r.Job(o.Key).State.Live() {
			live++
		}
	}
	return live >= s.Strategy.MaxParallel
}

// request1 asks for the first attempt of a job.
func (r *Run) request1(em *events.Emitter, j *Job, s *JobSpec) {
	req := events.JobRequested{
		JobRef: r.ref(j), Attempt: 1, Requirements: s.Requirements,
		Priority: s.Priority, Project: r.Project, Untrusted: r.Request().Trigger.Untrusted,
	}
	env := r.env(j.Key, expression.Success)
	var errs []error
	eval := func(what string, t expression.Template) string {
		v, err := t.Eval(env)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
		return v
	}
	req.Name = eval("name", s.Name)
	labels, err := runsOn(s, env)
	if err != nil {
		errs = append(errs, err)
	}
	req.Requirements.Labels = append(slices.Clone(req.Requirements.Labels), labels...)
	if c := s.Concurrency; c != nil {
		req.Group = eval("concurrency", c.Group)
		req.CancelInProgress = c.CancelInProgress != nil && eval("cancel-in-progress", *c.CancelInProgress) == "true"
	}
	if err := errors.Join(errs...); err != nil {
		r.fail(em, j, events.Failed, err.Error())
		return
	}
	r.emit(em, req)
}

// runsOn evaluates the labels; an expression may give one or a list.
func runsOn(s *JobSpec, env *expression.Env) ([]string, error) {
	var labels []string
	for _, l := range s.RunsOn {
		v, err := l.Value(env)
		if err != nil {
			return nil, fmt.Errorf("runs-on: %w", err)
		}
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, one := range list {
			labels = append(labels, expression.String(one))
		}
	}
	return labels, nil
}

// fail ends a job without a retry.
func (r *Run) fail(em *events.Emitter, j *Job, v events.Verdict, reason string) {
	d := events.JobFailed{Verdict: v, Reason: reason}
	d.AttemptRef, d.Placement = r.current(j)
	r.emit(em, d)
}

// current names the job's attempt under way, or the attempt that was asked for.
func (r *Run) current(j *Job) (events.AttemptRef, events.Placement) {
	if a := j.live(); a != nil {
		return r.AttemptRef(j, a), a.Placement
	}
	return events.AttemptRef{JobRef: r.ref(j), Attempt: j.Attempt}, events.Placement{}
}

// finish ends the run once every job is final.
func (r *Run) finish(em *events.Emitter) {
	if r.State != RunRunning || r.err != nil {
		return
	}
	outputs := map[events.JobKey]map[string]string{}
	var worst *Job
	for _, j := range r.Jobs {
		if !j.State.Final() {
			return
		}
		if len(j.Outputs) > 0 {
			outputs[j.Key] = j.Outputs
		}
		failed := (j.State == Failed || j.State == Terminated) && !r.tolerated(j)
		if failed && (worst == nil || severity(j.Verdict) > severity(worst.Verdict)) {
			worst = j
		}
	}
	ref := events.RunRef{Run: r.ID}
	switch {
	case r.Cancelled != "":
		r.emit(em, events.RunCancelled{RunRef: ref, Reason: r.Cancelled})
	case worst != nil:
		r.emit(em, events.RunFailed{RunRef: ref, Verdict: worst.Verdict, Reason: fmt.Sprintf("%s: %s", worst.Key, worst.Reason)})
	default:
		if len(outputs) == 0 {
			outputs = nil
		}
		r.emit(em, events.RunCompleted{RunRef: ref, Outputs: outputs})
	}
	r.release(em, "")
}

// severity orders verdicts for the run's own: the author's before the
// platform's, so that a person first hears of what is theirs to mend.
func severity(v events.Verdict) int {
	return slices.Index([]events.Verdict{events.Rejected, events.Infra, events.Timeout, events.Failed}, v)
}

// Left gives the release of a concurrency group that the run, or a job of it,
// is done with; nil while it is not, or had none.
func (r *Run) Left(key events.JobKey) *events.ConcurrencyReleased {
	g := events.GroupRef{Group: r.Group, Run: r.ID, Job: key}
	done := r.State.Final()
	if key != "" {
		j := r.Job(key)
		if j == nil {
			return nil
		}
		g.Group, g.Attempt, done = j.Request.Group, j.Attempt, j.State.Final()
	}
	if !done || g.Group == "" {
		return nil
	}
	return &events.ConcurrencyReleased{GroupRef: g}
}

// release gives a concurrency group back: the run's, or that of a job.
func (r *Run) release(em *events.Emitter, key events.JobKey) {
	g := events.GroupRef{Group: r.Group, Run: r.ID, Job: key}
	if key != "" {
		j := r.Job(key)
		g.Group, g.Attempt = j.Request.Group, j.Attempt
	}
	if g.Group != "" {
		r.emit(em, events.ConcurrencyReleased{GroupRef: g})
	}
}
