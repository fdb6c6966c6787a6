package client

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// Origin says where what is wanted of a list came from; what is empty does not
// matter.
type Origin struct {
	Project, Repository, Branch, Actor, SHA, Event string
	Since, Until                                   time.Time
	// Text that stands in one of its names, or begins its commit.
	Text string
}

func (o Origin) query(limit int, cursor string) query {
	q := query{"limit": {strconv.Itoa(limit)}}
	q.set("project", o.Project)
	q.set("repository", o.Repository)
	q.set("branch", o.Branch)
	q.set("actor", o.Actor)
	q.set("sha", o.SHA)
	q.set("event", o.Event)
	q.set("q", o.Text)
	q.set("cursor", cursor)
	if !o.Since.IsZero() {
		q.set("since", o.Since.UTC().Format(time.RFC3339Nano))
	}
	if !o.Until.IsZero() {
		q.set("until", o.Until.UTC().Format(time.RFC3339Nano))
	}
	return q
}

// query is what is asked, without what is empty.
type query map[string][]string

func (q query) set(name string, values ...string) {
	for _, v := range values {
		if v != "" {
			q[name] = append(q[name], v)
		}
	}
}

func (q query) of(path string) string { return path + "?" + url.Values(q).Encode() }

// RunFilter says which runs are wanted; the zero value: all.
type RunFilter struct {
	Origin
	Pipeline string
	States   []string // one of these
	Awaits   string   // approval: only those of which a job awaits one
}

// Runs lists runs, newest first: a page of at most limit, from a cursor ("":
// the newest).
func (c *Client) Runs(ctx context.Context, f RunFilter, limit int, cursor string) (RunList, error) {
	q := f.query(limit, cursor)
	q.set("pipeline", f.Pipeline)
	q.set("awaits", f.Awaits)
	q.set("state", f.States...)
	return get[RunList](ctx, c, q.of("/v1/pipelines"))
}

// JobFilter says which jobs are wanted; the zero value: all.
type JobFilter struct {
	Origin
	Pipeline, Pool, Node, Provider string
	States                         []string // one of these
}

// Jobs lists jobs, those of the newest runs first; as Runs.
func (c *Client) Jobs(ctx context.Context, f JobFilter, limit int, cursor string) (JobList, error) {
	q := f.query(limit, cursor)
	q.set("pipeline", f.Pipeline)
	q.set("pool", f.Pool)
	q.set("node", f.Node)
	q.set("provider", f.Provider)
	q.set("state", f.States...)
	return get[JobList](ctx, c, q.of("/v1/jobs"))
}

// JobList is a page of jobs, those of the newest runs first.
type JobList struct {
	Jobs []JobSummary `json:"jobs"`
	Next string       `json:"next,omitempty" doc:"Cursor of the next page; empty on the last. A page may be short, empty even, and have one."`
}

// JobSummary is a job as lists show it.
type JobSummary struct {
	ID        string            `json:"id" doc:"Run and key, with a dot between."`
	Run       string            `json:"run" doc:"The run, a ULID."`
	Key       events.JobKey     `json:"key"`
	Name      string            `json:"name"`
	State     string            `json:"state" enum:"WAITING,PENDING,SCHEDULED,RUNNING,SUCCEEDED,FAILED,CANCELLED,TERMINATED,SKIPPED"`
	Verdict   events.Verdict    `json:"verdict,omitempty"`
	Reason    string            `json:"reason,omitempty"`
	Pipeline  string            `json:"pipeline" doc:"The pipeline's name."`
	Project   string            `json:"project,omitempty"`
	Event     string            `json:"event" doc:"The trigger's name."`
	Actor     string            `json:"actor,omitempty"`
	Repo      string            `json:"repository,omitempty"`
	Ref       string            `json:"ref,omitempty"`
	Branch    string            `json:"branch,omitempty"`
	SHA       string            `json:"sha,omitempty"`
	Attempt   int               `json:"attempt,omitempty" doc:"Its last; absent before the first."`
	Pool      events.PoolID     `json:"pool,omitempty" doc:"Of its last attempt."`
	Node      events.NodeID     `json:"node,omitempty"`
	Provider  string            `json:"provider,omitempty"`
	Worker    events.WorkerID   `json:"worker,omitempty"`
	Requested time.Time         `json:"requested" doc:"When its run was."`
	Asked     time.Time         `json:"asked,omitzero" doc:"When its last attempt was asked for."`
	NotUntil  time.Time         `json:"notUntil,omitzero" doc:"While a retry waits: when it is asked for."`
	Started   time.Time         `json:"started,omitzero"`
	Ended     time.Time         `json:"ended,omitzero"`
	Links     map[string]string `json:"links"`

	CarriedFrom string `json:"carriedFrom,omitempty" doc:"The job of an earlier run that stands for this one: it did not run here."`
}

// DeliveryFilter says which deliveries are wanted; the zero value: all.
type DeliveryFilter struct {
	Origin
	Source string
	States []string // one of these
}

// Deliveries lists deliveries, newest first; as Runs.
func (c *Client) Deliveries(ctx context.Context, f DeliveryFilter, limit int, cursor string) (DeliveryList, error) {
	q := f.query(limit, cursor)
	q.set("source", f.Source)
	q.set("state", f.States...)
	return get[DeliveryList](ctx, c, q.of("/v1/deliveries"))
}

// PersonList is a page of people, by name.
type PersonList struct {
	People []Person `json:"people"`
	Next   string   `json:"next,omitempty" doc:"Cursor of the next page; empty on the last."`
}

// Person is somebody who started runs.
type Person struct {
	Name     string    `json:"name" doc:"As the source of their runs authenticated them."`
	Runs     int       `json:"runs" doc:"How many of theirs are kept."`
	Last     time.Time `json:"last,omitzero" doc:"When the newest was requested."`
	Run      string    `json:"run,omitempty" doc:"The newest."`
	Pipeline string    `json:"pipeline,omitempty" doc:"The newest's."`
	State    string    `json:"state,omitempty" doc:"The newest's."`
}

// People lists who started runs, by name; as Runs.
func (c *Client) People(ctx context.Context, limit int, cursor string) (PersonList, error) {
	q := query{"limit": {strconv.Itoa(limit)}}
	q.set("cursor", cursor)
	return get[PersonList](ctx, c, q.of("/v1/people"))
}

// Rebuilt is how far a rebuild of the lists has come.
type Rebuilt struct {
	Next    string `json:"next,omitempty" doc:"Where to go on; empty: it is done."`
	Done    int    `json:"done" doc:"Parts that are done."`
	Of      int    `json:"of" doc:"Parts that there are."`
	Rows    int    `json:"rows" doc:"Rows that were made in this step."`
	Dropped int    `json:"dropped" doc:"Rows that were dropped in this step, since what they showed is gone."`
	Skipped int    `json:"skipped" doc:"What could not be read in this step; the server's log says why."`
}

// Rebuild makes all lists again from what stands in the ledger, and tells after
// each step how far it is, with the sums of all steps. It may be broken off.
func (c *Client) Rebuild(ctx context.Context, progress func(Rebuilt)) (Rebuilt, error) {
	var sum Rebuilt
	for {
		q := query{}
		q.set("after", sum.Next)
		step, err := post[Rebuilt](ctx, c, q.of("/v1/rebuild"), nil, "")
		if err != nil {
			return sum, err
		}
		step.Rows, step.Dropped, step.Skipped = step.Rows+sum.Rows, step.Dropped+sum.Dropped, step.Skipped+sum.Skipped
		if sum = step; progress != nil {
			progress(sum)
		}
		if sum.Next == "" {
			return sum, nil
		}
	}
}
