package api

import (
	"context"
	"net/http"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	doors "github.com/relevo-ci/relevo/shared/domain/trigger"
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
	if err := a.current(ctx, req.Trigger); err != nil {
		return nil, err
	}
	req.RetryOf, req.RunAttempt = run.ID, max(1, req.RunAttempt)+1
	id, err := a.accept(ctx, in.Key, req)
	if err != nil {
		return nil, err
	}
	links := runLinks(id)
	return &acceptedOutput{Location: links["self"], Body: client.Accepted{ID: string(id), Run: string(id), Links: links}}, nil
}

// current refuses to run again what a pull request has moved on from: whoever
// asks looks at its head as it is now, and what they approve by it is that.
func (a *API) current(ctx context.Context, t events.Trigger) error {
	if a.Doors == nil || t.Forge == "" || t.PullRequest == 0 {
		return nil
	}
	review, err := a.Doors.Review(ctx, doors.PullRef{Forge: t.Forge, Repository: t.Repository, Number: t.PullRequest})
	if err != nil {
		return a.fault(ctx, "look at the pull request", err)
	}
	if review.Head != "" && review.Head != t.SHA {
		return refuse(http.StatusConflict, "the head of pull request %d has moved on: comment /test there", t.PullRequest)
	}
	return nil
}
