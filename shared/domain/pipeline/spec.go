package pipeline

import (
	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/expression"
)

// Spec is a pipeline file after compilation: a typed job graph with matrices
// unfolded and expressions parsed. It is immutable; its JSON form travels in
// run.requested.
type Spec struct {
	Name     string               `json:"name"`
	RunName  *expression.Template `json:"runName,omitempty"`
	File     string               `json:"file,omitempty"`
	On       []string             `json:"on,omitempty"`       // trigger names
	Triggers []Trigger            `json:"triggers,omitempty"` // the same with their filters
	// Inputs are the values of workflow_dispatch's inputs: those given, and the
	// defaults of the others.
	Inputs      map[string]any `json:"inputs,omitempty"`
	Env         []EnvVar       `json:"env,omitempty"`
	Concurrency *Concurrency   `json:"concurrency,omitempty"`
	Jobs        []JobSpec      `json:"jobs"` // in an order in which needs come first
	// Permissions by scope, where the file has any; the scope * stands for all.
	Permissions map[string]string `json:"permissions,omitempty"`
}

// EnvVar keeps the order of the file: a later variable may not read an earlier
// one of the same map, as in Actions.
type EnvVar struct {
	Name  string              `json:"name"`
	Value expression.Template `json:"value"`
}

// JobSpec is one job; a matrix gives one per combination.
type JobSpec struct {
	Key   events.JobKey       `json:"key"`             // unique: the id, and .0, .1 … for a matrix
	ID    string              `json:"id"`              // the id in the file; needs name this
	Name  expression.Template `json:"name"`            // shown to people
	Needs []string            `json:"needs,omitempty"` // ids, each standing for all of its matrix
	If    *expression.Node    `json:"if,omitempty"`    // nil: success()

	RunsOn       []expression.Template `json:"runsOn,omitempty"`
	Requirements events.Requirements   `json:"requirements"` // without the labels, which RunsOn gives
	Priority     int                   `json:"priority,omitempty"`
	Permissions  map[string]string     `json:"permissions,omitempty"`

	Env         []EnvVar       `json:"env,omitempty"`
	Container   *Container     `json:"container,omitempty"`
	Steps       []StepSpec     `json:"steps"`
	Await       *Await         `json:"await,omitempty"` // in place of steps
	Outputs     []EnvVar       `json:"outputs,omitempty"`
	Matrix      map[string]any `json:"matrix,omitempty"` // this combination
	Strategy    *Strategy      `json:"strategy,omitempty"`
	Concurrency *Concurrency   `json:"concurrency,omitempty"`

	TimeoutMinutes  float64              `json:"timeoutMinutes,omitempty"` // 0: 360
	TimeoutExpr     *expression.Template `json:"timeoutExpr,omitempty"`
	ContinueOnError *expression.Template `json:"continueOnError,omitempty"` // nil: false
	Retry           *Retry               `json:"retry,omitempty"`
}

// Strategy is what the jobs of one matrix share.
type Strategy struct {
	FailFast    bool `json:"failFast"`
	MaxParallel int  `json:"maxParallel,omitempty"` // 0: no bound
	Index       int  `json:"index"`                 // of this job
	Total       int  `json:"total"`
}

// Container is the image that a job runs in.
type Container struct {
	Image      expression.Template `json:"image"`
	Env        []EnvVar            `json:"env,omitempty"`
	Options    string              `json:"options,omitempty"`
	WorkingDir string              `json:"workingDir,omitempty"`
}

// Concurrency names a group with one holder and one waiter.
type Concurrency struct {
	Group            expression.Template  `json:"group"`
	CancelInProgress *expression.Template `json:"cancelInProgress,omitempty"`
}

// Retry is the user's retry budget.
type Retry struct {
	Max int `json:"max"` // further attempts, 0 to 10
	// BackoffSeconds before the second attempt; doubled for each one after, at
	// most 10 minutes.
	BackoffSeconds float64 `json:"backoffSeconds,omitempty"`
	// On lists the verdicts that are tried again: failed, timeout; empty: both.
	On []events.Verdict `json:"on,omitempty"`
}

// StepSpec is one step: a script to run, a repository to check out, or an event
// to emit.
type StepSpec struct {
	ID               string               `json:"id,omitempty"`
	Name             *expression.Template `json:"name,omitempty"`
	If               *expression.Node     `json:"if,omitempty"` // nil: success()
	Run              expression.Template  `json:"run"`
	Uses             string               `json:"uses,omitempty"` // as the file names it; with Checkout
	Checkout         *Checkout            `json:"checkout,omitempty"`
	Emit             *Emit                `json:"emit,omitempty"`
	Shell            string               `json:"shell,omitempty"` // sh, bash, or a command with {0}; empty: the default
	WorkingDirectory *expression.Template `json:"workingDirectory,omitempty"`
	Env              []EnvVar             `json:"env,omitempty"`
	TimeoutMinutes   float64              `json:"timeoutMinutes,omitempty"`
	TimeoutExpr      *expression.Template `json:"timeoutExpr,omitempty"`
	ContinueOnError  *expression.Template `json:"continueOnError,omitempty"`
	Line             int                  `json:"line,omitempty"` // in the file, for messages
}
