package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/protocol"
)

func TestRetryIsARunOfItsOwn(t *testing.T) {
	w := newWorld(t)
	w.node("n1", 1)
	id := w.submit(submission("jobs: {a: {steps: [{run: make}]}}\n"))
	refused(t, w.ask(http.MethodPost, "/v1/pipelines/"+id+"/retry", ""), http.StatusConflict)
	w.finish(0, "made\n")
	first := decode[client.Accepted](t, w.ask(http.MethodPost, "/v1/pipelines/"+id+"/retry", "", "Idempotency-Key", "again"), http.StatusCreated)
	twice := decode[client.Accepted](t, w.ask(http.MethodPost, "/v1/pipelines/"+id+"/retry", "", "Idempotency-Key", "again"), http.StatusCreated)
	if first.Run == id || twice.Run != first.Run {
		t.Errorf("retried %s as %s and %s", id, first.Run, twice.Run)
	}
	run, _, err := w.runs.Load(t.Context(), events.RunID(first.Run))
	if err != nil {
		t.Fatal(err)
	}
	if req := run.Request(); string(req.RetryOf) != id || req.RunAttempt != 2 || len(run.Jobs) != 1 {
		t.Errorf("request %+v", req)
	}
	refused(t, w.ask(http.MethodPost, "/v1/pipelines/01JD3ZT4Q8N6W1YV5K7E9RBXHM/retry", ""), http.StatusNotFound)
}

// fail ends the i-th worker's attempt badly.
func (w *world) fail(i int, log string) {
	w.t.Helper()
	w.report(i, execution.Hello, log, nil)
	w.report(i, execution.End, "", &execution.Ending{Verdict: events.Failed, Reason: "exited with 1", LogBytes: int64(len(log))})
}

// put ends the i-th worker's attempt well, with an output.
func (w *world) put(i int, log, name, value string) {
	w.t.Helper()
	w.report(i, execution.Hello, log, nil)
	w.report(i, execution.End, "", &execution.Ending{
		Verdict: events.Succeeded, LogBytes: int64(len(log)), Outputs: map[string]string{name: value},
	})
}

const shop = `jobs:
  build: {outputs: {v: "${{ steps.x.outputs.v }}"}, steps: [{id: x, run: make}]}
  test: {needs: build, name: "Test ${{ needs.build.outputs.v }}", steps: [{run: test}]}
  ship: {needs: [build, test], steps: [{run: ship}]}
`

// TestRetryOnlyWhatFailed: what succeeded is carried over into a run of its own,
// where nothing asks for a worker for it.
func TestRetryOnlyWhatFailed(t *testing.T) {
	w := newWorld(t)
	w.node("n1", 2)
	id := w.submit(submission(shop))
	again := func(run, key, failed string) *httptest.ResponseRecorder {
		return w.ask(http.MethodPost, "/v1/pipelines/"+run+"/retry"+failed, "", "Idempotency-Key", key)
	}
	if p := refused(t, again(id, "k0", "?failed=true"), http.StatusConflict); !strings.Contains(p.Detail, "not over: it is RUNNING") {
		t.Errorf("while it runs: %+v", p)
	}
	w.put(0, "built\n", "v", "1.2")
	w.fail(1, "no good\n")
	second := decode[client.Accepted](t, again(id, "k1", "?failed=true"), http.StatusCreated).Run
	if twice := decode[client.Accepted](t, again(id, "k1", "?failed=true"), http.StatusCreated).Run; twice != second {
		t.Errorf("the same key: %s and %s", second, twice)
	}
	refused(t, again(id, "k1", ""), http.StatusUnprocessableEntity)
	w.fail(2, "still no good\n")
	third := decode[client.Accepted](t, again(second, "k2", "?failed=true"), http.StatusCreated).Run
	w.finish(3, "good\n")
	w.finish(4, "shipped\n")
	run := decode[client.Run](t, w.ask(http.MethodGet, "/v1/pipelines/"+third, ""), http.StatusOK)
	build, test := run.Jobs[0], run.Jobs[1]
	if run.State != "SUCCEEDED" || run.RetryOf != second || run.Attempt != 3 || len(w.launches) != 5 {
		t.Errorf("it is %s, attempt %d of %s, after %d workers", run.State, run.Attempt, run.RetryOf, len(w.launches))
	}
	if build.CarriedFrom != id+".build" || build.State != "SUCCEEDED" || len(build.Attempts) != 0 || build.Outputs["v"] != "1.2" {
		t.Errorf("carried over: %+v", build)
	}
	if test.CarriedFrom != "" || test.Name != "Test 1.2" || len(test.Attempts) != 1 {
		t.Errorf("run again: %+v", test)
	}
	w.tellsOfCarried(id, third)
	if p := refused(t, again(third, "k3", "?failed=true"), http.StatusConflict); !strings.Contains(p.Detail, "nothing of the run failed") {
		t.Errorf("of what succeeded: %+v", p)
	}
	all := decode[client.Accepted](t, again(third, "k3", ""), http.StatusCreated).Run
	if run := decode[client.Run](t, w.ask(http.MethodGet, "/v1/pipelines/"+all, ""), http.StatusOK); run.Jobs[0].State == "SUCCEEDED" {
		t.Error("all of it was asked for, and a job was carried over")
	}
}

