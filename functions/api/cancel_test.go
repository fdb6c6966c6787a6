package api_test

import (
	"net/http"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/execution"
)

func TestCancelPipeline(t *testing.T) {
	w := newWorld(t)
	w.node("n1", 1)
	id := w.submit(submission("jobs:\n  a: {steps: [{run: x}]}\n  b: {steps: [{run: x}]}\n"))
	w.report(0, execution.Hello, "", nil)
	run := decode[client.Run](t, w.ask(http.MethodPost, "/v1/pipelines/"+id+"/cancel", `{"reason": "wrong branch"}`), http.StatusOK)
	if run.State != "CANCELLED" || run.Reason != "wrong branch" {
		t.Errorf("run %+v", run)
	}
	for _, j := range run.Jobs {
		if j.State != "CANCELLED" {
			t.Errorf("job %+v", j)
		}
	}
	if reply := w.report(0, execution.End, "", &execution.Ending{Verdict: events.Succeeded}); reply.Cancel == "" && reply.Gone == "" {
		t.Errorf("a worker of the cancelled run is told %+v", reply)
	}
	again := decode[client.Run](t, w.ask(http.MethodPost, "/v1/pipelines/"+id+"/cancel", ""), http.StatusOK)
	if again.State != "CANCELLED" || again.Reason != "wrong branch" || again.Jobs[0].State != "CANCELLED" {
		t.Errorf("cancelled again: %+v", again)
	}
}

// TestCancelFollowsFromTheRequest: its event names what asked for the run.
func TestCancelFollowsFromTheRequest(t *testing.T) {
	w := newWorld(t)
	at, err := w.feed.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id := w.submit(hello)
	w.ask(http.MethodPost, "/v1/pipelines/"+id+"/cancel", "")
	b, err := w.feed.Next(t.Context(), at, 100)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[events.Type]events.Envelope{}
	for _, entry := range b.Entries {
		if ids[entry.Type], err = entry.Envelope(); err != nil {
			t.Fatal(err)
		}
	}
	asked, cancelled := ids[events.TypeRunRequested], ids[events.TypeCancelRequested]
	if asked.ID == "" || cancelled.CauseID != asked.ID {
		t.Errorf("cancelled by %+v, asked by %s", cancelled, asked.ID)
	}
}

// The answer comes after the commit, whatever the broker does.
func TestCancelNeedsNoBroker(t *testing.T) {
	w := newWorld(t)
	id := w.submit(hello)
	w.cut = true
	run := decode[client.Run](t, w.ask(http.MethodPost, "/v1/pipelines/"+id+"/cancel", ""), http.StatusOK)
	if run.State != "CANCELLED" || run.Reason == "" {
		t.Errorf("run %+v", run)
	}
}

func TestCancelJob(t *testing.T) {
	w := newWorld(t)
	w.node("n1", 2)
	id := w.submit(submission("jobs:\n  a: {steps: [{run: x}]}\n  b: {steps: [{run: x}]}\n"))
	job := decode[client.Job](t, w.ask(http.MethodPost, "/v1/jobs/"+id+".a/cancel", `{}`), http.StatusOK)
	if job.State != "CANCELLED" || job.Key != "a" {
		t.Errorf("job %+v", job)
	}
	decode[client.Job](t, w.ask(http.MethodPost, "/v1/jobs/"+id+".a/cancel", ""), http.StatusOK)
	if b := decode[client.Job](t, w.ask(http.MethodGet, "/v1/jobs/"+id+".b", ""), http.StatusOK); b.State != "SCHEDULED" {
		t.Errorf("the other job %+v", b)
	}
}

func TestWhatEndedIsNotCancelled(t *testing.T) {
	w := newWorld(t)
	w.node("n1", 1)
	id := w.submit(hello)
	w.finish(0, "")
	refused(t, w.ask(http.MethodPost, "/v1/pipelines/"+id+"/cancel", ""), http.StatusConflict)
	refused(t, w.ask(http.MethodPost, "/v1/jobs/"+id+".build/cancel", ""), http.StatusConflict)
	if run := decode[client.Run](t, w.ask(http.MethodGet, "/v1/pipelines/"+id, ""), http.StatusOK); run.State != "SUCCEEDED" {
		t.Errorf("run %+v", run)
	}
	refused(t, w.ask(http.MethodPost, "/v1/pipelines/"+id+"/cancel", `{"because": "x"}`), http.StatusUnprocessableEntity)
}
