package events

import (
	"encoding/json"
	"time"
)

// Trigger says what started a run and what the pipeline may know about it.
type Trigger struct {
	// Event is the trigger's name as in Actions: push, pull_request, manual …
	Event string `json:"event"`
	// Actor is who the source authenticated; never taken from a commit.
	Actor string `json:"actor,omitempty"`
	// Repository of the source, where there is one: owner/name.
	Repository string `json:"repository,omitempty"`
	// Ref is the git ref, e.g. refs/heads/main.
	Ref string `json:"ref,omitempty"`
	// SHA is the commit.
	SHA string `json:"sha,omitempty"`
	// Payload is the trigger's own data, as github.event shows it.
	Payload json.RawMessage `json:"payload,omitempty"`
	// Forge that the repository is on; absent for a run that no forge started.
	Forge string `json:"forge,omitempty"`
	// Clone is the address that git fetches the repository from, without a
	// credential; absent where there is none.
	Clone string `json:"clone,omitempty"`
	// Base is the branch that a pull request is to be merged into.
	Base string `json:"base,omitempty"`
	// Head is the branch of a pull request.
	Head string `json:"head,omitempty"`
	// Delivery that started the run; absent for one that a person started.
	Delivery DeliveryID `json:"delivery,omitempty"`
	// PullRequest is its number; absent without one.
	PullRequest int `json:"pullRequest,omitempty"`
	// Fork says that the code is of another repository than a pull request is to be
	// merged into.
	Fork bool `json:"fork,omitempty"`
	// Context is the name of the run's status on its commit; absent: that follows
	// from the pipeline's name.
	Context string `json:"context,omitempty"`
	// Untrusted says that the code is a stranger's, from a fork: the run gets no
	// secrets and a pool of its own.
	Untrusted bool `json:"untrusted,omitempty"`
	// Hops counts the runs between this one and what came from outside: each
	// emitted the event that started the next. Absent: none.
	Hops int `json:"hops,omitempty"`
}

// Placement says where an attempt runs, as far as that is settled.
type Placement struct {
	// Pool that the attempt was offered to.
	Pool PoolID `json:"pool,omitempty"`
	// Node that it was given to.
	Node NodeID `json:"node,omitempty"`
	// Assignment that holds the node's capacity for it.
	Assignment AssignmentID `json:"assignment,omitempty"`
	// Worker that runs it.
	Worker WorkerID `json:"worker,omitempty"`
	// Provider that launches the worker: process, docker, kubernetes, fake.
	Provider string `json:"provider,omitempty"`
}

// RunRequested asks for a run of a pipeline. It is acknowledged to whoever
// asked only after it stands in the ledger.
type RunRequested struct {
	RunRef
	// Pipeline is the pipeline's name.
	Pipeline string `json:"pipeline"`
	// File is where the pipeline was read from, for messages.
	File string `json:"file,omitempty"`
	// Project is the unit of access and of fair share.
	Project string `json:"project,omitempty"`
	// Trigger is what started the run.
	Trigger Trigger `json:"trigger"`
	// RetryOf is the run that a person asked to run again; absent for a first one.
	RetryOf RunID `json:"retryOf,omitempty"`
	// RunAttempt counts the runs of one request; absent: 1.
	RunAttempt int `json:"runAttempt,omitempty"`
	// Carried are the jobs that are not run again, by key, where only what failed
	// is; absent: all are.
	Carried map[JobKey]CarriedJob `json:"carried,omitempty"`
	// Spec is the compiled job graph (the pipeline context's Spec as JSON).
	Spec json.RawMessage `json:"spec"`
	// Source is the pipeline's text, for running it once more with changes; absent
	// where there was none, or one of more than MostSource bytes.
	Source string `json:"source,omitempty"`
}

// MostSource is how long a pipeline's text may be to travel with its run, in
// bytes.
const MostSource = 32 << 10

// Kept is what of a pipeline's text travels with a run: all or, where that is too
// much, nothing.
func Kept(source string) string {
	if len(source) > MostSource {
		return ""
	}
	return source
}

// RunStarted says that the run's jobs may go: no concurrency group holds it back.
type RunStarted struct {
	RunRef
}

// RunCompleted says that every job is final and none failed the run.
type RunCompleted struct {
	RunRef
	// Outputs by job key.
	Outputs map[JobKey]map[string]string `json:"outputs,omitempty"`
}

// RunFailed says that every job is final and at least one failed the run.
type RunFailed struct {
	RunRef
	// Verdict is failed, timeout, infra or rejected: the worst of the jobs',
	// where the author's own (failed, timeout) come before infra.
	Verdict Verdict `json:"verdict"`
	// Reason names the job and why.
	Reason string `json:"reason"`
}

// RunCancelled says that the run was cancelled and every job is final.
type RunCancelled struct {
	RunRef
	// Reason says who or what cancelled it.
	Reason string `json:"reason"`
}

