package api

import (
	"context"
	"net/http"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
)

type retryInput struct {
	RunInput
	Keyed
}

// retryPipeline runs what a run ran once more: a run of its own, since what is
// final stays final, that knows whose attempt it is.
func (a *API) retryPipeline(ctx context.Context, in *retryInput) (*acceptedOutput, error) {
	run, _, err := a.run(ctx, events.RunID(in.ID))
	if err != nil {
		return nil, err
	}
	if !run.State.Final() {
		return nil, refuse(http.StatusConflict, "the run is not over: it is %s", run.State)
	}
	req := run.Request()
	req.RetryOf, req.RunAttempt = run.ID, max(1, req.RunAttempt)+1
	id, err := a.accept(ctx, in.Key, req)
	if err != nil {
		return nil, err
	}
	links := runLinks(id)
	return &acceptedOutput{Location: links["self"], Body: client.Accepted{ID: string(id), Run: string(id), Links: links}}, nil
}
