package client

import (
	"encoding/json"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// Submission asks for a run of a pipeline file.
type Submission struct {
	File    string   `json:"file,omitempty" maxLength:"512" example:".relevo/build.yaml" doc:"Where the source was read from, for messages. A file under .github/workflows is read as GitHub reads it."`
	Source  string   `json:"source" minLength:"1" maxLength:"1048576" doc:"The pipeline file itself, YAML."`
	Project string   `json:"project,omitempty" maxLength:"256" doc:"The unit of access and of fair share."`
	Trigger *Trigger `json:"trigger,omitempty" doc:"What started the run; workflow_dispatch by default."`
}

// Trigger is what started a run and what its expressions may know of it.
type Trigger struct {
	Event      string          `json:"event,omitempty" maxLength:"64" pattern:"^[a-z][a-z0-9_]*$" doc:"The trigger's name as in Actions; workflow_dispatch by default."`
	Actor      string          `json:"actor,omitempty" maxLength:"256" doc:"Who, as the source authenticated them."`
	Repository string          `json:"repository,omitempty" maxLength:"512" example:"owner/name" doc:"The source's repository."`
	Ref        string          `json:"ref,omitempty" maxLength:"1024" example:"refs/heads/main" doc:"The git ref."`
	SHA        string          `json:"sha,omitempty" maxLength:"64" doc:"The commit."`
	Payload    json.RawMessage `json:"payload,omitempty" doc:"An object: the trigger's own data, as github.event shows it."`
	Inputs     map[string]any  `json:"inputs,omitempty" doc:"Values for the inputs of workflow_dispatch."`
}

// JobSubmission asks for a run of one job. Its keys are those of a job in a
// pipeline file, held to the same checks; run is short for a single step.
type JobSubmission struct {
	Name            string          `json:"name,omitempty" maxLength:"512" doc:"What people see."`
	Run             string          `json:"run,omitempty" maxLength:"1048576" doc:"The script of the only step, instead of steps."`
	Steps           json.RawMessage `json:"steps,omitempty" doc:"What the job does, in order."`
	Await           json.RawMessage `json:"await,omitempty" doc:"What the job waits for, instead of steps."`
	RunsOn          json.RawMessage `json:"runs-on,omitempty" doc:"Labels that the node must carry."`
	Container       json.RawMessage `json:"container,omitempty" doc:"The image that the steps run in."`
	Env             json.RawMessage `json:"env,omitempty" doc:"Environment variables of the steps."`
	Defaults        json.RawMessage `json:"defaults,omitempty" doc:"Defaults of every run."`
	If              json.RawMessage `json:"if,omitempty" doc:"Whether the job runs."`
	Outputs         json.RawMessage `json:"outputs,omitempty" doc:"Values that the job's answer shows when it is done."`
	Permissions     json.RawMessage `json:"permissions,omitempty" doc:"What the job's token may do."`
	Concurrency     json.RawMessage `json:"concurrency,omitempty" doc:"One job at a time of those with the same group."`
	TimeoutMinutes  json.RawMessage `json:"timeout-minutes,omitempty" doc:"After how long the job is ended."`
	ContinueOnError json.RawMessage `json:"continue-on-error,omitempty" doc:"Whether the run succeeds when the job fails."`
	Retry           json.RawMessage `json:"retry,omitempty" doc:"The author's retry budget: max, backoff, on."`
	Resources       json.RawMessage `json:"resources,omitempty" doc:"What the worker needs: cpu, memory, gpu."`
	Priority        json.RawMessage `json:"priority,omitempty" doc:"Place in the queue, higher first."`
	Affinity        json.RawMessage `json:"affinity,omitempty" doc:"Attributes that the node must, or should, have."`
	Tolerations     json.RawMessage `json:"tolerations,omitempty" doc:"Taints that the job puts up with."`

	Project string   `json:"project,omitempty" maxLength:"256" doc:"The unit of access and of fair share."`
	Trigger *Trigger `json:"trigger,omitempty" doc:"What started the run."`
}

// Cancellation says why something is cancelled.
type Cancellation struct {
	Reason string `json:"reason,omitempty" maxLength:"1024" doc:"Shown to people."`
}

// Accepted answers a submission: the run stands in the ledger.
type Accepted struct {
	ID    string            `json:"id" doc:"Of the run; of the job, where one was submitted."`
	Run   string            `json:"run" doc:"The run, a ULID."`
	Links map[string]string `json:"links" doc:"Where to look on: self, logs, events, explain, cancel."`
}

// RunList is a page of runs, newest first.
type RunList struct {
	Runs []RunSummary `json:"runs"`
	Next string       `json:"next,omitempty" doc:"Cursor of the next page; empty on the last."`
}

// RunSummary is a run without its jobs.
type RunSummary struct {
	ID          string         `json:"id" doc:"A ULID."`
	Pipeline    string         `json:"pipeline" doc:"The pipeline's name."`
	Project     string         `json:"project,omitempty"`
	State       string         `json:"state" enum:"REQUESTED,RUNNING,SUCCEEDED,FAILED,CANCELLED"`
	Verdict     events.Verdict `json:"verdict,omitempty" doc:"Of a run that is done: succeeded, failed, timeout, infra, rejected, cancelled."`
	Reason      string         `json:"reason,omitempty" doc:"Why it did not succeed."`
	Event       string         `json:"event" doc:"The trigger's name."`
	Actor       string         `json:"actor,omitempty" doc:"Who, as the source authenticated them."`
	Repo        string         `json:"repository,omitempty" doc:"owner/name"`
	Ref         string         `json:"ref,omitempty" doc:"The git ref."`
	Branch      string         `json:"branch,omitempty" doc:"What it is listed by: of a pull request its head, of another ref than a branch the ref."`
	SHA         string         `json:"sha,omitempty" doc:"The commit."`
	PullRequest int            `json:"pullRequest,omitempty" doc:"Its number."`
	RetryOf     string         `json:"retryOf,omitempty" doc:"The run that this one runs once more."`
	Attempt     int            `json:"attempt" doc:"1, and one more each time that it was run once more."`
	Counts      map[string]int `json:"counts" doc:"How many of its jobs are in which state."`
	Approvals   int            `json:"approvals,omitempty" doc:"How many of its jobs await an approval now."`
	Requested   time.Time      `json:"requested"`
	Started     time.Time      `json:"started,omitzero"`
	Ended       time.Time      `json:"ended,omitzero"`
}

// Run is a run with its jobs.
type Run struct {
	RunSummary
	File  string            `json:"file,omitempty"`
	Group string            `json:"group,omitempty" doc:"The run's concurrency group."`
	Jobs  []Job             `json:"jobs" doc:"In an order in which needs come first."`
	Links map[string]string `json:"links"`
}

// Job is one job of a run.
type Job struct {
	ID        string              `json:"id" example:"01JD3ZT4Q8N6W1YV5K7E9RBXHM.build" doc:"Run and key, with a dot between."`
	Run       string              `json:"run" doc:"The run, a ULID."`
	Key       events.JobKey       `json:"key" doc:"Unique in its run: the id in the file, and .0, .1 … for the jobs of a matrix."`
	Name      string              `json:"name,omitempty"`
	Needs     []string            `json:"needs,omitempty" doc:"Ids of the jobs that it needs."`
	State     string              `json:"state" enum:"WAITING,PENDING,SCHEDULED,RUNNING,SUCCEEDED,FAILED,CANCELLED,TERMINATED,SKIPPED" doc:"WAITING: its needs are not done."`
	Approval  bool                `json:"approval,omitempty" doc:"It awaits an approval now: approve or refuse it."`
	Verdict   events.Verdict      `json:"verdict,omitempty" doc:"Of a job that is done, whose fault it was: failed and timeout are the author's, infra the platform's."`
	Reason    string              `json:"reason,omitempty"`
	Asked     time.Time           `json:"asked,omitzero" doc:"When its last attempt was asked for."`
	NotUntil  time.Time           `json:"notUntil,omitzero" doc:"While a retry waits: when it is asked for."`
	Ended     time.Time           `json:"ended,omitzero"`
	Outputs   map[string]string   `json:"outputs,omitempty"`
	Steps     []events.StepResult `json:"steps,omitempty"`
	Summaries map[string]string   `json:"summaries,omitempty" doc:"What steps wrote for people, Markdown by the step's id; where one job was asked for."`
	Attempts  []Attempt           `json:"attempts,omitempty" doc:"In order; the last one may be under way."`
	Links     map[string]string   `json:"links"`

	CarriedFrom string `json:"carriedFrom,omitempty" doc:"The job of an earlier run that stands for this one, where only what failed was run again: it did not run here. Its log is that one's."`
}

// Final tells whether the job is done for good.
func (j Job) Final() bool { return !j.Ended.IsZero() }

// Final tells whether the run is done for good.
func (r RunSummary) Final() bool { return !r.Ended.IsZero() }

// Attempt is one try at a job on one worker.
type Attempt struct {
	Number    int             `json:"number" doc:"From 1."`
	State     string          `json:"state" enum:"CREATED,LAUNCHED,RUNNING,SUCCEEDED,FAILED,TIMED_OUT,CANCELLED,TERMINATED"`
	Fence     string          `json:"fence" doc:"epoch.counter: effects of an older one count no more."`
	Pool      events.PoolID   `json:"pool,omitempty"`
	Node      events.NodeID   `json:"node,omitempty"`
	Worker    events.WorkerID `json:"worker,omitempty"`
	Provider  string          `json:"provider,omitempty"`
	Scheduled time.Time       `json:"scheduled"`
	StartBy   time.Time       `json:"startBy" doc:"When its worker must have said hello."`
	Preparing string          `json:"preparing,omitempty" doc:"What the worker's start waits for, e.g. the pull of an image."`
	Started   time.Time       `json:"started,omitzero"`
	Deadline  time.Time       `json:"deadline,omitzero" doc:"When the job times out."`
	Ended     time.Time       `json:"ended,omitzero"`
	Verdict   events.Verdict  `json:"verdict,omitempty"`
	Reason    string          `json:"reason,omitempty"`
}
