package api

import (
	"cmp"
	"context"
	"net/http"

	"github.com/relevo-ci/relevo/events"
	cancelrequested "github.com/relevo-ci/relevo/functions/cancel-requested"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/protocol"
)

type cancelPipelineInput struct {
	RunInput
	Body *client.Cancellation `required:"false"`
}

// cancelPipeline cancels a run: after the answer no success of it counts.
func (a *API) cancelPipeline(ctx context.Context, in *cancelPipelineInput) (*runOutput, error) {
	run, moment, err := a.run(ctx, events.RunID(in.ID))
	if err != nil {
		return nil, err
	}
	if run.Cancelled == "" {
		if err := a.cancel(ctx, run, moment, events.CancelRequested{RunRef: events.RunRef{Run: run.ID}}, in.Body); err != nil {
			return nil, err
		}
		if run, _, err = a.run(ctx, run.ID); err != nil {
			return nil, err
		}
	}
	if run.State.Final() && run.State != pipeline.RunCancelled {
		return nil, refuse(http.StatusConflict, "the run is over: %s", run.State)
	}
	return &runOutput{Body: runView(run)}, nil
}

type cancelJobInput struct {
	JobInput
	Body *client.Cancellation `required:"false"`
}

// cancelJob cancels a job, as cancelPipeline does a run.
func (a *API) cancelJob(ctx context.Context, in *cancelJobInput) (*jobOutput, error) {
	run, job, moment, err := a.job(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if !job.State.Final() {
		d := events.CancelRequested{RunRef: events.RunRef{Run: run.ID}, Job: job.Key}
		if err := a.cancel(ctx, run, moment, d, in.Body); err != nil {
			return nil, err
		}
		if run, job, _, err = a.job(ctx, in.ID); err != nil {
			return nil, err
		}
	}
	if job.State != pipeline.Cancelled {
		return nil, refuse(http.StatusConflict, "the job is over: %s", job.State)
	}
	return &jobOutput{Body: jobView(run, job)}, nil
}

// cancel lets the function that answers cancel.requested decide, and publishes
// the event with what came of it. The event's id is derived: one cancel of a
// run, or of a job, is all that there can be. It follows from what asked for the
// run.
func (a *API) cancel(ctx context.Context, run *pipeline.Run, moment protocol.Moment, d events.CancelRequested, why *client.Cancellation) error {
	d.By, d.Reason = by(ctx), "cancelled on request"
	if why != nil {
		d.Reason = cmp.Or(why.Reason, d.Reason)
	}
	id := events.DeriveID("cancel.requested", string(d.Run), string(d.Job))
	e, err := events.New(id, "/relevo/"+name, run.Asked, moment.Now, d)
	if err != nil {
		return a.fault(ctx, "cancel", err)
	}
	emitted, err := cancelrequested.New(a.Runs).Handle(ctx, run.Traced(e))
	if err != nil {
		return a.fault(ctx, "cancel", err)
	}
	a.publish(ctx, append([]events.Envelope{run.Traced(e)}, emitted...))
	return nil
}
