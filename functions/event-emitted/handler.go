// Package eventemitted answers execution.event.emitted: it publishes the event
// that a step emitted as the user's own, under its own type. The event also comes
// in as one from outside does, so that it starts the pipelines that are on it
// and wakes the jobs that await it.
package eventemitted

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/cdevents"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

const name = "event-emitted"

// New makes the function. public is the address that people know Relevo by;
// empty: it has none. A delivery that comes twice gives the same event, and it
// comes in once. One of a stranger's code gives none.
func New(runs *state.Runs, front *state.Front, public string) fn.Function {
	return fn.On(name, events.Execution, "publishes the CloudEvents that steps emit, and takes them in",
		func(ctx context.Context, e events.Event[events.EventEmitted]) ([]events.Envelope, error) {
			// Nobody but Relevo itself speaks under its types.
			given := execution.Emitted{Index: e.Data.Index, Type: e.Data.Name, Subject: e.Data.About, Data: e.Data.Content}
			if err := given.Check(); err != nil {
				return nil, fn.Faultf(fn.Invalid, "%s: %w", name, err)
			}
			run, _, err := runs.Load(ctx, e.Data.Run)
			switch {
			case errors.Is(err, state.ErrNoRun):
				return nil, nil // it is over for a week
			case err != nil:
				return nil, err
			case run.Request().Trigger.Untrusted:
				return nil, nil // whoever hears of it could not tell
			}
			out, err := made(e, run, public)
			if err != nil {
				return nil, fn.Faultf(fn.Invalid, "%s: %w", name, err)
			}
			return takeIn(ctx, front, run, out)
		})
}

// takeIn lets the event come in, once. With it, it stands in the outbox.
func takeIn(ctx context.Context, front *state.Front, run *pipeline.Run, out events.Envelope) ([]events.Envelope, error) {
	body, err := json.Marshal(out)
	if err != nil {
		return nil, fn.Faultf(fn.Invalid, "%s: encode: %w", name, err)
	}
	got, err := front.Receive(ctx, name, trigger.Arrival{
		Source: pipeline.CloudEvent, Sender: out.Source + " " + out.ID, Event: string(out.Type),
		Run: run.ID, Hops: run.Request().Trigger.Hops + 1,
		Header: map[string]string{"traceparent": out.Traceparent, "tracestate": out.Tracestate},
	}, body, out)
	return got.Emitted, err
}

// made is the event as it is published.
func made(e events.Event[events.EventEmitted], run *pipeline.Run, public string) (events.Envelope, error) {
	out := events.Envelope{Source: "/relevo/" + e.Data.Subject(), Type: events.Type(e.Data.Name), Subject: e.Data.About, Data: e.Data.Content}
	if kind, ok := execution.FindCDEvent(e.Data.Name); ok {
		content, err := kind.Content(e.Data.Content)
		if err != nil {
			return out, err
		}
		started := cdevents.ID(cdevents.Task(e.Data.Run, e.Data.Job, e.Data.Attempt), "started")
		if out, err = (cdevents.Event{
			Source: cdevents.SourceOf(public), Subject: e.Data.About, Type: kind.Subject, Predicate: kind.Predicate, Version: kind.Version,
			Content: content, At: e.Time, Chain: cdevents.ChainOf(run.Request()), ID: events.DeriveID(name, e.ID),
			Links: []cdevents.Link{cdevents.After(cdevents.Path, started)},
		}).Write(); err != nil {
			return out, err
		}
	}
	out.ID, out.Time, out.CauseID = events.DeriveID(name, e.ID), e.Time.Truncate(time.Millisecond), e.ID
	out.RunID, out.PartitionKey = string(e.Data.Run), string(e.Data.Run)
	out.Traceparent, out.Tracestate = e.Traceparent, e.Tracestate
	return out, nil
}
