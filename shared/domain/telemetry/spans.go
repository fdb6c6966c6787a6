package telemetry

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// Spans are those of a run, parents before their children, each job's after one
// another. The delivery is the one that led to the run; nil: there was none, or
// nobody knows of it any more. Public is the address that links begin with;
// empty: there are no links.
func Spans(r *pipeline.Run, d *trigger.Delivery, public string) []Span {
	t := tree{run: r, context: r.Context(), public: strings.TrimSuffix(public, "/")}
	parent := Span{Depth: -1}
	if p, ok := events.ParseTraceparent(r.Trace); ok {
		parent.ID = p.Span
	}
	if d != nil && d.ID == r.Request().Trigger.Delivery {
		parent = t.delivery(d)
	} else if r.Request().Trigger.Delivery != "" {
		parent.ID = "" // its span is nowhere
	}
	run := t.begin(parent, events.RunSpan(t.context.Trace, r.ID))
	t.ofRun(run)
	for _, j := range r.Jobs {
		t.job(*run, j)
	}
	out := make([]Span, len(t.spans))
	for i, s := range t.spans {
		out[i] = *s
	}
	return out
}

// tree gathers the spans.
type tree struct {
	run     *pipeline.Run
	context events.Traceparent
	public  string
	spans   []*Span
}

// begin adds a span below another.
func (t *tree) begin(parent Span, id events.SpanID) *Span {
	s := &Span{Trace: t.context.Trace, ID: id, Parent: parent.ID, Depth: parent.Depth + 1, Kind: Internal}
	t.spans = append(t.spans, s)
	return s
}

// set adds an attribute, where it says something.
func (s *Span) set(key string, value any) {
	if value != "" && value != nil {
		s.Attributes = append(s.Attributes, Attribute{key, value})
	}
}

// ends closes a span; it never ends before it began.
func (s *Span) ends(at time.Time) {
	if !at.IsZero() && at.Before(s.Start) {
		at = s.Start
	}
	s.End = at
}

// fails says why it did not go well.
func (s *Span) fails(kind, message string) {
	s.Failed, s.Message = true, message
	s.set(ErrorType, kind)
}

func (t *tree) delivery(d *trigger.Delivery) Span {
	parent := Span{Depth: -1}
	if p, ok := events.ParseTraceparent(d.Traceparent()); ok {
		parent.ID = p.Span
	}
	s := t.begin(parent, events.DeliverySpan(t.context.Trace, d.ID))
	s.Name, s.Kind, s.Start = "webhook "+d.Event, Server, d.Received
	if d.Source == pipeline.CloudEvent || d.Source == "schedule" {
		s.Name = strings.TrimSpace(d.Source + " " + d.Event)
	}
	s.ends(d.Ended)
	s.set("relevo.delivery.id", string(d.ID))
	s.set("relevo.delivery.source", d.Source)
	s.set("relevo.delivery.event", d.Event)
	s.set("relevo.delivery.rounds", int64(d.Round))
	s.Events = append(s.Events, Event{Name: "received", At: d.Received})
	if !d.Ended.IsZero() {
		s.Events = append(s.Events, Event{Name: string(d.State), At: d.Ended})
	}
	if d.State == trigger.Refused {
		s.fails("refused", d.Reason)
	}
	return *s
}

func (t *tree) ofRun(s *Span) {
	r := t.run
	s.Name, s.Kind, s.Start = "RUN "+r.Pipeline, Server, r.Requested
	s.ends(r.Ended)
	s.set(ActionName, "RUN")
	s.set(PipelineName, r.Pipeline)
	s.set(RunID, string(r.ID))
	s.set(RunURL, t.link("/v1/pipelines/"+string(r.ID)))
	s.set("relevo.project", r.Project)
	s.set("relevo.trigger", r.Request().Trigger.Event)
	s.set("relevo.run.retry_of", string(r.Request().RetryOf))
	if r.State.Final() {
		t.result(s, RunResult, r.Verdict, r.Reason)
	} else {
		s.set(RunState, state(r))
	}
	source(s, r.Request().Trigger)
	if !r.Started.IsZero() {
		s.Events = append(s.Events, Event{Name: "started", At: r.Started})
	}
}

// state is what the conventions call that of a run that goes on.
func state(r *pipeline.Run) string {
	if r.State == pipeline.RunRunning {
		return "executing"
	}
	return "pending"
}

func (t *tree) link(path string) string {
	if t.public == "" {
		return ""
	}
	return t.public + path
}

func (t *tree) result(s *Span, key string, v events.Verdict, reason string) {
	s.set(key, ResultOf(v))
	if v != events.Succeeded && v != events.Cancelled && v != "" {
		s.fails(string(v), reason)
	}
}

// source says which code it was.
func source(s *Span, t events.Trigger) {
	s.set(Provider, t.Forge)
	if owner, name, ok := cutLast(t.Repository); ok {
		s.set(Owner, owner)
		s.set(Repository, name)
	}
	s.set(RepositoryURL, strings.TrimSuffix(t.Clone, ".git"))
	if t.PullRequest > 0 {
		s.set(ChangeID, strconv.Itoa(t.PullRequest))
	}
	head, kind := ref(t.Ref)
	if t.Head != "" {
		head, kind = t.Head, "branch"
	}
	s.set(HeadName, head)
	s.set(HeadType, kind)
	s.set(HeadRevision, t.SHA)
	if t.Base != "" {
		s.set(BaseName, t.Base)
		s.set(BaseType, "branch")
	}
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return "", s, s != ""
	}
	return s[:i], s[i+1:], true
}

