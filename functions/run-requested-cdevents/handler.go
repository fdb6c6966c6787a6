// Package runrequestedcdevents is the bridge to CDEvents: it tells of runs and
// jobs in the words that other CI/CD systems share (cdevents.dev, 0.4.1), as
// pipelineRun and taskRun events. They go to the broker beside Relevo's own.
//
// The events are written here and not by the CDEvents SDK, which compiles every
// schema that there is when a process starts: 60 ms for functions that wake in
// ten. A test holds each to the SDK's own validation instead.
package runrequestedcdevents

import (
	"context"
	"errors"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

const name = "run-requested-cdevents"

// also are the types that it answers besides run.requested.
var also = []events.Type{
	events.TypeRunStarted, events.TypeRunCompleted, events.TypeRunFailed, events.TypeRunCancelled,
	events.TypeJobStarted, events.TypeAwaitRequested,
	events.TypeJobCompleted, events.TypeJobFailed, events.TypeJobCancelled, events.TypeJobRetried,
}

// New makes the function. public is the address that links for people begin
// with; empty: there are none. What it tells has ids that are derived from what
// it is about: told twice, it is one event.
func New(runs *state.Runs, public string) fn.Function {
	b := bridge{runs: runs, public: public}
	return fn.Function{
		Name: name, Context: events.Pipeline, On: events.TypeRunRequested, Also: also,
		Doc: "tells of runs and jobs as CDEvents", Handle: b.handle,
	}
}

type bridge struct {
	runs   *state.Runs
	public string
}

func (b bridge) handle(ctx context.Context, e events.Envelope) ([]events.Envelope, error) {
	n, err := read(e)
	if err != nil || n == nil {
		return nil, err
	}
	run, _, err := b.runs.Load(ctx, events.RunID(e.RunID))
	if errors.Is(err, state.ErrNoRun) {
		return nil, nil // it is over for a week
	}
	if err != nil {
		return nil, err
	}
	out, err := b.tell(run, *n, e)
	if err != nil {
		return nil, fn.Faultf(fn.Invalid, "%s: encode: %w", name, err)
	}
	return []events.Envelope{out}, nil
}

// news is what an event says, in the words of CDEvents.
type news struct {
	predicate string
	job       events.JobKey // of a taskRun; empty: the run itself
	attempt   int
	outcome   string
	errors    string
}

// The outcomes that CDEvents names.
const (
	success = "success"
	failure = "failure"
	cancel  = "cancel"
	broken  = "error" // no fault of the author's
)

// read gives what an event says; nil where CDEvents has no word for it.
func read(e events.Envelope) (*news, error) {
	switch e.Type {
	case events.TypeRunRequested:
		return &news{predicate: "queued"}, nil
	case events.TypeRunStarted:
		return &news{predicate: "started"}, nil
	case events.TypeRunCompleted:
		return &news{predicate: "finished", outcome: success}, nil
	case events.TypeRunFailed:
		ev, err := events.Decode[events.RunFailed](e)
		return &news{predicate: "finished", outcome: outcome(ev.Data.Verdict), errors: ev.Data.Reason}, err
	case events.TypeRunCancelled:
		ev, err := events.Decode[events.RunCancelled](e)
		return &news{predicate: "finished", outcome: cancel, errors: ev.Data.Reason}, err
	case events.TypeJobStarted:
		ev, err := events.Decode[events.JobStarted](e)
		return &news{predicate: "started", job: ev.Data.Job, attempt: ev.Data.Attempt}, err
	case events.TypeAwaitRequested:
		ev, err := events.Decode[events.AwaitRequested](e)
		return &news{predicate: "started", job: ev.Data.Job}, err
	}
	return readEnd(e)
}

// readEnd is read for the ends of attempts.
func readEnd(e events.Envelope) (*news, error) {
	end := func(ref events.AttemptRef, outcome, errors string) *news {
		return &news{predicate: "finished", job: ref.Job, attempt: ref.Attempt, outcome: outcome, errors: errors}
	}
	switch e.Type {
	case events.TypeJobCompleted:
		ev, err := events.Decode[events.JobCompleted](e)
		return end(ev.Data.AttemptRef, success, ""), err
	case events.TypeJobFailed:
		ev, err := events.Decode[events.JobFailed](e)
		return end(ev.Data.AttemptRef, outcome(ev.Data.Verdict), ev.Data.Reason), err
	case events.TypeJobRetried:
		ev, err := events.Decode[events.JobRetried](e)
		return end(ev.Data.AttemptRef, outcome(ev.Data.Verdict), ev.Data.Reason), err
	case events.TypeJobCancelled:
		ev, err := events.Decode[events.JobCancelled](e)
		return end(ev.Data.AttemptRef, cancel, ev.Data.Reason), err
	}
	return nil, nil
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

// jobName is what people call a job.
func jobName(run *pipeline.Run, key events.JobKey) string {
	if j := run.Job(key); j != nil && j.Name != "" {
		return j.Name
	}
	return string(key)
}