// tellsOfCarried looks at what is told of the job build in other places: of a run
// that it was carried over to from another.
func (w *world) tellsOfCarried(from, to string) {
	w.t.Helper()
	why := decode[client.Explanation](w.t, w.ask(http.MethodGet, "/v1/pipelines/"+to+"/explain", ""), http.StatusOK)
	if says := why.Jobs[0].Says; says != "did not run again: it is carried over from run "+from {
		w.t.Errorf("it says %q", says)
	}
	if log := w.ask(http.MethodGet, "/v1/jobs/"+to+".build/logs", ""); log.Body.String() != "built\n" {
		w.t.Errorf("its log: %d %s", log.Code, log.Body)
	}
	index := decode[client.LogIndex](w.t, w.ask(http.MethodGet, "/v1/jobs/"+to+".build/logs/index", ""), http.StatusOK)
	if index.Lines != 1 || index.Attempt != 1 {
		w.t.Errorf("the index of its log: %+v", index)
	}
	list := decode[client.JobList](w.t, w.ask(http.MethodGet, "/v1/jobs?state=SUCCEEDED", ""), http.StatusOK)
	carried := map[string]string{}
	for _, j := range list.Jobs {
		carried[j.ID] = j.CarriedFrom
	}
	for id, want := range map[string]string{from + ".build": "", to + ".build": from + ".build", to + ".ship": ""} {
		if got, ok := carried[id]; !ok || got != want {
			w.t.Errorf("%s is listed as carried over from %q", id, got)
		}
	}
	m := decode[client.Metrics](w.t, w.ask(http.MethodGet, "/v1/metrics", ""), http.StatusOK)
	if v := m.Recent.Verdicts; v[events.Succeeded] != 3 || v[events.Failed] != 2 {
		w.t.Errorf("of the jobs that ended: %v", v)
	}
}

// TestTheLogOfACarriedJobGoesWithItsRun: its place says that it was there.
func TestTheLogOfACarriedJobGoesWithItsRun(t *testing.T) {
	w := newWorld(t)
	w.now = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	w.node("n1", 2)
	id := w.submit(submission("jobs: {a: {steps: [{run: make}]}, b: {steps: [{run: test}]}}\n"))
	w.finish(0, "made\n")
	w.fail(1, "no\n")
	w.now = w.now.Add(time.Hour)
	next := decode[client.Accepted](t, w.ask(http.MethodPost, "/v1/pipelines/"+id+"/retry?failed=true", ""), http.StatusCreated).Run
	gone, err := w.runs.Retire(t.Context(), protocol.PartitionOf(events.RunID(id)), w.now.Add(-time.Minute), nil)
	if err != nil || len(gone) != 1 {
		t.Fatalf("retired %v, %v", gone, err)
	}
	if p := refused(t, w.ask(http.MethodGet, "/v1/jobs/"+next+".a/logs", ""), http.StatusNotFound); !strings.Contains(p.Detail, "ran in run "+id+", which is not kept") {
		t.Errorf("it says %s", p.Detail)
	}
}
