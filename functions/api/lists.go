package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/view"
)

// Page is the part of a request that asks for a piece of a list.
type Page struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"How many on a page."`
	Cursor string `query:"cursor" maxLength:"1200" doc:"Next of the page before."`
}

// From is the part of a request that says where what is listed came from.
type From struct {
	Project    string    `query:"project" maxLength:"256" doc:"Only of this project."`
	Repository string    `query:"repository" maxLength:"512" doc:"Only of this repository, owner/name."`
	Branch     string    `query:"branch" maxLength:"1024" doc:"Only of this branch, or of another ref by its full name."`
	Actor      string    `query:"actor" maxLength:"256" doc:"Only of whom the source authenticated so."`
	SHA        string    `query:"sha" maxLength:"64" doc:"Only of commits that begin so."`
	Event      string    `query:"event" maxLength:"256" doc:"Only of this trigger."`
	Since      time.Time `query:"since" doc:"Only from this time on."`
	Until      time.Time `query:"until" doc:"Only up to this time."`
	Text       string    `query:"q" maxLength:"256" doc:"Only where this stands in a name (pipeline, branch, actor, repository, job), or begins the commit."`
}

func (f From) where() map[string][]string {
	return map[string][]string{
		"project": some(f.Project), "repository": some(f.Repository), "branch": some(view.Branch(f.Branch)),
		"actor": some(f.Actor), "sha": some(f.SHA), "event": some(f.Event),
	}
}

func some(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

var errNoViews = refuse(http.StatusServiceUnavailable, "this server keeps no lists")

// find reads a page of a read model for a caller.
func (a *API) find(ctx context.Context, kind view.Kind, from From, page Page, also map[string][]string) (view.Found, error) {
	if a.Views == nil {
		return view.Found{}, errNoViews
	}
	q := view.Query{
		Kind: kind, Where: from.where(), Scopes: a.scopes(ctx), Since: from.Since, Until: from.Until,
		Text: strings.TrimSpace(from.Text), Limit: page.Limit,
	}
	for field, values := range also {
		q.Where[field] = values
	}
	if page.Cursor != "" {
		var err error
		if q.After, err = view.ParseCursor(page.Cursor); err != nil {
			return view.Found{}, located("query.cursor", "this is no cursor of a page")
		}
	}
	found, err := view.Find(ctx, a.Views.View, q)
	if err != nil {
		return view.Found{}, a.fault(ctx, "read the list", err)
	}
	return found, nil
}

// bodies decodes what rows hold.
func bodies[T any](rows []view.Row) ([]T, error) {
	list := make([]T, len(rows))
	for i, r := range rows {
		if err := json.Unmarshal(r.Body, &list[i]); err != nil {
			return nil, fmt.Errorf("api: decode row of %s %s: %w", r.Kind, r.ID, err)
		}
	}
	return list, nil
}

type listInput struct {
	Page
	From
	State    []string `query:"state,explode" nullable:"false" maxItems:"8" enum:"REQUESTED,RUNNING,SUCCEEDED,FAILED,CANCELLED" doc:"Only in one of these states."`
	Pipeline string   `query:"pipeline" maxLength:"512" doc:"Only of the pipeline of this name."`
	Awaits   string   `query:"awaits" enum:"approval" doc:"Only those of which a job awaits this."`
}

type listOutput struct {
	Body client.RunList
}

// listPipelines lists runs from their read model.
func (a *API) listPipelines(ctx context.Context, in *listInput) (*listOutput, error) {
	found, err := a.find(ctx, view.Runs, in.From, in.Page, map[string][]string{"state": in.State, "pipeline": some(in.Pipeline), "awaits": some(in.Awaits)})
	if err != nil {
		return nil, err
	}
	runs, err := bodies[view.Run](found.Rows)
	if err != nil {
		return nil, a.fault(ctx, "read the list", err)
	}
	out := &listOutput{Body: client.RunList{Runs: make([]client.RunSummary, len(runs)), Next: string(found.Next)}}
	for i, r := range runs {
		out.Body.Runs[i] = runRow(r)
	}
	return out, nil
}

type jobsInput struct {
	Page
	From
	State    []string `query:"state,explode" nullable:"false" maxItems:"16" enum:"WAITING,PENDING,SCHEDULED,RUNNING,SUCCEEDED,FAILED,CANCELLED,TERMINATED,SKIPPED" doc:"Only in one of these states."`
	Pipeline string   `query:"pipeline" maxLength:"512" doc:"Only of the pipeline of this name."`
	Pool     string   `query:"pool" maxLength:"256" doc:"Only in this pool."`
	Node     string   `query:"node" maxLength:"256" doc:"Only on this node."`
	Provider string   `query:"provider" maxLength:"64" doc:"Only on nodes of this provider."`
}

type jobsOutput struct {
	Body client.JobList
}

// listJobs lists jobs from their read model, those of a run side by side.
func (a *API) listJobs(ctx context.Context, in *jobsInput) (*jobsOutput, error) {
	found, err := a.find(ctx, view.Jobs, in.From, in.Page, map[string][]string{
		"state": in.State, "pipeline": some(in.Pipeline), "pool": some(in.Pool), "node": some(in.Node), "provider": some(in.Provider),
	})
	if err != nil {
		return nil, err
	}
	jobs, err := bodies[view.Job](found.Rows)
	if err != nil {
		return nil, a.fault(ctx, "read the list", err)
	}
	out := &jobsOutput{Body: client.JobList{Jobs: make([]client.JobSummary, len(jobs)), Next: string(found.Next)}}
	for i, j := range jobs {
		out.Body.Jobs[i] = jobRow(j)
	}
	return out, nil
}

type peopleInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many on a page."`
	Cursor string `query:"cursor" maxLength:"1200" doc:"Next of the page before."`
}

