// Package execution is what control plane and worker say to each other: the
// launch that a worker is born with, the reports that its agent sends and the
// replies that it gets.
package execution

import (
	"encoding/json"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

// Launch is everything a worker's agent is born with: one JSON file, mode
// 0600, that the provider puts beside the agent. It holds no secret but the
// attempt's own token.
type Launch struct {
	events.AttemptRef
	Worker       events.WorkerID     `json:"worker"`
	Assignment   events.AssignmentID `json:"assignment"`
	Pool         events.PoolID       `json:"pool"`
	Installation string              `json:"installation"`

	// Report is where reports go: http://host/…, or unix:///path/to.sock with
	// the path /worker/report on it.
	Report string `json:"report"`
	// Token proves the attempt to the control plane; it dies with the attempt.
	Token string `json:"token"`
	// HasSecrets asks the agent to fetch secrets, and git's credential, once after
	// the hello.
	HasSecrets bool `json:"hasSecrets,omitempty"`
	// Traceparent is the trace context of the attempt: of what its steps do too.
	Traceparent string `json:"traceparent,omitempty"`
	// Clone is the address that git fetches the run's repository from; empty: the
	// run is of none.
	Clone string `json:"clone,omitempty"`
	// Untrusted: the code is a stranger's. Events that its steps emit do not count.
	Untrusted bool `json:"untrusted,omitempty"`

	Job pipeline.JobSpec `json:"jobSpec"`
	// Env is the pipeline's own env, below the job's.
	Env []pipeline.EnvVar `json:"env,omitempty"`
	// Contexts that expressions read: github, relevo, needs, matrix, strategy, vars, inputs.
	Contexts map[string]json.RawMessage `json:"contexts"`
	// Image that the worker runs in; empty on providers without images.
	Image string `json:"image,omitempty"`
	// Resources are the limits to set on the worker.
	Resources events.Resources `json:"resources"`
	// Workspace is the folder that the steps start in; made when missing.
	Workspace string `json:"workspace,omitempty"`
	// InPlace: the workspace is a folder of somebody's own. Nothing is checked out
	// over what lies in it.
	InPlace bool `json:"inPlace,omitempty"`

	Heartbeat time.Duration `json:"heartbeat"` // at most this long between reports
	Grace     time.Duration `json:"grace"`     // between asking a step to end and killing it
	// Linger is set where the platform knows better than the agent why it ends a
	// worker: one that is told to end does not report the attempt's end by itself,
	// but stays for as long, to hear why. 0: it reports at once.
	Linger time.Duration `json:"linger,omitempty"`
	// OrphanAfter is set where no other control plane comes after the one that launched:
	// once nothing has listened where reports go for as long, the attempt is given
	// up. 0: it goes on, and reports when there is one again.
	OrphanAfter time.Duration `json:"orphanAfter,omitempty"`
	SpoolMax    int64         `json:"spoolMax"` // bytes of undelivered log before a step is made to wait
}

// Hello, Beat and End are the kinds of report.
const (
	Hello = "hello" // the first; carries the nonce
	Beat  = "beat"  // lease, log chunks, steps that began or ended
	End   = "end"   // the last; carries the verdict
)

// Report is one POST of the agent. It may be sent again: everything in it is
// numbered or named.
type Report struct {
	events.AttemptRef
	Worker events.WorkerID `json:"worker"`
	Nonce  string          `json:"nonce"` // random, chosen by the agent at its start
	Kind   string          `json:"kind"`
	Logs   []Chunk         `json:"logs,omitempty"`  // in order, contiguous
	Steps  []StepEvent     `json:"steps,omitempty"` // since the last acknowledged report
	End    *Ending         `json:"end,omitempty"`
}

// Chunk is a piece of an attempt's log. Secrets are masked before it is cut.
type Chunk struct {
	Offset int64  `json:"offset"` // of its first byte in the attempt's log
	Data   []byte `json:"data"`
}

// StepEvent says that a step began (Result nil) or ended.
type StepEvent struct {
	Index  int                `json:"index"`
	ID     string             `json:"id"`
	Name   string             `json:"name"`
	At     time.Time          `json:"at"`
	Offset int64              `json:"offset"` // of the log when it began, or ended
	Result *events.StepResult `json:"result,omitempty"`
	// Summary is the Markdown that an ended step wrote for people; masked, at
	// most SummaryMax bytes.
	Summary string `json:"summary,omitempty"`
	// Emitted is the event of the user's own that an ended step emitted.
	Emitted *Emitted `json:"emitted,omitempty"`
}

// Size is what its texts take in a report, in bytes.
func (e StepEvent) Size() int {
	n := len(e.Summary)
	if e.Result != nil {
		for _, a := range e.Result.Annotations {
			n += len(a.Message) + len(a.Title) + len(a.File)
		}
	}
	if e.Emitted != nil {
		n += len(e.Emitted.Data) + len(e.Emitted.Subject) + len(e.Emitted.Type)
	}
	return n
}

// SummaryMax bounds the summary of a step, in bytes.
const SummaryMax = 64 << 10

// Ending is how the attempt went.
type Ending struct {
	Verdict  events.Verdict      `json:"verdict"`
	Reason   string              `json:"reason,omitempty"`
	Outputs  map[string]string   `json:"outputs,omitempty"`
	Steps    []events.StepResult `json:"steps"`
	LogBytes int64               `json:"logBytes"`
}

// Reply answers a report.
type Reply struct {
	// Acknowledged is the offset up to which the log is kept: send on from here.
	// The agent looks at it when it sent logs, or when it is higher than before.
	// An End is heard once the answer to it acknowledges all of its LogBytes;
	// until then the agent sends it again.
	Acknowledged int64 `json:"acknowledged"`
	// Cancel tells the agent to end its steps (with grace) and to report: the
	// attempt was cancelled, or the platform is about to end the worker.
	Cancel string `json:"cancel,omitempty"`
	// Gone tells the agent that its fence is stale: nothing that it does counts
	// any more, it is to kill its steps and exit.
	Gone string `json:"gone,omitempty"`
}
