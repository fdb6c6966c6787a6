// Package runcompleted answers all that a forge may want to hear of a run, from
// its request to its end: it notes the state in the report of the run's commit
// and asks to tell the forge. A run that no forge started it passes over.
package runcompleted

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

const name = "run-completed"

// New makes the function. Public is the address that links begin with; without
// one there are none. Older news than what is known change nothing.
func New(front *state.Front, runs *state.Runs, public string) fn.Function {
	return fn.Function{
		Name: name, Context: events.Triggers, On: events.TypeRunCompleted,
		Also: []events.Type{events.TypeRunRequested, events.TypeRunStarted, events.TypeRunFailed, events.TypeRunCancelled},
		Doc:  "keeps what is known of a commit's runs, for its forge",
		Handle: func(ctx context.Context, e events.Envelope) ([]events.Envelope, error) {
			ref, status, err := read(e)
			if err != nil {
				return nil, err
			}
			run, _, err := runs.Load(ctx, ref.Run)
			if errors.Is(err, state.ErrNoRun) {
				return nil, nil // it is over for a week
			}
			if err != nil {
				return nil, err
			}
			req := run.Request()
			if t := req.Trigger; t.Forge == "" || t.SHA == "" || t.Repository == "" {
				return nil, nil
			}
			status.Run, status.Context = ref.Run, cmp.Or(req.Trigger.Context, trigger.Context(req.Pipeline, req.Trigger.PullRequest > 0))
			if public != "" {
				status.Link = strings.TrimSuffix(public, "/") + "/v1/pipelines/" + string(ref.Run)
			}
			res, err := front.Learn(ctx, name, e, events.ReportRef{
				Forge: req.Trigger.Forge, Repository: req.Trigger.Repository, SHA: req.Trigger.SHA,
			}, trigger.News{Status: status, Requested: run.Requested, Epoch: e.Epoch, Sequence: e.Sequence})
			if fn.KindOf(err) == fn.Stale {
				return nil, nil // of an epoch that is over: what stands is told again
			}
			return res.Emitted, err
		},
	}
}

// read gives the run that an event is of, and what is to be said of it.
func read(e events.Envelope) (events.RunRef, trigger.Status, error) {
	switch e.Type {
	case events.TypeRunCompleted:
		ev, err := events.Decode[events.RunCompleted](e)
		return ev.Data.RunRef, ended(events.Succeeded, ""), err
	case events.TypeRunFailed:
		ev, err := events.Decode[events.RunFailed](e)
		return ev.Data.RunRef, ended(ev.Data.Verdict, ev.Data.Reason), err
	case events.TypeRunCancelled:
		ev, err := events.Decode[events.RunCancelled](e)
		return ev.Data.RunRef, ended(events.Cancelled, ev.Data.Reason), err
	case events.TypeRunStarted:
		ev, err := events.Decode[events.RunStarted](e)
		return ev.Data.RunRef, trigger.Status{State: trigger.Pending, Running: true, Description: "is running"}, err
	}
	ev, err := events.Decode[events.RunRequested](e)
	return ev.Data.RunRef, trigger.Status{State: trigger.Pending, Description: "is queued"}, err
}

func ended(v events.Verdict, reason string) trigger.Status {
	state, description := trigger.EndOf(v, reason)
	return trigger.Status{State: state, Description: description, Verdict: v}
}