type peopleOutput struct {
	Body client.PersonList
}

// listPeople lists who started runs.
func (a *API) listPeople(ctx context.Context, in *peopleInput) (*peopleOutput, error) {
	if a.Views == nil {
		return nil, errNoViews
	}
	people, next, err := view.People(ctx, a.Views.View, a.scopes(ctx), in.Cursor, in.Limit)
	if err != nil {
		return nil, a.fault(ctx, "list the people", err)
	}
	out := &peopleOutput{Body: client.PersonList{People: make([]client.Person, len(people)), Next: next}}
	for i, p := range people {
		var last view.Run
		if p.Last.ID != "" {
			if err := json.Unmarshal(p.Last.Body, &last); err != nil {
				return nil, a.fault(ctx, "list the people", err)
			}
		}
		out.Body.People[i] = client.Person{Name: p.Name, Runs: p.Runs, Last: last.Requested, Run: string(last.ID), Pipeline: last.Pipeline, State: string(last.State)}
	}
	return out, nil
}

// registerLists adds the operations that read models answer.
func (a *API) registerLists(h huma.API) {
	huma.Register(h, operation(h, "listPipelines", http.MethodGet, "/v1/pipelines", "List runs, newest first"), a.listPipelines)
	huma.Register(h, operation(h, "listJobs", http.MethodGet, "/v1/jobs", "List jobs, those of the newest runs first"), a.listJobs)
	huma.Register(h, operation(h, "listJobsForPages", http.MethodGet, "/ui/jobs", "The same list, for pages"), a.listJobs)
	huma.Register(h, operation(h, "listPeople", http.MethodGet, "/v1/people", "List who started runs, by name"), a.listPeople)
	huma.Register(h, operation(h, "rebuildLists", http.MethodPost, "/v1/rebuild", "Make all lists again from what stands in the ledger, a step at a time"), a.rebuildLists)
}

func runRow(r view.Run) client.RunSummary {
	return client.RunSummary{
		ID: string(r.ID), Pipeline: r.Pipeline, Project: r.Project, State: string(r.State), Verdict: r.Verdict, Reason: r.Reason,
		Event: r.Event, Actor: r.Actor, Repo: r.Repository, Ref: r.Ref, Branch: r.Branch, SHA: r.SHA,
		PullRequest: r.PullRequest, RetryOf: string(r.RetryOf), Attempt: max(1, r.Attempt), Counts: r.Jobs, Approvals: r.Approvals,
		Requested: r.Requested, Started: r.Started, Ended: r.Ended,
	}
}

func jobRow(j view.Job) client.JobSummary {
	return client.JobSummary{
		CarriedFrom: carriedFrom(j.CarriedFrom, j.Key),
		ID:          jobID(j.Run, j.Key), Run: string(j.Run), Key: j.Key, Name: cmp.Or(j.Name, string(j.Key)), State: j.State, Verdict: j.Verdict, Reason: j.Reason,
		Pipeline: j.Pipeline, Project: j.Project, Event: j.Event, Actor: j.Actor, Repo: j.Repository, Ref: j.Ref, Branch: j.Branch, SHA: j.SHA,
		Attempt: j.Attempt, Pool: j.Pool, Node: j.Node, Provider: j.Provider, Worker: j.Worker,
		Requested: j.Requested, Asked: j.Asked, NotUntil: j.NotUntil, Started: j.Started, Ended: j.Ended, Links: jobLinks(j.Run, j.Key),
	}
}