// ref names a branch or a tag.
func ref(full string) (name, kind string) {
	if name, ok := strings.CutPrefix(full, "refs/heads/"); ok {
		return name, "branch"
	}
	if name, ok := strings.CutPrefix(full, "refs/tags/"); ok {
		return name, "tag"
	}
	return full, ""
}

// job adds a job that was asked for, or skipped; of one whose needs are not done
// there is nothing to tell, and of one that was carried over the trace of the run
// that it ran in tells.
func (t *tree) job(run Span, j *pipeline.Job) {
	if j.Carried != nil {
		return
	}
	start := j.AskedAt
	for _, a := range j.Attempts {
		if at := cmp.Or(a.Asked, a.Scheduled); start.IsZero() || at.Before(start) {
			start = at
		}
	}
	start = cmp.Or(start, j.Ended)
	if start.IsZero() {
		return
	}
	ref := events.JobRef{Run: t.run.ID, Job: j.Key}
	s := t.begin(run, events.JobSpan(t.context.Trace, ref))
	s.Name, s.Start = cmp.Or(j.Name, string(j.Key)), start
	s.ends(j.Ended)
	s.set(TaskName, s.Name)
	s.set(TaskRunID, string(t.run.ID)+"."+string(j.Key))
	s.set(TaskRunURL, t.link("/v1/jobs/"+string(t.run.ID)+"."+string(j.Key)))
	s.set("relevo.job.key", string(j.Key))
	if len(j.Attempts) > 1 {
		s.set("relevo.job.attempts", int64(len(j.Attempts)))
	}
	switch {
	case j.State == pipeline.Skipped:
		s.set(TaskRunResult, Skip)
		s.set("relevo.reason", j.Reason)
	case j.State.Final():
		t.result(s, TaskRunResult, j.Verdict, j.Reason)
	}
	for i, a := range j.Attempts {
		t.attempt(*s, j, a, i == len(j.Attempts)-1)
	}
	if len(j.Attempts) < j.Attempt && j.Await == nil && !j.State.Final() {
		t.queued(*s, j, j.Attempt, j.AskedAt, time.Time{})
	}
}

// queued is the time between that an attempt was asked for and given to a worker.
func (t *tree) queued(job Span, j *pipeline.Job, number int, asked, scheduled time.Time) {
	if asked.IsZero() {
		return
	}
	s := t.begin(job, t.below(job, "queued", number))
	s.Name, s.Start = "queued", asked
	s.ends(scheduled)
	s.set("relevo.attempt", int64(number))
	s.set("relevo.pool", string(j.Request.Pool))
}

// below is the id of a span that has no name elsewhere.
func (t *tree) below(parent Span, what string, number int) events.SpanID {
	return events.SpanOf(t.context.Trace, string(parent.ID), what, strconv.Itoa(number))
}

// attempt adds a try at a job, on its worker. Of the last one the steps are known.
func (t *tree) attempt(job Span, j *pipeline.Job, a *pipeline.Attempt, last bool) {
	t.queued(job, j, a.Number, a.Asked, a.Scheduled)
	s := t.begin(job, events.AttemptSpan(t.context.Trace, t.run.AttemptRef(j, a)))
	s.Name, s.Start = strings.TrimSpace("worker "+a.Placement.Provider), a.Scheduled
	s.ends(a.Ended)
	s.set(WorkerID, string(a.Placement.Worker))
	s.set(WorkerName, string(a.Placement.Node))
	s.set("relevo.attempt", int64(a.Number))
	s.set("relevo.fence", a.Fence.String())
	s.set("relevo.pool", string(a.Placement.Pool))
	s.set("relevo.provider", a.Placement.Provider)
	if a.State.Over() {
		t.result(s, "relevo.verdict", a.Verdict, a.Reason)
	}
	launching := t.begin(*s, t.below(*s, "launching", a.Number))
	launching.Name, launching.Start = "launching", a.Scheduled
	launching.set("relevo.preparing", a.Preparing)
	launching.ends(cmp.Or(a.Started, a.Ended))
	if a.Started.IsZero() {
		return
	}
	s.Events = append(s.Events, Event{Name: "running", At: a.Started})
	if last {
		t.steps(*s, j, a)
	}
}

// steps are told by the agent, whose clock may be another: their place counts
// from its start, which is about when it said hello, and none lies outside of
// the attempt.
func (t *tree) steps(worker Span, j *pipeline.Job, a *pipeline.Attempt) {
	at := a.Started
	for i, step := range j.Steps {
		s := t.begin(worker, events.StepSpan(t.context.Trace, worker.ID, i))
		if step.Offset > 0 {
			at = a.Started.Add(time.Duration(step.Offset) * time.Millisecond)
		}
		s.Name, s.Start = cmp.Or(step.Name, step.ID), within(at, a)
		at = at.Add(time.Duration(step.Millis) * time.Millisecond)
		s.ends(within(at, a))
		s.set(TaskName, s.Name)
		s.set(TaskRunID, fmt.Sprintf("%s.%s/%d/%s", t.run.ID, j.Key, a.Number, step.ID))
		s.set(TaskRunResult, stepResult(step.Outcome))
		s.set("relevo.step.conclusion", step.Conclusion)
		if step.Exit >= 0 {
			s.set("process.exit.code", int64(step.Exit))
		}
		if step.Outcome == "failure" || step.Outcome == "timeout" {
			s.fails(step.Outcome, fmt.Sprintf("step %s: exit %d", cmp.Or(step.Name, step.ID), step.Exit))
		}
	}
}

func within(at time.Time, a *pipeline.Attempt) time.Time {
	if at.Before(a.Started) {
		return a.Started
	}
	if !a.Ended.IsZero() && at.After(a.Ended) {
		return a.Ended
	}
	return at
}
