// Package telemetry makes a run's trace: the spans of what happened, as the
// run's document and its delivery say, named by OpenTelemetry's conventions for
// CI/CD.
//
// A trace is a projection, never a sum of events: whoever makes it, whenever and
// how often, makes the same spans with the same ids. It is one tree:
//
//	delivery        what came from outside, where something did
//	└ run
//	  └ job
//	    ├ queued    asked for, until it was given to a worker
//	    └ worker    an attempt
//	      ├ launching
//	      └ step
package telemetry

import (
	"time"

	"github.com/relevo-ci/relevo/events"
)

// Kind says who begins a span.
type Kind string

// The kinds, as OpenTelemetry has them.
const (
	Internal Kind = "internal" // what its parent does
	Server   Kind = "server"   // somebody outside asked for it
)

// Span is one thing that was done, and took time.
type Span struct {
	Trace  events.TraceID
	ID     events.SpanID
	Parent events.SpanID // empty: it is a root
	// Depth below the root, which has 0.
	Depth int
	Name  string
	Kind  Kind
	Start time.Time
	// End is zero where it goes on.
	End time.Time
	// Failed, with a Message for people, says that it did not go well.
	Failed     bool
	Message    string
	Attributes []Attribute
	Events     []Event
}

// Attribute is one fact about a span. Value is a string, an int64 or a bool.
type Attribute struct {
	Key   string
	Value any
}

// Event is a moment within a span.
type Event struct {
	Name       string
	At         time.Time
	Attributes []Attribute
}

// Names of OpenTelemetry's conventions; a test holds them against its own
// constants.
const (
	ActionName    = "cicd.pipeline.action.name"
	PipelineName  = "cicd.pipeline.name"
	RunID         = "cicd.pipeline.run.id"
	RunURL        = "cicd.pipeline.run.url.full"
	RunState      = "cicd.pipeline.run.state"
	RunResult     = "cicd.pipeline.result"
	TaskName      = "cicd.pipeline.task.name"
	TaskRunID     = "cicd.pipeline.task.run.id"
	TaskRunResult = "cicd.pipeline.task.run.result"
	TaskRunURL    = "cicd.pipeline.task.run.url.full"
	WorkerID      = "cicd.worker.id"
	WorkerName    = "cicd.worker.name"
	ErrorType     = "error.type"
	Provider      = "vcs.provider.name"
	Owner         = "vcs.owner.name"
	Repository    = "vcs.repository.name"
	RepositoryURL = "vcs.repository.url.full"
	HeadName      = "vcs.ref.head.name"
	HeadRevision  = "vcs.ref.head.revision"
	HeadType      = "vcs.ref.head.type"
	BaseName      = "vcs.ref.base.name"
	BaseType      = "vcs.ref.base.type"
	ChangeID      = "vcs.change.id"

	// RunDuration is a metric's name.
	RunDuration = "cicd.pipeline.run.duration"
)

// Results, as the conventions name them.
const (
	Success      = "success"
	Failure      = "failure"
	Error        = "error"
	TimedOut     = "timeout"
	Cancellation = "cancellation"
	Skip         = "skip"
)

// ResultOf names a verdict; empty where there is none yet.
func ResultOf(v events.Verdict) string {
	switch v {
	case events.Succeeded:
		return Success
	case events.Failed:
		return Failure
	case events.Timeout:
		return TimedOut
	case events.Cancelled:
		return Cancellation
	case events.Infra, events.Rejected:
		return Error
	}
	return ""
}

// stepResult names how a step went.
func stepResult(outcome string) string {
	switch outcome {
	case "success":
		return Success
	case "skipped":
		return Skip
	case "cancelled":
		return Cancellation
	case "timeout":
		return TimedOut
	}
	return Failure
}
