// Package runrequestedcdevents is the bridge to CDEvents: it tells of runs, jobs
// and pull requests in the words that other CI/CD systems share (cdevents.dev,
// 0.4.1), and takes in what others tell in them on the same broker.
//
// What it tells of a run follows from the run's state, not from the event that
// it answers: that event only says when. So each event makes up for those that
// never came, and where none comes any more the clock asks. What was told stands
// beside in the store, and what is being told in the outbox.
package runrequestedcdevents

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/cdevents"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

const name = "run-requested-cdevents"

// also are the types that it answers besides run.requested.
var also = []events.Type{
	events.TypeRunStarted, events.TypeRunCompleted, events.TypeRunFailed, events.TypeRunCancelled,
	events.TypeJobStarted, events.TypeAwaitRequested,
	events.TypeJobCompleted, events.TypeJobFailed, events.TypeJobCancelled, events.TypeJobRetried,
	events.TypeNewsRequested, events.TypeChangeReceived,
}

// New makes the function. public is the address that links for people begin
// with; empty: there are none. What it tells has ids that are derived from what
// it is about: told twice, it is one event.
func New(runs *state.Runs, front *state.Front, public string) fn.Function {
	b := bridge{runs: runs, front: front, public: strings.TrimSuffix(public, "/"), source: cdevents.SourceOf(public)}
	return fn.Function{
		Name: name, Context: events.Pipeline, On: events.TypeRunRequested, Also: also, Under: execution.CDEventPrefix,
		Doc: "tells of runs, jobs and changes as CDEvents, and takes those of others in", Handle: b.handle,
	}
}

type bridge struct {
	runs   *state.Runs
	front  *state.Front
	public string // without a slash at its end
	source string
}

func (b bridge) handle(ctx context.Context, e events.Envelope) ([]events.Envelope, error) {
	var out []events.Envelope
	var err error
	switch {
	case strings.HasPrefix(string(e.Type), execution.CDEventPrefix):
		out, err = b.takeIn(ctx, e)
	case e.Type == events.TypeChangeReceived:
		out, err = b.tellChange(ctx, e)
	default:
		out, err = b.tellRun(ctx, e)
	}
	if err != nil && fn.KindOf(err) == fn.Stale {
		return nil, nil // what stands is told of again
	}
	return out, err
}

// tellRun tells what of a run was not told yet.
func (b bridge) tellRun(ctx context.Context, e events.Envelope) ([]events.Envelope, error) {
	id := events.RunID(e.RunID)
	run, _, err := b.runs.Load(ctx, id)
	if errors.Is(err, state.ErrNoRun) {
		return nil, b.front.ForgetNews(ctx, string(id)) // it is over for a week
	}
	if err != nil {
		return nil, err
	}
	change, err := b.changeOf(ctx, run.Request().Trigger)
	if err != nil {
		return nil, err
	}
	all, err := b.story(run, change, e)
	if err != nil {
		return nil, fn.Faultf(fn.Invalid, "%s: encode: %w", name, err)
	}
	res, err := b.front.Tell(ctx, name, e, string(id), id, run.State.Final(), all)
	return res.Emitted, err
}

// takeIn takes the CDEvent of another system in, as one that it sends itself.
func (b bridge) takeIn(ctx context.Context, e events.Envelope) ([]events.Envelope, error) {
	if e.Source == b.source {
		return nil, nil
	}
	body, err := json.Marshal(e)
	if err != nil {
		return nil, fn.Faultf(fn.Invalid, "%s: encode: %w", name, err)
	}
	got, err := b.front.Receive(ctx, name, trigger.Arrival{
		Source: pipeline.CloudEvent, Sender: e.Source + " " + e.ID, Event: string(e.Type), Actor: "broker",
	}, body)
	return got.Emitted, err
}
