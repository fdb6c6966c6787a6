package api

import (
	"strings"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/view"
)

// The shapes of answers, made of the domain's.

// summary is what a list shows of a run.
func summary(r *pipeline.Run) client.RunSummary { return runRow(view.RunOf(r)) }

func runView(r *pipeline.Run) client.Run {
	req := r.Request()
	v := client.Run{
		RunSummary: summary(r), File: req.File, Group: r.Group,
		Links: runLinks(r.ID), Jobs: make([]client.Job, len(r.Jobs)),
	}
	for i, j := range r.Jobs {
		v.Jobs[i] = jobView(r, j)
	}
	return v
}

func jobView(r *pipeline.Run, j *pipeline.Job) client.Job {
	v := client.Job{
		ID: jobID(r.ID, j.Key), Run: string(r.ID), Key: j.Key, Name: j.Name, State: stateOf(j),
		Verdict: j.Verdict, Reason: j.Reason, Asked: j.AskedAt, NotUntil: j.NotBefore, Ended: j.Ended,
		Approval: j.Awaiting() && j.Await.Approval, Outputs: j.Outputs, Steps: j.Steps, Links: jobLinks(r.ID, j.Key),
	}
	if s := r.JobSpec(j.Key); s != nil {
		v.Needs = s.Needs
	}
	if j.Carried != nil {
		v.CarriedFrom = carriedFrom(j.Carried.Run, j.Key)
	}
	for _, a := range j.Attempts {
		v.Attempts = append(v.Attempts, attemptView(a))
	}
	return v
}

func attemptView(a *pipeline.Attempt) client.Attempt {
	return client.Attempt{
		Number: a.Number, State: string(a.State), Fence: a.Fence.String(),
		Pool: a.Placement.Pool, Node: a.Placement.Node, Worker: a.Placement.Worker, Provider: a.Placement.Provider,
		Scheduled: a.Scheduled, StartBy: a.StartBy, Preparing: a.Preparing, Started: a.Started,
		Deadline: a.Deadline, Ended: a.Ended, Verdict: a.Verdict, Reason: a.Reason,
	}
}

func stateOf(j *pipeline.Job) string { return view.StateOf(j) }

// jobID is the run and the key with a dot between: a run's id has none.
func jobID(run events.RunID, key events.JobKey) string { return view.JobID(run, key) }

// carriedFrom is the job of an earlier run that stands for one of that key.
func carriedFrom(run events.RunID, key events.JobKey) string {
	if run == "" {
		return ""
	}
	return jobID(run, key)
}

// parseJobID takes a job's id apart; false where it cannot be one.
func parseJobID(id string) (events.RunID, events.JobKey, bool) {
	run, key, ok := strings.Cut(id, ".")
	return events.RunID(run), events.JobKey(key), ok && isRunID(run) && key != "" && len(key) <= 1024
}

// isRunID accepts a ULID in the one form that its generator writes.
func isRunID(s string) bool {
	if len(s) != 26 || s[0] > '7' {
		return false
	}
	return strings.Trim(s, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") == ""
}

func runLinks(id events.RunID) map[string]string {
	self := "/v1/pipelines/" + string(id)
	return map[string]string{
		"self": self, "explain": self + "/explain", "cancel": self + "/cancel",
		"events": "/v1/events?run=" + string(id),
	}
}

func jobLinks(run events.RunID, key events.JobKey) map[string]string {
	self := "/v1/jobs/" + jobID(run, key)
	return map[string]string{
		"self": self, "logs": self + "/logs", "cancel": self + "/cancel",
		"run": "/v1/pipelines/" + string(run), "events": "/v1/events?run=" + string(run),
	}
}