// JobRequested asks for one attempt of a job to be run: its needs are met and
// its condition holds.
type JobRequested struct {
	JobRef
	// Attempt counts from 1.
	Attempt int `json:"attempt"`
	// Name is shown to people.
	Name string `json:"name"`
	// Pool is where the job queues; absent: its labels say.
	Pool PoolID `json:"pool,omitempty"`
	// Untrusted says that the job's code is a stranger's: it queues in the pool
	// beside that one which is for such jobs alone.
	Untrusted bool `json:"untrusted,omitempty"`
	// Requirements say which nodes may run it.
	Requirements Requirements `json:"requirements"`
	// Priority orders the queue, higher first; 0 by default, -100 to 100.
	Priority int `json:"priority,omitempty"`
	// Project is the unit of fair share.
	Project string `json:"project,omitempty"`
	// Group is the job's concurrency group, where it has one.
	Group string `json:"group,omitempty"`
	// CancelInProgress replaces the group's holder instead of waiting for it.
	CancelInProgress bool `json:"cancelInProgress,omitempty"`
}

// JobScheduled says that the run accepted an assignment and gave the attempt
// its fence.
type JobScheduled struct {
	AttemptRef
	Placement
	// StartBy is when the worker must have said hello.
	StartBy time.Time `json:"startBy"`
}

// JobStarted says that the attempt's worker said hello and was let in.
type JobStarted struct {
	AttemptRef
	// Worker is the one that was let in.
	Worker WorkerID `json:"worker"`
	// Nonce is the digest of the worker's nonce: a second worker with the same
	// fence has another and is refused.
	Nonce string `json:"nonce"`
	// Deadline is when the job times out.
	Deadline time.Time `json:"deadline"`
}

// JobCompleted says that the job succeeded.
type JobCompleted struct {
	AttemptRef
	Placement
	// Outputs as the pipeline names them.
	Outputs map[string]string `json:"outputs,omitempty"`
	// Steps in order.
	Steps []StepResult `json:"steps,omitempty"`
}

// JobFailed says that the job is final and did not succeed.
type JobFailed struct {
	AttemptRef
	Placement
	// Verdict is failed, timeout, infra or rejected.
	Verdict Verdict `json:"verdict"`
	// Reason says why, for people.
	Reason string `json:"reason"`
	// Terminated marks a job whose worker was lost with no retry left.
	Terminated bool `json:"terminated,omitempty"`
	// Outputs that the job had set before it failed.
	Outputs map[string]string `json:"outputs,omitempty"`
	// Steps in order, as far as they are known.
	Steps []StepResult `json:"steps,omitempty"`
}

// JobCancelled says that the job was cancelled; its worker, if any, is to go.
type JobCancelled struct {
	AttemptRef
	Placement
	// Reason says who or what cancelled it.
	Reason string `json:"reason"`
}

// JobSkipped says that the job will not run.
type JobSkipped struct {
	JobRef
	// Reason: its condition was false, or the need that did not succeed.
	Reason string `json:"reason"`
}

// JobRetried ends an attempt and promises another one.
type JobRetried struct {
	AttemptRef // the attempt that ended
	Placement
	// Verdict of the attempt that ended.
	Verdict Verdict `json:"verdict"`
	// Reason says why it ended.
	Reason string `json:"reason"`
	// Budget is the one that pays: user or infra.
	Budget string `json:"budget"`
	// NotBefore is when the next attempt is asked for.
	NotBefore time.Time `json:"notBefore"`
}

// CancelRequested asks for the end of a run, or of one job of it.
type CancelRequested struct {
	RunRef
	// Job is empty for the whole run.
	Job JobKey `json:"job,omitempty"`
	// Reason is shown to people.
	Reason string `json:"reason"`
	// By is who asked: a person, a concurrency group, fail-fast.
	By string `json:"by,omitempty"`
}

// GroupRef names who stands in a concurrency group.
type GroupRef struct {
	// Group is the group's name.
	Group string `json:"group"`
	// Run is the run that holds, or waits for, the group.
	Run RunID `json:"run"`
	// Job is set where a job and not the run as a whole asked.
	Job JobKey `json:"job,omitempty"`
	// Attempt of that job.
	Attempt int `json:"attempt,omitempty"`
}

// Subject is group/<name>.
func (g GroupRef) Subject() string { return "group/" + g.Group }

// RunOf is the run that an event belongs to.
func (g GroupRef) RunOf() RunID { return g.Run }

// ConcurrencyAcquired says that the group let a run or a job in.
type ConcurrencyAcquired struct {
	GroupRef
}

// ConcurrencyReleased says that the holder, or a waiter that gave up, is done
// with the group.
type ConcurrencyReleased struct {
	GroupRef
}
