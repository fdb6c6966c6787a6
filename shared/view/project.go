package view

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// What rows hold follows from the document alone, and of a run only from what
// its ledger has an emitted event for: so who hears its events sees every change
// of its rows, and a replay of the ledger gives the same ones.

// Origin is what started a run.
type Origin struct {
	Pipeline   string `json:"pipeline"`
	Project    string `json:"project,omitempty"`
	Event      string `json:"event,omitempty"`
	Actor      string `json:"actor,omitempty"`
	Repository string `json:"repository,omitempty"`
	Ref        string `json:"ref,omitempty"`
	// Branch is that of the code: of a pull request its head. Of another ref than
	// a branch it is the ref.
	Branch string `json:"branch,omitempty"`
	SHA    string `json:"sha,omitempty"`
}

// Run is the body of a run's row.
type Run struct {
	ID events.RunID `json:"id"`
	Origin
	State       pipeline.RunState `json:"state"`
	Verdict     events.Verdict    `json:"verdict,omitempty"`
	Reason      string            `json:"reason,omitempty"`
	Requested   time.Time         `json:"requested"`
	Started     time.Time         `json:"started,omitzero"`
	Ended       time.Time         `json:"ended,omitzero"`
	PullRequest int               `json:"pullRequest,omitempty"`
	RetryOf     events.RunID      `json:"retryOf,omitempty"`
	Attempt     int               `json:"attempt,omitempty"`
	// Trace that it is part of, where that is not its own.
	Trace events.TraceID `json:"trace,omitempty"`
	// Keys of its jobs, and how many are in each state.
	Keys []events.JobKey `json:"keys"`
	Jobs map[string]int  `json:"jobs"`
	// Approvals is how many of its jobs await that a person approves.
	Approvals int `json:"approvals,omitempty"`
}

// Job is the body of a job's row.
type Job struct {
	Run  events.RunID  `json:"run"`
	Key  events.JobKey `json:"key"`
	Name string        `json:"name,omitempty"`
	Origin
	State     string          `json:"state"`
	Verdict   events.Verdict  `json:"verdict,omitempty"`
	Reason    string          `json:"reason,omitempty"`
	Requested time.Time       `json:"requested"` // of the run
	Asked     time.Time       `json:"asked,omitzero"`
	NotUntil  time.Time       `json:"notUntil,omitzero"`
	Started   time.Time       `json:"started,omitzero"`
	Ended     time.Time       `json:"ended,omitzero"`
	Attempt   int             `json:"attempt,omitempty"`
	Pool      events.PoolID   `json:"pool,omitempty"`
	Node      events.NodeID   `json:"node,omitempty"`
	Provider  string          `json:"provider,omitempty"`
	Worker    events.WorkerID `json:"worker,omitempty"`
	// CarriedFrom is the run that it ran in, where it did not run in this one.
	CarriedFrom events.RunID `json:"carriedFrom,omitempty"`
}

// Waiting names the state of a job whose needs are not done, which the domain
// leaves empty.
const Waiting = "WAITING"

// StateOf names a job's state.
func StateOf(j *pipeline.Job) string {
	if j.State == pipeline.Waiting {
		return Waiting
	}
	return string(j.State)
}

// JobID is the run and the key with a dot between: a run's id has none.
func JobID(run events.RunID, key events.JobKey) string { return string(run) + "." + string(key) }

// OfRun is the row of a run, as its document says in that version.
func OfRun(r *pipeline.Run, version uint64) (Row, error) {
	body := RunOf(r)
	row := Row{Kind: Runs, ID: string(r.ID), Version: version, Score: r.Requested.UnixMilli(), Indexes: body.indexes()}
	row.add("state", string(r.State))
	if body.Approvals > 0 {
		row.add("awaits", Approval)
	}
	return row.with(body)
}

// Approval is what a run awaits one of whose jobs awaits that a person approves.
const Approval = "approval"

// RunOf is what a run's row holds.
func RunOf(r *pipeline.Run) Run {
	body := Run{
		ID: r.ID, Origin: origin(r), State: r.State, Verdict: r.Verdict, Reason: r.Reason,
		Requested: r.Requested.UTC(), Started: r.Started.UTC(), Ended: r.Ended.UTC(),
		PullRequest: r.Request().Trigger.PullRequest, RetryOf: r.Request().RetryOf, Attempt: r.Request().RunAttempt,
		Keys: make([]events.JobKey, len(r.Jobs)), Jobs: map[string]int{},
	}
	if r.Trace != "" {
		body.Trace = r.Context().Trace
	}
	for i, j := range r.Jobs {
		body.Keys[i] = j.Key
		body.Jobs[StateOf(j)]++
		if j.Awaiting() && j.Await.Approval {
			body.Approvals++
		}
	}
	return body
}

