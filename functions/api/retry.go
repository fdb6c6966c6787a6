package api

import (
	"context"
	"net/http"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	doors "github.com/relevo-ci/relevo/shared/domain/trigger"
)

type retryInput struct {
	RunInput
	Keyed
	Failed bool `query:"failed" doc:"Run again only the jobs that did not succeed, and those that need them. The others are carried over with their outputs."`
}

// retryPipeline runs what a run ran once more: a run of its own, since what is
// final stays final, that knows whose attempt it is.
func (a *API) retryPipeline(ctx context.Context, in *retryInput) (*acceptedOutput, error) {
	run, _, err := a.run(ctx, events.RunID(in.ID))
	if err != nil {
		return nil, err
	}
	t := run.Request().Trigger
	if run.State.Final() { // else it is refused anyhow
		if err := a.again(ctx, &t); err != nil {
			return nil, err
		}
	}
	req, err := run.Retry(t, in.Failed)
	if err != nil {
		return nil, refuse(http.StatusConflict, "%s", err)
	}
	id, err := a.accept(ctx, in.Keyed, req)
	if err != nil {
		return nil, err
	}
	if err := a.ran(ctx, id, req); err != nil {
		return nil, err
	}
	links := runLinks(id)
	return &acceptedOutput{Location: links["self"], Body: client.Accepted{ID: string(id), Run: string(id), Links: links}}, nil
}

// again asks the same table as a forge's events do what the new run may have.
// Whom this installation lets run things again (by the API's token, by a role, or
// on this machine) counts as one who may write to the repository. That approves
// nothing: of a fork's code only an approval that holds now does.
func (a *API) again(ctx context.Context, t *events.Trigger) error {
	if a.Doors == nil || t.Forge == "" {
		return nil
	}
	var review doors.Review
	if t.PullRequest > 0 {
		var err error
		if review, err = a.Doors.Review(ctx, pullOf(*t)); err != nil {
			return a.fault(ctx, "look at the pull request", err)
		}
	}
	grant := doors.Again(*t, review, doors.Actor{Login: by(ctx)}, doors.Write)
	if !grant.Start {
		return refuse(http.StatusConflict, "%s", grant.Why)
	}
	t.Untrusted = t.Untrusted || !grant.Secrets
	return nil
}

// ran notes a run for its pull request, which commands there are about.
func (a *API) ran(ctx context.Context, id events.RunID, req events.RunRequested) error {
	if a.Doors == nil || req.Trigger.Forge == "" || req.Trigger.PullRequest == 0 {
		return nil
	}
	err := a.Doors.ChangeReview(ctx, pullOf(req.Trigger), func(r *doors.Review, _ time.Time) bool {
		return r.Ran(doors.PullRun{Run: id, File: req.File, SHA: req.Trigger.SHA})
	})
	if err != nil {
		return a.fault(ctx, "note the run", err)
	}
	return nil
}

func pullOf(t events.Trigger) doors.PullRef {
	return doors.PullRef{Forge: t.Forge, Repository: t.Repository, Number: t.PullRequest}
}
