package pipeline

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/expression"
)

// Contexts are what expressions of a job may read before its steps run:
// github, relevo, needs, matrix, strategy, inputs and vars, and in a run that a
// CloudEvent started, event.
func (r *Run) Contexts(key events.JobKey) map[string]any {
	out := map[string]any{
		"github": r.github(key), "inputs": r.inputs(), "vars": map[string]any{},
		"needs": map[string]any{}, "matrix": map[string]any{}, "strategy": map[string]any{},
	}
	out["relevo"] = out["github"]
	if r.request.Trigger.Event == CloudEvent {
		out["event"] = out["github"].(map[string]any)["event"]
	}
	spec := r.JobSpec(key)
	if spec == nil {
		return out
	}
	needs := map[string]any{}
	for _, id := range spec.Needs {
		needs[id] = r.need(id)
	}
	out["needs"] = needs
	if spec.Matrix != nil {
		out["matrix"] = spec.Matrix
	}
	if s := spec.Strategy; s != nil {
		out["strategy"] = map[string]any{
			"fail-fast": s.FailFast, "job-index": float64(s.Index),
			"job-total": float64(s.Total), "max-parallel": float64(max(s.MaxParallel, 1)),
		}
	}
	return out
}

func (r *Run) github(key events.JobKey) map[string]any {
	t := r.request.Trigger
	var payload any = map[string]any{}
	if len(t.Payload) > 0 {
		// A payload that is no JSON was refused when the run was accepted.
		_ = json.Unmarshal(t.Payload, &payload)
	}
	id, _, _ := strings.Cut(string(key), ".")
	name := t.Ref
	for _, prefix := range []string{"refs/heads/", "refs/tags/", "refs/pull/"} {
		name = strings.TrimPrefix(name, prefix)
	}
	owner, _, _ := strings.Cut(t.Repository, "/")
	base, head := t.Branches()
	return map[string]any{
		"event_name": t.Event, "event": payload, "ref": t.Ref, "ref_name": name, "ref_type": refType(t.Ref), "sha": t.SHA,
		"repository": t.Repository, "repository_owner": owner, "server_url": t.Server(), "base_ref": base, "head_ref": head,
		"actor": t.Actor, "triggering_actor": t.Actor,
		"workflow": r.request.Pipeline, "job": id, "run_id": string(r.request.Run), "run_attempt": strconv.Itoa(max(1, r.request.RunAttempt)),
	}
}

// refType is that of a ref as Actions has it: a pull request's is a branch.
func refType(ref string) string {
	switch {
	case ref == "":
		return ""
	case strings.HasPrefix(ref, "refs/tags/"):
		return "tag"
	}
	return "branch"
}

// inputs are those of the compiled file, defaults included, else what the
// payload has.
func (r *Run) inputs() any {
	if r.spec.Inputs != nil {
		return r.spec.Inputs
	}
	var payload struct {
		Inputs map[string]any `json:"inputs"`
	}
	if len(r.request.Trigger.Payload) == 0 || json.Unmarshal(r.request.Trigger.Payload, &payload) != nil || payload.Inputs == nil {
		return map[string]any{}
	}
	return payload.Inputs
}

// need is needs.<id>: for a matrix, the outputs of all its jobs together (the
// last one to set a name wins) and the worst result.
func (r *Run) need(id string) map[string]any {
	outputs := map[string]any{}
	result := "success"
	for i := range r.spec.Jobs {
		s := &r.spec.Jobs[i]
		if s.ID != id {
			continue
		}
		j := r.Job(s.Key)
		for k, v := range j.Outputs {
			if v != "" || outputs[k] == nil {
				outputs[k] = v
			}
		}
		result = worse(result, r.result(j))
	}
	return map[string]any{"result": result, "outputs": outputs}
}

// result of a job as expressions see it: a failure that the job may continue
// on counts as success.
func (r *Run) result(j *Job) string {
	switch j.State {
	case Succeeded:
		return "success"
	case Skipped:
		return "skipped"
	case Cancelled:
		return "cancelled"
	case Failed, Terminated:
		if r.tolerated(j) {
			return "success"
		}
		return "failure"
	}
	return ""
}

func worse(a, b string) string {
	for _, s := range []string{"failure", "cancelled", "skipped"} {
		if a == s || b == s {
			return s
		}
	}
	return "success"
}

// tolerated tells whether the job's failure does not fail the run.
func (r *Run) tolerated(j *Job) bool {
	s := r.JobSpec(j.Key)
	if s == nil || s.ContinueOnError == nil {
		return false
	}
	v, err := s.ContinueOnError.Eval(r.env(j.Key, expression.Success))
	return err == nil && v == "true"
}

func (r *Run) env(key events.JobKey, status expression.Status) *expression.Env {
	return &expression.Env{Contexts: r.Contexts(key), Status: status}
}

// status is what success(), failure() and cancelled() see in a job's
// condition: of all the jobs that it needs, directly or through others.
func (r *Run) status(spec *JobSpec) expression.Status {
	if r.Cancelled != "" {
		return expression.Cancelled
	}
	seen := map[string]bool{}
	worst := expression.Success
	var visit func(ids []string, direct bool)
	visit = func(ids []string, direct bool) {
		for _, id := range ids {
			if seen[id] {
				continue
			}
			seen[id] = true
			result, needs := r.resultOf(id)
			// A skipped need stops its direct followers only, unless it was
			// skipped because of a failure further up, which visiting finds.
			switch {
			case result == "failure":
				worst = expression.Failure
			case direct && result != "success" && worst == expression.Success:
				worst = expression.Skipped
			}
			visit(needs, false)
		}
	}
	visit(spec.Needs, true)
	return worst
}

func (r *Run) resultOf(id string) (result string, needs []string) {
	result = "success"
	for i := range r.spec.Jobs {
		if s := &r.spec.Jobs[i]; s.ID == id {
			result, needs = worse(result, r.result(r.Job(s.Key))), s.Needs
		}
	}
	return result, needs
}

// groupName evaluates the run's concurrency group; empty without one.
func (r *Run) groupName() (string, error) {
	if r.spec.Concurrency == nil {
		return "", nil
	}
	return r.spec.Concurrency.Group.Eval(r.env("", expression.Success))
}

// CancelsInProgress tells whether the run replaces the holder of its group.
func (r *Run) CancelsInProgress() bool {
	c := r.spec.Concurrency
	if c == nil || c.CancelInProgress == nil {
		return false
	}
	v, err := c.CancelInProgress.Eval(r.env("", expression.Success))
	return err == nil && v == "true"
}