// OfJob is the row of a job of a run, as the run's document says in that version.
func OfJob(r *pipeline.Run, j *pipeline.Job, version uint64) (Row, error) {
	body := Job{
		Run: r.ID, Key: j.Key, Name: j.Name, Origin: origin(r), State: StateOf(j), Verdict: j.Verdict, Reason: j.Reason,
		Requested: r.Requested.UTC(), Asked: j.AskedAt.UTC(), NotUntil: j.NotBefore.UTC(), Ended: j.Ended.UTC(), Attempt: j.Attempt,
		Pool: j.Request.Pool,
	}
	if a := j.Current(); a != nil {
		body.Started, body.Worker = a.Started.UTC(), a.Placement.Worker
		body.Pool, body.Node, body.Provider = a.Placement.Pool, a.Placement.Node, a.Placement.Provider
	}
	if j.Carried != nil {
		body.CarriedFrom = j.Carried.Run
	}
	row := Row{Kind: Jobs, ID: JobID(r.ID, j.Key), Version: version, Score: r.Requested.UnixMilli()}
	row.add("state", body.State)
	row.add("pool", string(body.Pool))
	row.add("node", string(body.Node))
	return row.with(body)
}

// OfAll is the row of a run and those of all its jobs.
func OfAll(r *pipeline.Run, version uint64) ([]Row, error) {
	row, err := OfRun(r, version)
	if err != nil {
		return nil, err
	}
	rows := []Row{row}
	for _, j := range r.Jobs {
		if row, err = OfJob(r, j, version); err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func origin(r *pipeline.Run) Origin {
	t := r.Request().Trigger
	o := Origin{
		Pipeline: r.Pipeline, Project: r.Project, Event: t.Event, Actor: t.Actor,
		Repository: t.Repository, Ref: t.Ref, Branch: t.Head, SHA: t.SHA,
	}
	if o.Branch == "" {
		o.Branch = Branch(t.Ref)
	}
	return o
}

// Branch is what a ref is found by: the name of a branch, else the ref itself.
func Branch(ref string) string { return strings.TrimPrefix(ref, "refs/heads/") }

func (o Origin) indexes() []Index {
	var r Row
	r.add("project", o.Project)
	r.add("repository", o.Repository)
	r.add("branch", o.Branch)
	r.add("pipeline", o.Pipeline)
	r.add("actor", o.Actor)
	r.add("sha", strings.ToLower(o.SHA))
	r.add("event", o.Event)
	if o.Actor != "" {
		r.add("member", member(o.Project, o.Actor))
	}
	return r.Indexes
}

// member names a person in a project.
func member(project, actor string) string { return project + "\n" + actor }

// add lets an index lead to the row; an empty value has none.
func (r *Row) add(field, value string) {
	if value != "" {
		r.Indexes = append(r.Indexes, Index{field, value})
	}
}

func (r Row) with(body any) (Row, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return Row{}, fmt.Errorf("view: encode row of %s %s: %w", r.Kind, r.ID, err)
	}
	r.Body = raw
	return r, nil
}

// mostReason bounds the reason of an outcome in a delivery's row: there may be
// many, and whoever looks at one delivery is shown them whole.
const mostReason = 300

// OfDelivery is the row of a delivery, as its document says in that version. Its
// body is the delivery without the header and with reasons cut short.
func OfDelivery(d trigger.Delivery, version uint64) (Row, error) {
	d.Header = nil
	outcomes := make([]trigger.Outcome, len(d.Outcomes))
	for i, o := range d.Outcomes {
		o.Reason = short(o.Reason)
		outcomes[i] = o
	}
	d.Outcomes = outcomes
	row := Row{Kind: Deliveries, ID: string(d.ID), Version: version, Score: d.Received.UnixMilli()}
	row.add("state", string(d.State))
	row.add("source", d.Source)
	row.add("repository", d.Repository)
	row.add("branch", Branch(d.Ref))
	row.add("actor", d.Actor)
	row.add("event", d.Event)
	row.add("sha", strings.ToLower(d.SHA))
	row.add("project", Project(d))
	return row.with(d)
}

// Project is the one that a delivery's runs are of; empty for what is of none.
func Project(d trigger.Delivery) string {
	if d.Repository == "" {
		return ""
	}
	return d.Source + "/" + d.Repository
}

func short(s string) string {
	if len(s) <= mostReason {
		return s
	}
	return strings.ToValidUTF8(s[:mostReason], "") + "…"
}
