package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/protocol"
)

func TestSubmitIsAcceptedOnceCommitted(t *testing.T) {
	w := newWorld(t)
	w.cut = true // the answer needs no broker
	rec := w.ask(http.MethodPost, "/v1/pipelines", submission("name: ci\njobs:\n  build:\n    steps:\n    - run: echo\n"))
	got := decode[client.Accepted](t, rec, http.StatusCreated)
	if rec.Header().Get("Location") != "/v1/pipelines/"+got.ID || got.Links["self"] != rec.Header().Get("Location") {
		t.Errorf("location %q, links %v", rec.Header().Get("Location"), got.Links)
	}
	run, _, err := w.runs.Load(t.Context(), events.RunID(got.ID))
	if err != nil {
		t.Fatal(err)
	}
	if run.Pipeline != "ci" || run.Request().File != "ci.yaml" || run.Request().Trigger.Event != "workflow_dispatch" {
		t.Errorf("stored %+v", run.Request())
	}
	waits, err := w.store.Outbox(t.Context(), protocol.PartitionOf(run.ID), 0, 10)
	if err != nil || len(waits) != 1 || waits[0].Emitted[0].Type != events.TypeRunRequested {
		t.Errorf("the outbox holds %v, %v", waits, err)
	}
}

func TestShowPipeline(t *testing.T) {
	w := newWorld(t)
	w.node("n1", 2)
	id := w.submit(submission(`
jobs:
  build: {steps: [{run: make}]}
  test: {needs: build, steps: [{run: make test}]}
`))
	w.finish(0, "made\n")
	run := decode[client.Run](t, w.ask(http.MethodGet, "/v1/pipelines/"+id, ""), http.StatusOK)
	if run.ID != id || run.State != "RUNNING" || run.Event != "workflow_dispatch" || len(run.Jobs) != 2 || run.Final() {
		t.Fatalf("run %+v", run)
	}
	build, test := run.Jobs[0], run.Jobs[1]
	if build.State != "SUCCEEDED" || !build.Final() || len(build.Attempts) != 1 || build.ID != id+".build" {
		t.Errorf("build %+v", build)
	}
	if a := build.Attempts[0]; a.Number != 1 || a.State != "SUCCEEDED" || a.Node != "n1" || a.Fence != "1.1" || a.Provider != "fake" {
		t.Errorf("attempt %+v", a)
	}
	if test.State != "SCHEDULED" || test.Final() || test.Needs[0] != "build" || test.Attempts[0].State != "CREATED" {
		t.Errorf("test %+v", test)
	}
	job := decode[client.Job](t, w.ask(http.MethodGet, "/v1/jobs/"+test.ID, ""), http.StatusOK)
	if job.ID != test.ID || job.State != test.State {
		t.Errorf("job by its id: %+v", job)
	}
	w.finish(1, "")
	if run := decode[client.Run](t, w.ask(http.MethodGet, run.Links["self"], ""), http.StatusOK); run.State != "SUCCEEDED" || !run.Final() {
		t.Errorf("run %+v", run)
	}
}

func TestWrongPipelinesAreRefused(t *testing.T) {
	w := newWorld(t)
	body := submission("jobs:\n  build:\n    steps:\n    - rum: echo\n  test:\n    needs: biuld\n    steps: [{run: x}]\n")
	p := refused(t, w.ask(http.MethodPost, "/v1/pipelines", body), http.StatusUnprocessableEntity)
	if p.Type != client.ProblemPipeline || len(p.Errors) < 2 {
		t.Fatalf("problem %+v", p)
	}
	for _, e := range p.Errors {
		if e.File != "ci.yaml" || e.Line == 0 || e.Column == 0 || e.Message == "" {
			t.Errorf("error without a place: %+v", e)
		}
		if want := fmt.Sprintf("ci.yaml:%d:%d", e.Line, e.Column); e.Location != want {
			t.Errorf("location %q, want %q", e.Location, want)
		}
	}
	if e := p.Errors[0]; e.Line != 4 || e.Column != 7 {
		t.Errorf("the first error is at %s", e.Location)
	}
	list := decode[client.RunList](t, w.ask(http.MethodGet, "/v1/pipelines", ""), http.StatusOK)
	if len(list.Runs) != 0 {
		t.Errorf("a refused pipeline runs: %+v", list.Runs)
	}
}

