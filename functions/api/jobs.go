package api

import (
	"context"
	"net/http"
	"time"

	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/workflow"
)

type submitJobInput struct {
	Keyed
	Body client.JobSubmission
}

// submitJob takes a single job: the front end reads it as the only one of a
// pipeline, so that the same checks hold.
func (a *API) submitJob(ctx context.Context, in *submitJobInput) (*acceptedOutput, error) {
	started, inputs, err := trigger(in.Body.Trigger)
	if err != nil {
		return nil, err
	}
	if len(inputs) > 0 {
		return nil, located("body.trigger.inputs", "a single job declares no inputs")
	}
	if in.Body.Run != "" && len(in.Body.Steps) > 0 {
		return nil, located("body.run", "run stands for a single step: give it or steps")
	}
	source, places, err := inline(in.Body)
	if err != nil {
		return nil, located("body", "the job is no JSON that can be read")
	}
	spec, errs := workflow.Parse(inlineFile, source, workflow.Options{})
	if len(errs) > 0 {
		return nil, wrong("the job", errs, places.of)
	}
	spec.File, spec.Name = "", inlineKey
	if in.Body.Name != "" {
		spec.Name = in.Body.Name
	}
	run, err := a.acceptSpec(ctx, in.Keyed, in.Body.Project, started, spec, "")
	if err != nil {
		return nil, err
	}
	links := jobLinks(run, inlineKey)
	return &acceptedOutput{
		Location: links["self"],
		Body:     client.Accepted{ID: jobID(run, inlineKey), Run: string(run), Links: links},
	}, nil
}

// JobInput names a job.
type JobInput struct {
	ID string `path:"id" doc:"The job: its run and its key, with a dot between."`
}

type jobOutput struct {
	Body client.Job
}

func (a *API) showJob(ctx context.Context, in *JobInput) (*jobOutput, error) {
	run, job, _, err := a.job(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := &jobOutput{Body: jobView(run, job)}
	within, cancel := context.WithTimeout(ctx, summariesWithin)
	defer cancel()
	if out.Body.Summaries, err = a.summaries(within, run, job); err != nil {
		a.Log.Warn("api: read the steps' summaries", "job", in.ID, "error", err)
	}
	return out, nil
}

// summariesWithin is how long a job waits to be shown for its summaries, which are
// with the logs: while those cannot be had, as while their bucket is away, all
// else of the job can.
const summariesWithin = 2 * time.Second

// summaries are those of the last attempt's steps.
func (a *API) summaries(ctx context.Context, run *pipeline.Run, job *pipeline.Job) (map[string]string, error) {
	if len(job.Attempts) == 0 {
		return nil, nil
	}
	ref, err := attemptOf(run, job, 0)
	if err != nil {
		return nil, err
	}
	return logs.Summaries(ctx, a.Logs, ref)
}

// ranJob loads a job for its log: of one that was carried over, that which ran.
func (a *API) ranJob(ctx context.Context, id string) (*pipeline.Run, *pipeline.Job, error) {
	run, job, _, err := a.job(ctx, id)
	if err != nil || job.Carried == nil {
		return run, job, err
	}
	of := job.Carried.Run
	if run, job, _, err = a.job(ctx, jobID(of, job.Key)); err != nil && a.fault(ctx, "look at the run", err).Status == http.StatusNotFound {
		err = refuse(http.StatusNotFound, "it ran in run %s, which is not kept any more", of)
	}
	return run, job, err
}

// job loads a job and its run for looking.
func (a *API) job(ctx context.Context, id string) (*pipeline.Run, *pipeline.Job, protocol.Moment, error) {
	none := refuse(http.StatusNotFound, "there is no such job")
	of, key, ok := parseJobID(id)
	if !ok {
		return nil, nil, protocol.Moment{}, none
	}
	run, moment, err := a.run(ctx, of)
	if err != nil {
		return nil, nil, moment, err
	}
	job := run.Job(key)
	if job == nil {
		return nil, nil, moment, none
	}
	return run, job, moment, nil
}
