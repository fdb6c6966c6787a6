package pipeline

import "slices"

// JobState is where a job stands. The empty state is a job whose needs are not
// done yet.
type JobState string

// The states of a job. Those after Running are final.
const (
	Waiting    JobState = ""
	Pending    JobState = "PENDING"
	Scheduled  JobState = "SCHEDULED"
	Running    JobState = "RUNNING"
	Succeeded  JobState = "SUCCEEDED"
	Failed     JobState = "FAILED"
	Cancelled  JobState = "CANCELLED"
	Terminated JobState = "TERMINATED"
	Skipped    JobState = "SKIPPED"
)

// AttemptState is where one attempt of a job stands; it only moves forward.
type AttemptState string

// The states of an attempt.
const (
	AttemptCreated    AttemptState = "CREATED"  // accepted and fenced
	AttemptLaunched   AttemptState = "LAUNCHED" // the provider has its worker
	AttemptRunning    AttemptState = "RUNNING"  // its worker said hello
	AttemptSucceeded  AttemptState = "SUCCEEDED"
	AttemptFailed     AttemptState = "FAILED"
	AttemptTimedOut   AttemptState = "TIMED_OUT"
	AttemptCancelled  AttemptState = "CANCELLED"
	AttemptTerminated AttemptState = "TERMINATED" // its worker went without a result
)

// RunState is where a run stands.
type RunState string

// The states of a run.
const (
	RunRequested RunState = "REQUESTED" // accepted; it may wait for its concurrency group
	RunRunning   RunState = "RUNNING"
	RunSucceeded RunState = "SUCCEEDED"
	RunFailed    RunState = "FAILED"
	RunCancelled RunState = "CANCELLED"
)

// Transition is one row of a state table.
type Transition[S ~string] struct {
	From, To S
	By       string // what makes it, for people and the diagram
}

// JobTable is every transition that a job may make.
var JobTable = []Transition[JobState]{
	{Waiting, Pending, "needs met and condition true: job.requested, or await.requested"},
	{Waiting, Skipped, "condition false, or a need did not succeed: job.skipped"},
	{Waiting, Failed, "an expression of the job is wrong: job.failed"},
	{Waiting, Cancelled, "cancel.requested"},
	{Waiting, Succeeded, "carried over from the run of which only what failed is run again: run.requested"},
	{Pending, Scheduled, "assignment accepted: job.scheduled"},
	{Pending, Pending, "back-off over, a new attempt is asked for: job.requested"},
	{Pending, Succeeded, "what it awaits has come, or was approved: job.completed"},
	{Pending, Failed, "rejected, the offer expired, or what it awaits did not come: job.failed"},
	{Pending, Cancelled, "cancel.requested"},
	{Scheduled, Running, "the worker's hello: job.started"},
	{Scheduled, Pending, "attempt lost, budget left: job.retried"},
	{Scheduled, Terminated, "worker lost, budget spent: job.failed"},
	{Scheduled, Cancelled, "cancel.requested"},
	{Running, Succeeded, "job.ended: job.completed"},
	{Running, Failed, "job.ended or deadline, no retry left: job.failed"},
	{Running, Pending, "attempt failed or lost, budget left: job.retried"},
	{Running, Terminated, "worker lost, budget spent: job.failed"},
	{Running, Cancelled, "cancel.requested"},
}

// AttemptTable is every transition that an attempt may make.
var AttemptTable = []Transition[AttemptState]{
	{AttemptCreated, AttemptLaunched, "worker.created"},
	{AttemptCreated, AttemptRunning, "a hello before worker.created implies it"},
	{AttemptLaunched, AttemptRunning, "hello"},
	{AttemptRunning, AttemptSucceeded, "job.ended"},
	{AttemptRunning, AttemptFailed, "job.ended"},
	{AttemptRunning, AttemptTimedOut, "job.ended or deadline"},
	{AttemptCreated, AttemptCancelled, "cancel.requested"},
	{AttemptLaunched, AttemptCancelled, "cancel.requested"},
	{AttemptRunning, AttemptCancelled, "cancel.requested"},
	{AttemptCreated, AttemptTerminated, "worker failed, or no hello in time"},
	{AttemptLaunched, AttemptTerminated, "worker failed, or no hello in time"},
	{AttemptRunning, AttemptTerminated, "worker terminated, or its lease ran out"},
}

// RunTable is every transition that a run may make.
var RunTable = []Transition[RunState]{
	{RunRequested, RunRunning, "run.started"},
	{RunRequested, RunCancelled, "cancel.requested"},
	{RunRunning, RunSucceeded, "run.completed"},
	{RunRunning, RunFailed, "run.failed"},
	{RunRunning, RunCancelled, "run.cancelled"},
}

// Allowed tells whether a table has the transition.
func Allowed[S ~string](table []Transition[S], from, to S) bool {
	return slices.ContainsFunc(table, func(t Transition[S]) bool { return t.From == from && t.To == to })
}

// Final tells whether a job is done for good.
func (s JobState) Final() bool {
	switch s {
	case Succeeded, Failed, Cancelled, Terminated, Skipped:
		return true
	}
	return false
}

// Live tells whether a job was asked for and is not final.
func (s JobState) Live() bool { return s == Pending || s == Scheduled || s == Running }

// Over tells whether an attempt ended.
func (s AttemptState) Over() bool {
	return s != AttemptCreated && s != AttemptLaunched && s != AttemptRunning
}

// Final tells whether a run is done for good.
func (s RunState) Final() bool {
	return s == RunSucceeded || s == RunFailed || s == RunCancelled
}
