package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/access"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/workflow"
)

type submitPipelineInput struct {
	Keyed
	Body client.Submission
}

type acceptedOutput struct {
	Location string `header:"Location"`
	Body     client.Accepted
}

// submitPipeline takes a pipeline file and answers once its run stands in the
// ledger.
func (a *API) submitPipeline(ctx context.Context, in *submitPipelineInput) (*acceptedOutput, error) {
	started, inputs, err := trigger(in.Body.Trigger)
	if err != nil {
		return nil, err
	}
	file := cmp.Or(in.Body.File, "pipeline.yaml")
	spec, errs := workflow.Parse(file, []byte(in.Body.Source), workflow.Options{Inputs: inputs})
	if len(errs) > 0 {
		return nil, wrong("the pipeline", errs, nil)
	}
	id, err := a.acceptSpec(ctx, in.Keyed, in.Body.Project, started, spec, in.Body.Source)
	if err != nil {
		return nil, err
	}
	links := runLinks(id)
	return &acceptedOutput{
		Location: links["self"],
		Body:     client.Accepted{ID: string(id), Run: string(id), Links: links},
	}, nil
}

func (a *API) acceptSpec(ctx context.Context, in Keyed, project string, started events.Trigger, spec *pipeline.Spec, source string) (events.RunID, error) {
	askedOf(ctx).project = project
	if p := a.permit(ctx, access.Run, project); p != nil {
		return "", p
	}
	if c := callerOf(ctx); c.Via == access.BySession || c.Via == access.ByToken {
		started.Actor = c.Name // who they are, not who they say
	}
	if err := settle(&started, spec); err != nil {
		return "", fmt.Errorf("api: settle inputs: %w", err)
	}
	raw, err := json.Marshal(spec)
	if err != nil {
		return "", fmt.Errorf("api: encode job graph: %w", err)
	}
	id, err := a.accept(ctx, in, events.RunRequested{
		Pipeline: spec.Name, File: spec.File, Project: project, Trigger: started, Spec: raw,
		Source: events.Kept(source),
	})
	if err == nil {
		askedOf(ctx).target = "/v1/pipelines/" + string(id)
	}
	return id, err
}

// position gives file:line:column.
func position(e workflow.Error) string {
	return fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Column)
}

// RunInput names a run.
type RunInput struct {
	ID string `path:"id" doc:"The run, a ULID."`
}

type runOutput struct {
	Body client.Run
}

func (a *API) showPipeline(ctx context.Context, in *RunInput) (*runOutput, error) {
	run, _, err := a.run(ctx, events.RunID(in.ID))
	if err != nil {
		return nil, err
	}
	return &runOutput{Body: runView(run)}, nil
}

type submissionOutput struct {
	Body client.Submission
}

// showSubmission gives the file and the trigger of a run in the form that
// submitPipeline takes.
func (a *API) showSubmission(ctx context.Context, in *RunInput) (*submissionOutput, error) {
	run, _, err := a.run(ctx, events.RunID(in.ID))
	if err != nil {
		return nil, err
	}
	req := run.Request()
	if req.Trigger.Untrusted { // submitted by somebody who is trusted it would be, too
		return nil, refuse(http.StatusConflict, "the file of this run is from a fork that nobody approved: run again it keeps from secrets, submitted anew it would not")
	}
	if req.Source == "" {
		return nil, refuse(http.StatusNotFound, "the text of its file is not kept: it has none, or more than %d KiB", events.MostSource>>10)
	}
	t := req.Trigger
	of := &client.Trigger{Event: t.Event, Repository: t.Repository, Ref: t.Ref, SHA: t.SHA, Payload: t.Payload}
	if t.Event == dispatch {
		of.Inputs, of.Payload = run.Spec().Inputs, nil
	}
	return &submissionOutput{Body: client.Submission{File: req.File, Source: req.Source, Project: req.Project, Trigger: of}}, nil
}

// run loads a run for looking.
func (a *API) run(ctx context.Context, id events.RunID) (*pipeline.Run, protocol.Moment, error) {
	if !isRunID(string(id)) {
		return nil, protocol.Moment{}, refuse(http.StatusNotFound, "there is no such run")
	}
	run, moment, err := a.Runs.Load(ctx, id)
	if err != nil {
		return nil, moment, a.fault(ctx, "look at the run", err)
	}
	return run, moment, nil
}
