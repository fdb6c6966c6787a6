package api

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/workflow"
)

// dispatch is the trigger of a run that somebody asks for.
const dispatch = "workflow_dispatch"

// trigger is what started a run, and the inputs that came with it: nil where
// the trigger has none.
func trigger(t *client.Trigger) (events.Trigger, map[string]any, error) {
	if t == nil {
		t = &client.Trigger{}
	}
	out := events.Trigger{
		Event: t.Event, Actor: t.Actor, Repository: t.Repository, Ref: t.Ref, SHA: t.SHA, Payload: t.Payload,
	}
	if out.Event == "" {
		out.Event = dispatch
	}
	payload := map[string]json.RawMessage{}
	if len(t.Payload) > 0 {
		if json.Unmarshal(t.Payload, &payload) != nil || payload == nil {
			return out, nil, located("body.trigger.payload", "the payload must be an object")
		}
	}
	if out.Event != dispatch {
		if t.Inputs != nil {
			return out, nil, located("body.trigger.inputs", "only "+dispatch+" has inputs, not "+out.Event)
		}
		return out, nil, nil
	}
	inputs := t.Inputs
	if raw, ok := payload["inputs"]; ok && inputs == nil {
		if json.Unmarshal(raw, &inputs) != nil {
			return out, nil, located("body.trigger.payload.inputs", "the inputs must be an object")
		}
	}
	if inputs == nil {
		inputs = map[string]any{} // a run is being started: what is required is required
	}
	return out, inputs, nil
}

// settle puts the inputs as the front end settled them, defaults and types,
// where expressions look for them.
func settle(t *events.Trigger, spec *pipeline.Spec) error {
	if t.Event != dispatch || len(spec.Inputs) == 0 {
		return nil
	}
	payload := map[string]any{}
	if len(t.Payload) > 0 {
		d := json.NewDecoder(bytes.NewReader(t.Payload))
		d.UseNumber()
		if err := d.Decode(&payload); err != nil {
			return err
		}
	}
	payload["inputs"] = spec.Inputs
	raw, err := json.Marshal(payload)
	t.Payload = raw
	return err
}

// located refuses one part of a request.
func located(where, message string) *problem {
	p := refuse(http.StatusUnprocessableEntity, "the request is wrong")
	p.Errors = []client.Detail{{Location: where, Message: message}}
	return p
}

// wrong refuses a pipeline with everything that is wrong with it. Where places
// an error; nil: file:line:column.
func wrong(what string, errs workflow.Errors, where func(workflow.Error) string) *problem {
	p := refuse(http.StatusUnprocessableEntity, "%s is wrong", what)
	p.Type = client.ProblemPipeline
	for _, e := range errs {
		d := client.Detail{Message: e.Message, Hint: e.Hint}
		if where != nil {
			d.Location = where(e)
		} else {
			d.File, d.Line, d.Column = e.File, e.Line, e.Column
			d.Location = position(e)
		}
		p.Errors = append(p.Errors, d)
	}
	return p
}
