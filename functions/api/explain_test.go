package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/execution"
)

// explain asks why the run stands where it stands.
func (w *world) explain(id string) client.Explanation {
	w.t.Helper()
	return decode[client.Explanation](w.t, w.ask(http.MethodGet, "/v1/pipelines/"+id+"/explain", ""), http.StatusOK)
}

// says holds the words for a job against what they must hold.
func says(t *testing.T, e client.Explanation, key events.JobKey, parts ...string) client.JobExplanation {
	t.Helper()
	for _, j := range e.Jobs {
		if j.Key != key {
			continue
		}
		for _, p := range parts {
			if !strings.Contains(j.Says, p) {
				t.Errorf("%s (%s): %q does not say %q", key, j.State, j.Says, p)
			}
		}
		return j
	}
	t.Fatalf("no job %s in %+v", key, e)
	return client.JobExplanation{}
}

const chain = `
jobs:
  build: {resources: {cpu: 4}, retry: {max: 1, backoff: 10s}, steps: [{run: x}]}
  test: {needs: build, steps: [{run: x}]}
`

// TestExplainTheWayOfAJob goes with a job from its queue to its end.
func TestExplainTheWayOfAJob(t *testing.T) {
	w := newWorld(t)
	w.now = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	id := w.submit(submission(chain))
	e := w.explain(id)
	if e.Run != id || e.State != "RUNNING" || e.Says != "jobs: 2 waiting" {
		t.Errorf("run %+v", e)
	}
	build := says(t, e, "build", "waits in pool linux at place 1 of 1", "no node")
	if build.Position != 1 || build.Waiting != 1 || build.Pool != "linux" || build.Retries.User != 1 || build.Retries.Infra != 2 {
		t.Errorf("build %+v", build)
	}
	if test := says(t, e, "test", "needs build (pending)"); test.State != "WAITING" || len(test.Needs) != 1 {
		t.Errorf("test %+v", test)
	}

	w.node("n1", 4)
	says(t, w.explain(id), "build", "node n1 of pool linux", "launched by fake", "must report by 12:05:00 UTC, in 5m")
	w.report(0, execution.Hello, "", nil)
	if b := says(t, w.explain(id), "build", "runs on node n1", "since 12:00:00", "times out at 18:00:00 UTC, in 6h"); b.Until.IsZero() {
		t.Errorf("build %+v", b)
	}
	other := w.submit(submission(chain))
	says(t, w.explain(other), "build", "at place 1 of 1", "node n1 has 0 of 4 cores free, the job asks for 4")

	w.report(0, execution.End, "", &execution.Ending{Verdict: events.Failed, Reason: "exit 2"})
	b := says(t, w.explain(id), "build", "attempt 1 failed: exit 2", "next attempt is asked for at 12:00:10 UTC, in 10s")
	if b.State != "PENDING" || b.Retries.User != 0 || !b.Until.Equal(w.now.Add(10*time.Second)) {
		t.Errorf("build %+v", b)
	}
	if len(b.Before) != 0 { // it is what build says
		t.Errorf("before %q", b.Before)
	}
	w.ask(http.MethodPost, "/v1/pipelines/"+id+"/cancel", `{"reason": "enough"}`)
	e = w.explain(id)
	says(t, e, "build", "was cancelled: enough")
	if e.Says != "was cancelled: enough" || e.Jobs[0].Retries != nil {
		t.Errorf("run %+v", e)
	}
}

func TestExplainEnds(t *testing.T) {
	w := newWorld(t)
	w.node("n1", 4)
	id := w.submit(submission(`
jobs:
  good: {steps: [{run: x}]}
  bad: {steps: [{run: x}]}
  after: {needs: bad, steps: [{run: x}]}
`))
	w.finish(0, "")
	w.report(1, execution.Hello, "", nil)
	w.report(1, execution.End, "", &execution.Ending{Verdict: events.Timeout, Reason: "ran too long"})
	e := w.explain(id)
	says(t, e, "good", "succeeded")
	says(t, e, "bad", "timed out: ran too long")
	says(t, e, "after", "was skipped: needs bad")
	if e.State != "FAILED" || !strings.Contains(e.Says, "timed out: bad: ran too long") {
		t.Errorf("run %+v", e)
	}
}

func TestExplainGroups(t *testing.T) {
	w := newWorld(t)
	const source = "concurrency: deploy\njobs:\n  a: {concurrency: db, steps: [{run: x}]}\n"
	holder, waiter := w.submit(submission(source)), w.submit(submission(source))
	e := w.explain(waiter)
	if e.State != "REQUESTED" || e.Says != "waits for the concurrency group deploy, which run "+holder+" holds" {
		t.Errorf("run %+v", e)
	}
	says(t, e, "a", "waits for the run to start")
	says(t, w.explain(holder), "a", "waits in pool linux")

	other := w.submit(submission("jobs:\n  b: {concurrency: db, steps: [{run: x}]}\n"))
	says(t, w.explain(other), "b", "waits for the concurrency group db, which job "+holder+".a holds")
}

func TestExplainMatrix(t *testing.T) {
	w := newWorld(t)
	id := w.submit(submission("jobs:\n  m: {strategy: {max-parallel: 1, matrix: {v: [1, 2]}}, steps: [{run: x}]}\n"))
	says(t, w.explain(id), "m.1", "fewer than 1 jobs of its matrix")
}

// Before the broker brought it anywhere a job is on its way.
func TestExplainWithoutABroker(t *testing.T) {
	w := newWorld(t)
	w.cut = true
	id := w.submit(hello)
	if e := w.explain(id); e.Says != "was accepted and is about to start" {
		t.Errorf("run %+v", e)
	}
	w = newWorld(t)
	w.node("n1", 1)
	w.lost = events.TypeOfferCreated
	says(t, w.explain(w.submit(hello)), "build", "is on its way to pool linux")
	w.lost = events.TypeAssignmentCreated
	says(t, w.explain(w.submit(hello)), "build", "was given node n1 of pool linux")
}

func TestExplainPreparing(t *testing.T) {
	w := newWorld(t)
	w.node("n1", 1)
	id := w.submit(hello)
	l := w.launches[0]
	e, err := events.New("preparing", "/relevo/test", "", w.time(), events.WorkerCreated{
		For: l.AttemptRef, Placement: events.Placement{Worker: l.Worker}, Preparing: "pulling golang:1.26",
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.publish(t.Context(), []events.Envelope{e}); err != nil {
		t.Fatal(err)
	}
	says(t, w.explain(id), "build", "is being prepared: pulling golang:1.26", "must report by")
}

func TestBeforeListsTheAttemptsThatWereFollowed(t *testing.T) {
	w := newWorld(t)
	w.node("n1", 4)
	id := w.submit(submission("jobs: {a: {retry: {max: 1}, steps: [{run: x}]}}\n"))
	w.report(0, execution.Hello, "", nil)
	w.report(0, execution.End, "", &execution.Ending{Verdict: events.Failed, Reason: "exit 2"})
	w.finish(1, "")
	e := w.explain(id)
	if got := e.Jobs[0].Before; len(got) != 1 || !strings.Contains(got[0], "attempt 1 failed: exit 2") {
		t.Errorf("before %q, %+v", got, e.Jobs[0])
	}
}