func TestInputs(t *testing.T) {
	const source = `
on:
  workflow_dispatch:
    inputs:
      target: {type: choice, options: [a, b], required: true}
      fast: {type: boolean, default: false}
jobs:
  build: {steps: [{run: make}]}
`
	w := newWorld(t)
	body := func(trigger string) string {
		return strings.TrimSuffix(submission(source), "}") + `, "trigger": ` + trigger + "}"
	}
	for name, trigger := range map[string]string{
		"missing": `{}`,
		"unknown": `{"inputs": {"target": "a", "slow": true}}`,
		"no such": `{"inputs": {"target": "c"}}`,
		"no push": `{"event": "push", "inputs": {"target": "a"}}`,
		"a list":  `{"payload": {"inputs": []}}`,
		"payload": `{"payload": [1]}`,
	} {
		p := refused(t, w.ask(http.MethodPost, "/v1/pipelines", body(trigger)), http.StatusUnprocessableEntity)
		if len(p.Errors) == 0 || p.Errors[0].Location == "" {
			t.Errorf("%s: %+v", name, p)
		}
	}
	for name, trigger := range map[string]string{
		"given":      `{"inputs": {"target": "a", "fast": true}, "payload": {"sender": {"login": "ada"}}}`,
		"in payload": `{"payload": {"inputs": {"target": "a", "fast": "true"}, "sender": {"login": "ada"}}}`,
	} {
		run, _, err := w.runs.Load(t.Context(), events.RunID(w.submit(body(trigger))))
		if err != nil {
			t.Fatal(err)
		}
		got := string(run.Request().Trigger.Payload)
		if got != `{"inputs":{"fast":true,"target":"a"},"sender":{"login":"ada"}}` {
			t.Errorf("%s: payload %s", name, got)
		}
	}
	// Another event has no inputs, nor their defaults.
	id := w.submit(body(`{"event": "push", "ref": "refs/heads/main", "sha": "abc", "payload": {"forced": false}}`))
	run, _, err := w.runs.Load(t.Context(), events.RunID(id))
	if err != nil {
		t.Fatal(err)
	}
	if got := run.Request().Trigger; got.Event != "push" || got.SHA != "abc" || string(got.Payload) != `{"forced":false}` {
		t.Errorf("trigger %+v", got)
	}
}

func TestListIsPagedNewestFirst(t *testing.T) {
	w := newWorld(t)
	w.now = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	var want []string
	for i := range 25 {
		if i%3 == 0 { // some fall on the same millisecond
			w.now = w.now.Add(time.Second)
		}
		id := w.submit(hello, "Idempotency-Key", fmt.Sprint("k", i)) // ids that tell no time
		want = append(want, id)
	}
	var got []client.RunSummary
	cursor := ""
	for range 100 {
		list := decode[client.RunList](t, w.ask(http.MethodGet, "/v1/pipelines?limit=4&cursor="+cursor, ""), http.StatusOK)
		got = append(got, list.Runs...)
		if cursor = list.Next; cursor == "" {
			break
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d runs, want %d", len(got), len(want))
	}
	seen := map[string]bool{}
	for i, r := range got {
		if i > 0 && r.Requested.After(got[i-1].Requested) {
			t.Errorf("%s comes after an older one", r.ID)
		}
		if seen[r.ID] {
			t.Errorf("%s comes twice", r.ID)
		}
		seen[r.ID] = true
	}
	refused(t, w.ask(http.MethodGet, "/v1/pipelines?cursor=x", ""), http.StatusUnprocessableEntity)
	refused(t, w.ask(http.MethodGet, "/v1/pipelines?limit=0", ""), http.StatusUnprocessableEntity)
	refused(t, w.ask(http.MethodGet, "/v1/pipelines?page=2", ""), http.StatusUnprocessableEntity)
}

func TestUnknownRunsAndJobs(t *testing.T) {
	w := newWorld(t)
	id := w.submit(hello)
	for _, path := range []string{
		"/v1/pipelines/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/v1/pipelines/x", "/v1/pipelines/x/explain",
		"/v1/jobs/" + id, "/v1/jobs/" + id + ".", "/v1/jobs/" + id + ".test", "/v1/jobs/x.build", "/v1/jobs/" + id + ".test/logs",
		"/v1/jobs/" + id + ".build/logs", "/v1/nothing", "/",
	} {
		refused(t, w.ask(http.MethodGet, path, ""), http.StatusNotFound)
	}
	refused(t, w.ask(http.MethodPost, "/v1/pipelines/"+id+"X/cancel", ""), http.StatusNotFound)
	if p := refused(t, w.ask(http.MethodDelete, "/v1/pipelines/"+id, ""), http.StatusMethodNotAllowed); p.Detail == "" {
		t.Errorf("problem %+v", p)
	}
	if allow := w.ask(http.MethodPut, "/v1/pipelines", "").Header().Get("Allow"); allow != "GET, POST" {
		t.Errorf("allow %q", allow)
	}
}

func TestAStoreThatIsAway(t *testing.T) {
	w := newWorld(t, func(w *world) { w.api.Views.View = away{} })
	p := refused(t, w.ask(http.MethodGet, "/v1/pipelines", ""), http.StatusServiceUnavailable)
	if strings.Contains(p.Detail, "10.1.2.3") {
		t.Errorf("the problem tells callers what is none of theirs: %q", p.Detail)
	}
}

// TestWakesForWhatIsAccepted: what a run will need is woken before it is
// answered, and not for what is refused.
func TestWakesForWhatIsAccepted(t *testing.T) {
	woken := 0
	w := newWorld(t, func(w *world) { w.api.Wake = func() { woken++ } })
	w.ask(http.MethodPost, "/v1/pipelines", `{"source": "jobs: 7"}`)
	if woken != 0 {
		t.Error("woken for what is refused")
	}
	w.submit(hello)
	if woken != 1 {
		t.Errorf("woken %d times", woken)
	}
}
