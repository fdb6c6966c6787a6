package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
)

const asking = "on: {workflow_dispatch: {inputs: {where: {default: here}}}}\njobs: {a: {steps: [{run: make}]}}\n"

// TestSubmissionOfARun: what a run was submitted with comes back, and is taken again
// as it is.
func TestSubmissionOfARun(t *testing.T) {
	w := newWorld(t)
	w.node("n1", 1)
	c := w.serve()
	sent := client.Submission{File: ".relevo/make.yaml", Source: asking, Trigger: &client.Trigger{Repository: "acme/web", Ref: "refs/heads/main", SHA: "abc", Inputs: map[string]any{"where": "there"}}}
	made, err := c.Submit(t.Context(), sent, "")
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Submission(t.Context(), made.Run)
	if err != nil {
		t.Fatal(err)
	}
	if got.Source != asking || got.File != sent.File || got.Trigger.Event != "workflow_dispatch" || got.Trigger.Repository != "acme/web" || got.Trigger.Ref != "refs/heads/main" || got.Trigger.SHA != "abc" || got.Trigger.Inputs["where"] != "there" {
		t.Errorf("got %+v of %+v", got, got.Trigger)
	}
	again, err := c.Submit(t.Context(), got, "")
	if err != nil || again.Run == made.Run {
		t.Errorf("again: %+v, %v", again, err)
	}
	// A stranger's file is no trusted person's to submit by a click.
	asked := events.RunRequested{RunRef: events.RunRef{Run: "01J00000000000000000000001"}, Pipeline: "p", Source: asking, Spec: json.RawMessage(`{"jobs":[{"id":"a","key":"a"}]}`)}
	asked.Trigger = events.Trigger{Event: "pull_request", Untrusted: true}
	if _, err := w.api.Runs.Create(t.Context(), "webhook", asked); err != nil {
		t.Fatal(err)
	}
	refused(t, w.ask(http.MethodGet, "/v1/pipelines/"+string(asked.Run)+"/submission", ""), http.StatusConflict)
	pushed := w.submit(submission("jobs: {a: {steps: [{run: make}]}}\n# " + strings.Repeat("x", 32<<10) + "\n"))
	refused(t, w.ask(http.MethodGet, "/v1/pipelines/"+pushed+"/submission", ""), http.StatusNotFound)
	refused(t, w.ask(http.MethodGet, "/v1/pipelines/01JD3ZT4Q8N6W1YV5K7E9RBXHM/submission", ""), http.StatusNotFound)
}
