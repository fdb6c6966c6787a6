package api_test

import (
	"net/http"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
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
