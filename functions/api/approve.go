package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/relevo-ci/relevo/events"
	awaitmatched "github.com/relevo-ci/relevo/functions/await-matched"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

type reviewInput struct {
	JobInput
	Body *client.Review `required:"false"`
}

// approveJob ends the wait of a job that awaits an approval: it has succeeded.
// Once more it answers the same.
func (a *API) approveJob(ctx context.Context, in *reviewInput) (*jobOutput, error) {
	return a.review(ctx, in, false)
}

// refuseJob ends it the other way: the job has failed.
func (a *API) refuseJob(ctx context.Context, in *reviewInput) (*jobOutput, error) {
	return a.review(ctx, in, true)
}

// review lets the function that answers await.matched decide, and publishes the
// event with what came of it. The event's id is derived: said twice, an
// answer is one; of two that differ the first counts.
func (a *API) review(ctx context.Context, in *reviewInput, refused bool) (*jobOutput, error) {
	run, job, moment, err := a.job(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if spec := run.JobSpec(job.Key); spec == nil || spec.Await == nil || !spec.Await.Approval {
		return nil, refuse(http.StatusConflict, "the job awaits no approval")
	}
	if job.Awaiting() {
		d := events.AwaitMatched{JobRef: events.JobRef{Run: run.ID, Job: job.Key}, By: by(ctx), Refused: refused}
		if in.Body != nil {
			d.Reason = strings.TrimSpace(in.Body.Reason)
		}
		e, err := events.New(events.DeriveID("await.matched", job.Asked, string(answered(refused))), "/relevo/"+name, job.Asked, moment.Now, d)
		if err != nil {
			return nil, a.fault(ctx, "answer the job", err)
		}
		emitted, err := awaitmatched.New(a.Runs, nil).Handle(ctx, run.Traced(e))
		if err != nil {
			return nil, a.fault(ctx, "answer the job", err)
		}
		a.publish(ctx, append([]events.Envelope{run.Traced(e)}, emitted...))
		if run, job, _, err = a.job(ctx, in.ID); err != nil {
			return nil, err
		}
	}
	switch want := answered(refused); {
	case job.State == pipeline.Waiting:
		return nil, refuse(http.StatusConflict, "the job does not wait yet: what it needs is not done")
	case job.State != want, refused && job.Verdict != events.Failed:
		return nil, refuse(http.StatusConflict, "the job is over: %s", job.State)
	}
	return &jobOutput{Body: jobView(run, job)}, nil
}

func answered(refused bool) pipeline.JobState {
	if refused {
		return pipeline.Failed
	}
	return pipeline.Succeeded
}
