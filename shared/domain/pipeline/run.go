// Package pipeline is the core of Relevo: runs, their jobs and attempts, the
// state tables that they move along, and the decisions that move them.
package pipeline

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// Run is a run and its jobs: one aggregate, one document. It changes by
// applying events alone, so that replaying its ledger rebuilds it byte for
// byte; the decisions (decide_*.go) emit those events.
type Run struct {
	ID       events.RunID `json:"id"`
	Pipeline string       `json:"pipeline"`
	Project  string       `json:"project,omitempty"`
	// Trace is the traceparent that the run goes on from; empty: its trace is its
	// own.
	Trace string   `json:"trace,omitempty"`
	State RunState `json:"state"`
	// Asked is the id of the run.requested event.
	Asked     string    `json:"asked"`
	Requested time.Time `json:"requested"`
	Started   time.Time `json:"started,omitzero"`
	Ended     time.Time `json:"ended,omitzero"`
	// Cancelled is the reason of an accepted cancel.
	Cancelled string         `json:"cancelled,omitempty"`
	Verdict   events.Verdict `json:"verdict,omitempty"`
	Reason    string         `json:"reason,omitempty"`
	// Fences counts the fences given out; the next one is one higher.
	Fences events.Fence `json:"fences,omitzero"`
	// Group is the run's concurrency group; Acquired once it may pass.
	Group    string `json:"group,omitempty"`
	Acquired bool   `json:"acquired,omitempty"`
	Jobs     []*Job `json:"jobs"`

	request  events.RunRequested
	spec     *Spec
	policy   Policy
	touched  map[events.JobKey]bool
	absorbed []events.Envelope
	err      error
}

// Job is one job of a run.
type Job struct {
	Key     events.JobKey `json:"key"`
	Name    string        `json:"name,omitempty"`
	State   JobState      `json:"state"`
	Attempt int           `json:"attempt,omitempty"` // the one asked for last; 0 before the first
	// Asked is the id of the job.requested event of that attempt.
	Asked   string              `json:"asked,omitempty"`
	AskedAt time.Time           `json:"askedAt,omitzero"`
	Last    string              `json:"last,omitempty"` // id of the last event applied to the job
	Request events.JobRequested `json:"request,omitzero"`
	// Await is what the job waits for, or waited, where it runs no steps.
	Await     *events.AwaitRequested `json:"await,omitempty"`
	NotBefore time.Time              `json:"notBefore,omitzero"` // set while a retry waits
	UserSpent int                    `json:"userSpent,omitempty"`
	Lost      int                    `json:"lost,omitempty"` // infra retries spent
	Attempts  []*Attempt             `json:"attempts,omitempty"`
	Verdict   events.Verdict         `json:"verdict,omitempty"`
	Reason    string                 `json:"reason,omitempty"`
	Outputs   map[string]string      `json:"outputs,omitempty"`
	Steps     []events.StepResult    `json:"steps,omitempty"`
	Ended     time.Time              `json:"ended,omitzero"`
	// Carried says where it ran, in an earlier run: here it did not. Nil: it is this
	// run's own.
	Carried *events.Carried `json:"carried,omitempty"`
}

// Attempt is one try at a job on one worker.
type Attempt struct {
	Number    int              `json:"number"`
	State     AttemptState     `json:"state"`
	Fence     events.Fence     `json:"fence"`
	Placement events.Placement `json:"placement"`
	Cause     string           `json:"cause"` // id of assignment.created
	Asked     time.Time        `json:"asked,omitzero"`
	Nonce     string           `json:"nonce,omitempty"`
	Scheduled time.Time        `json:"scheduled"`
	StartBy   time.Time        `json:"startBy"`
	Preparing string           `json:"preparing,omitempty"`
	Started   time.Time        `json:"started,omitzero"`
	Deadline  time.Time        `json:"deadline,omitzero"`
	Doom      string           `json:"doom,omitempty"`    // why the platform is about to end its worker
	Emitted   int              `json:"emitted,omitempty"` // index of the last event that a step emitted
	Ended     time.Time        `json:"ended,omitzero"`
	Verdict   events.Verdict   `json:"verdict,omitempty"`
	Reason    string           `json:"reason,omitempty"`
}

