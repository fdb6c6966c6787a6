package runrequestedcdevents

import (
	"cmp"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/cdevents"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/state"
)

// version is that of all the kinds of events told of runs and jobs.
const version = "0.2.0"

// The outcomes that CDEvents names.
const (
	success = "success"
	failure = "failure"
	cancel  = "cancel"
	broken  = "error" // no fault of the author's
)

const (
	queued   = "queued"
	started  = "started"
	finished = "finished"
)

type runContent struct {
	Pipeline string `json:"pipelineName"`
	URL      string `json:"url"`
	Outcome  string `json:"outcome,omitempty"`
	Errors   string `json:"errors,omitempty"`
}

type taskContent struct {
	Task    string    `json:"taskName"`
	URL     string    `json:"url,omitempty"`
	Run     reference `json:"pipelineRun"`
	Outcome string    `json:"outcome,omitempty"`
	Errors  string    `json:"errors,omitempty"`
}

type reference struct {
	ID     string `json:"id"`
	Source string `json:"source,omitempty"`
}

// teller collects what there is to tell of a run.
type teller struct {
	bridge
	run   *pipeline.Run
	cause events.Envelope
	tasks []cdevents.Event
	all   []state.News
	err   error
}

// story is all that there is to tell of a run so far, in order. before is the
// event that the run came of; empty: none.
func (b bridge) story(run *pipeline.Run, before string, cause events.Envelope) ([]state.News, error) {
	t := &teller{bridge: b, run: run, cause: cause}
	t.tell(t.ofRun(queued, run.Requested, before, cdevents.Path))
	last := queued
	if !run.Started.IsZero() {
		t.tell(t.ofRun(started, run.Started, cdevents.ID(string(run.ID), queued), cdevents.Path))
		last = started
	}
	for _, j := range run.Jobs {
		t.job(j, cdevents.ID(string(run.ID), last))
	}
	slices.SortStableFunc(t.tasks, func(a, b cdevents.Event) int { return a.At.Compare(b.At) })
	for _, e := range t.tasks {
		t.tell(e)
	}
	if run.State.Final() {
		e := t.ofRun(finished, run.Ended, cdevents.ID(string(run.ID), last), cdevents.End)
		e.Content = runContent{run.Pipeline, t.link("/v1/pipelines/" + string(run.ID)), outcome(run.Verdict), run.Reason}
		t.tell(e)
	}
	return t.all, t.err
}

func (t *teller) tell(e cdevents.Event) {
	e.Source, e.Chain = t.source, cdevents.ChainOf(t.run.Request())
	written, err := e.Write()
	t.err = cmp.Or(t.err, err)
	written.CauseID, written.RunID, written.PartitionKey = t.cause.ID, string(t.run.ID), string(t.run.ID)
	written.Traceparent, written.Tracestate = t.cause.Traceparent, t.cause.Tracestate
	t.all = append(t.all, state.News{Key: e.Subject + " " + e.Predicate, Event: written})
}

func (t *teller) ofRun(predicate string, at time.Time, before string, kind cdevents.LinkKind) cdevents.Event {
	return cdevents.Event{
		Subject: string(t.run.ID), Type: "pipelineRun", Predicate: predicate, Version: version, At: at, Links: after(kind, before),
		Content: runContent{Pipeline: t.run.Pipeline, URL: t.link("/v1/pipelines/" + string(t.run.ID))},
	}
}

func after(kind cdevents.LinkKind, id string) []cdevents.Link {
	if id == "" {
		return nil
	}
	return []cdevents.Link{cdevents.After(kind, id)}
}

// job tells of each attempt of a job as a taskRun of its own; of what waits for
// an event or an approval, or ended before it began, as attempt 0. What was
// carried over was told of when it ran.
func (t *teller) job(j *pipeline.Job, run string) {
	if j.Carried != nil {
		return
	}
	for _, a := range j.Attempts {
		before := run
		if !a.Started.IsZero() {
			t.task(j, a.Number, started, a.Started, run, "", "")
			before = cdevents.ID(cdevents.Task(t.run.ID, j.Key, a.Number), started)
		}
		if !a.Ended.IsZero() {
			t.task(j, a.Number, finished, a.Ended, before, outcome(a.Verdict), a.Reason)
		}
	}
	if len(j.Attempts) > 0 {
		return
	}
	before := run
	if j.Await != nil {
		t.task(j, 0, started, j.AskedAt, run, "", "")
		before = cdevents.ID(cdevents.Task(t.run.ID, j.Key, 0), started)
	}
	if j.State.Final() && j.State != pipeline.Skipped {
		t.task(j, 0, finished, j.Ended, before, outcome(j.Verdict), j.Reason)
	}
}

func (t *teller) task(j *pipeline.Job, attempt int, predicate string, at time.Time, before, outcome, reason string) {
	t.tasks = append(t.tasks, cdevents.Event{
		Subject: cdevents.Task(t.run.ID, j.Key, attempt), Type: "taskRun", Predicate: predicate, Version: version, At: at, Links: after(cdevents.Path, before),
		Content: taskContent{
			Task: cmp.Or(j.Name, string(j.Key)), URL: t.link("/v1/jobs/" + string(t.run.ID) + "." + string(j.Key)),
			Run: reference{string(t.run.ID), t.source}, Outcome: outcome, Errors: reason,
		},
	})
}

func (b bridge) link(path string) string {
	if b.public == "" {
		return ""
	}
	return b.public + path
}

func outcome(v events.Verdict) string {
	switch v {
	case events.Succeeded:
		return success
	case events.Failed, events.Timeout:
		return failure
	case events.Cancelled:
		return cancel
	}
	return broken
}
