package api_test

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/workflow/language"
)

// TestSummariesAreShown: what steps wrote for people stands beside them.
func TestSummariesAreShown(t *testing.T) {
	w := newWorld(t)
	w.node("n1", 1)
	id := w.submit(hello)
	if j := decode[client.Job](t, w.ask(http.MethodGet, "/v1/jobs/"+id+".build", ""), http.StatusOK); len(j.Summaries) > 0 {
		t.Errorf("before the step: %q", j.Summaries)
	}
	l := w.launches[0]
	if _, err := w.deps.Reports.Report(t.Context(), execution.Report{
		AttemptRef: l.AttemptRef, Worker: l.Worker, Nonce: "n", Kind: execution.Hello,
		Steps: []execution.StepEvent{{ID: "0", Summary: "# Said", Result: &events.StepResult{ID: "0", Outcome: "success"}}},
	}); err != nil {
		t.Fatal(err)
	}
	w.finish(0, "done\n")
	if j := decode[client.Job](t, w.ask(http.MethodGet, "/v1/jobs/"+id+".build", ""), http.StatusOK); j.Summaries["0"] != "# Said" {
		t.Errorf("%+v", j)
	}
}

func TestSubmitJob(t *testing.T) {
	w := newWorld(t)
	w.node("n1", 1)
	body := `{"name": "greet", "env": {"B": "1", "A": "😀 \u0085\ud83d\ude00"}, "timeout-minutes": 5,
		"steps": [{"run": "echo $A\n\techo \"$B\"\n"}, {"name": "say", "run": "true"}]}`
	got := decode[client.Accepted](t, w.ask(http.MethodPost, "/v1/jobs", body), http.StatusCreated)
	if got.ID != got.Run+".job" || got.Links["self"] != "/v1/jobs/"+got.ID {
		t.Errorf("accepted %+v", got)
	}
	job := decode[client.Job](t, w.ask(http.MethodGet, got.Links["self"], ""), http.StatusOK)
	if job.Name != "greet" || job.State != "SCHEDULED" || job.Run != got.Run {
		t.Errorf("job %+v", job)
	}
	spec := w.launches[0].Job
	if len(spec.Steps) != 2 || spec.TimeoutMinutes != 5 || len(spec.Env) != 2 || spec.Env[0].Name != "B" {
		t.Fatalf("the worker was given %+v", spec)
	}
	if script, err := spec.Steps[0].Run.Eval(nil); err != nil || script != "echo $A\n\techo \"$B\"\n" {
		t.Errorf("script %q, %v", script, err)
	}
	if v, err := spec.Env[1].Value.Eval(nil); err != nil || v != "😀 \u0085😀" {
		t.Errorf("env %q, %v", v, err)
	}
}

func TestSubmitJobOfOneLine(t *testing.T) {
	w := newWorld(t)
	w.node("n1", 1)
	decode[client.Accepted](t, w.ask(http.MethodPost, "/v1/jobs", `{"run": "make all"}`), http.StatusCreated)
	if script, err := w.launches[0].Job.Steps[0].Run.Eval(nil); err != nil || script != "make all" {
		t.Errorf("script %q, %v", script, err)
	}
}

func TestWrongJobsAreRefusedWithTheirPlace(t *testing.T) {
	w := newWorld(t)
	for body, where := range map[string]string{
		`{"steps": [{"run": "x"}, {"uses": "actions/cache@v4"}]}`:               "body.steps[1].uses",
		`{"run": "echo ${{ github.evnt }}"}`:                                    "body.run",
		`{"run": "x", "retry": {"max": 99}}`:                                    "body.retry.max",
		`{"run": "x", "env": {"ok": "1", "not ok": "2"}}`:                       "body.env.not ok",
		`{"run": "x", "resources": {"cpu": "lots"}}`:                            "body.resources.cpu",
		`{"run": "x", "timeout-minutes": -1}`:                                   "body.timeout-minutes",
		`{"name": "no steps"}`:                                                  "body",
		`{"run": "x", "steps": []}`:                                             "body.run",
		`{"run": "x", "needs": ["y"]}`:                                          "body.needs",
		`{"run": "x", "trigger": {"inputs": {"a": 1}}}`:                         "body.trigger.inputs",
		`{"run": "x", "env": {"A": "1", "A": "2"}}`:                             "body.env.A",
		`{"steps": [{"run": "` + strings.Repeat(`é`, 40) + `", "shell": "x"}]}`: "body.steps[0].shell",
	} {
		p := refused(t, w.ask(http.MethodPost, "/v1/jobs", body), http.StatusUnprocessableEntity)
		if len(p.Errors) == 0 || p.Errors[0].Location != where {
			t.Errorf("%s\nis refused at %+v, not at %s", body, p.Errors, where)
		}
		for _, e := range p.Errors {
			if e.Line != 0 || strings.Contains(e.Message, "job.yaml") {
				t.Errorf("%s: names a file that there is not: %+v", body, e)
			}
		}
	}
}

// A word that the front end learns can be said of a single job, too.
func TestJobsHaveTheKeysOfTheLanguage(t *testing.T) {
	var have []string
	for i := range reflect.TypeFor[client.JobSubmission]().NumField() {
		key, _, _ := strings.Cut(reflect.TypeFor[client.JobSubmission]().Field(i).Tag.Get("json"), ",")
		have = append(have, key)
	}
	for _, key := range language.Job.Names() {
		if key == "needs" || key == "strategy" { // of several jobs
			continue
		}
		if !slices.Contains(have, key) {
			t.Errorf("client.JobSubmission has no key %s", key)
		}
	}
}