// Policy are the settings that decisions read.
type Policy struct {
	Lease         time.Duration // silence after which a running worker counts as lost
	StartDeadline time.Duration // from scheduled to hello
	InfraRetries  int           // attempts that may be lost before the job is
	InfraBackoff  time.Duration // before an attempt after a lost one, doubled each time
	Nudge         time.Duration // before what a state waits for is asked again
	QueueLimit    time.Duration // after which a job that still waits for a node is rejected
}

// DefaultPolicy is what holds without settings.
func DefaultPolicy() Policy {
	return Policy{
		Lease: 30 * time.Second, StartDeadline: 5 * time.Minute,
		InfraRetries: 2, InfraBackoff: time.Second, Nudge: 15 * time.Second,
		QueueLimit: 24*time.Hour + time.Minute, // the pool, which knows why, comes first
	}
}

// New makes the run that a request asks for, without having decided anything.
// ErrInvalid (of events) when the job graph does not decode.
func New(em *events.Emitter, req events.RunRequested, policy Policy) (*Run, error) {
	r := &Run{policy: policy}
	if err := r.open(req); err != nil {
		return nil, err
	}
	r.emit(em, req)
	return r, r.err
}

// Load opens a stored run: its own document and the request that it came from.
func Load(state, request []byte, policy Policy) (*Run, error) {
	r := &Run{policy: policy}
	if err := json.Unmarshal(state, r); err != nil {
		return nil, fmt.Errorf("pipeline: decode run: %w", err)
	}
	var req events.RunRequested
	if err := json.Unmarshal(request, &req); err != nil {
		return nil, fmt.Errorf("pipeline: decode request: %w", err)
	}
	return r, r.open(req)
}

func (r *Run) open(req events.RunRequested) error {
	r.request, r.spec = req, &Spec{}
	if err := json.Unmarshal(req.Spec, r.spec); err != nil {
		return fmt.Errorf("%w: decode job graph: %w", events.ErrInvalid, err)
	}
	return nil
}

// Traced gives an event of this run the context of the run's trace.
func (r *Run) Traced(e events.Envelope) events.Envelope { return e.Traced(r.Trace) }

// Context is the run's trace context; its span is the run's.
func (r *Run) Context() events.Traceparent { return events.RunRef{Run: r.ID}.Context(r.Trace) }

// Spec is the run's job graph.
func (r *Run) Spec() *Spec { return r.spec }

// Request is what the run came from.
func (r *Run) Request() events.RunRequested { return r.request }

// Job finds a job by key; nil where there is none.
func (r *Run) Job(key events.JobKey) *Job {
	for _, j := range r.Jobs {
		if j.Key == key {
			return j
		}
	}
	return nil
}

// JobSpec finds a job's spec by key; nil where there is none.
func (r *Run) JobSpec(key events.JobKey) *JobSpec {
	for i := range r.spec.Jobs {
		if r.spec.Jobs[i].Key == key {
			return &r.spec.Jobs[i]
		}
	}
	return nil
}

// Current is the job's last attempt; nil before the first was scheduled.
func (j *Job) Current() *Attempt {
	if len(j.Attempts) == 0 {
		return nil
	}
	return j.Attempts[len(j.Attempts)-1]
}

// live is the attempt that is under way; nil where none is.
func (j *Job) live() *Attempt {
	if a := j.Current(); a != nil && !a.State.Over() {
		return a
	}
	return nil
}

// Holds tells whether ref names the attempt that is under way: its effects
// count, those of any other are stale.
func (r *Run) Holds(ref events.AttemptRef) bool {
	j := r.Job(ref.Job)
	if j == nil {
		return false
	}
	a := j.live()
	return a != nil && a.Number == ref.Attempt && a.Fence == ref.Fence
}

// AttemptRef names an attempt of a job of this run.
func (r *Run) AttemptRef(j *Job, a *Attempt) events.AttemptRef {
	return events.AttemptRef{JobRef: events.JobRef{Run: r.ID, Job: j.Key}, Attempt: a.Number, Fence: a.Fence}
}

func (r *Run) ref(j *Job) events.JobRef { return events.JobRef{Run: r.ID, Job: j.Key} }

// Absorbed are the events of others that decisions since Load took in.
func (r *Run) Absorbed() []events.Envelope { return r.absorbed }

// Touched are the jobs that the decisions since Load changed.
func (r *Run) Touched() map[events.JobKey]bool { return r.touched }
