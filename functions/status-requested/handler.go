// Package statusrequested answers trigger.status.requested: it tells the forge
// what is known of a commit and was not told yet, in order, each state once. A
// forge that does not answer holds up nobody: the rest is told later.
package statusrequested

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/forge"
	"github.com/relevo-ci/relevo/shared/state"
)

const (
	name = "status-requested"
	// enough is how long one delivery tells, and most how long one state may take
	// then, which with check runs is many calls. The claim on the telling is longer
	// than both: two that tell would make two check runs of one.
	enough, most = 25 * time.Second, 25 * time.Second
)

// New makes the function.
func New(front *state.Front, runs *state.Runs, forges []forge.Forge, log *slog.Logger) fn.Function {
	if log == nil {
		log = slog.Default()
	}
	teller := teller{runs}
	return fn.On(name, events.Triggers, "tells a forge the states of a commit's runs",
		func(ctx context.Context, e events.Event[events.StatusRequested]) ([]events.Envelope, error) {
			ref := e.Data.ReportRef
			claimed, err := front.Take(ctx, e.Envelope, ref)
			if err != nil || len(claimed.Statuses) == 0 {
				return nil, err
			}
			said := teller.tell(ctx, find(forges, ref.Forge), ref, claimed.Statuses)
			for _, t := range said.tellings {
				if t.Failure != "" {
					log.Warn("status-requested: not told", "commit", ref.Subject(), "context", t.Status.Context, "never", t.Never, "error", t.Failure)
				}
			}
			// What the forge took is noted though whoever asked is gone by now.
			after, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			res, err := front.Told(after, e.Envelope, ref, claimed.Claim, said.tellings, said.after)
			return res.Emitted, err
		})
}

func find(forges []forge.Forge, name string) forge.Forge {
	for _, f := range forges {
		if f.Name() == name {
			return f
		}
	}
	return nil
}

// said is what came of telling.
type said struct {
	tellings []trigger.Telling
	after    time.Duration // as the forge asked
}

// teller knows what the steps of runs said.
type teller struct{ runs *state.Runs }

// tell stops at the first state that the forge does not take now: a later one
// must not come before it.
func (w teller) tell(ctx context.Context, f forge.Forge, ref events.ReportRef, statuses []trigger.Status) said {
	var out said
	begun := time.Now()
	for _, s := range statuses {
		if time.Since(begun) > enough {
			break
		}
		t := trigger.Telling{Status: s}
		if f == nil {
			t.Failure, t.Never = "no forge "+ref.Forge+" is served", true
			out.tellings = append(out.tellings, t)
			continue
		}
		t.Checks = f.Checks()
		err := w.one(ctx, f, ref, s)
		var later *forge.Later
		errors.As(err, &later)
		if err != nil {
			t.Failure, t.Never = err.Error(), later == nil && ctx.Err() == nil && !passing(err)
		}
		out.tellings = append(out.tellings, t)
		if err != nil && !t.Never {
			if later != nil {
				out.after = later.After
			}
			break
		}
	}
	return out
}

// errStore: what the steps said is not known just now.
var errStore = errors.New("statusrequested: the run cannot be read")

// passing errors are no answer of the forge's.
func passing(err error) bool {
	return errors.Is(err, errStore) || errors.Is(err, context.DeadlineExceeded)
}

// one tells one state, in bounded time: what of a check run's annotations did not
// go goes the next time. A forge with check runs is told with an end what the steps
// pointed at, too.
func (w teller) one(ctx context.Context, f forge.Forge, ref events.ReportRef, s trigger.Status) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	if f.Checks() && s.State.Final() && s.Verdict != "" {
		run, _, err := w.runs.Load(ctx, s.Run)
		switch {
		case errors.Is(err, state.ErrNoRun): // it is over for a week
		case err != nil:
			return fmt.Errorf("%w: %w", errStore, err)
		default:
			s.Annotations = append(slices.Clip(s.Annotations), annotations(run)...)
		}
	}
	return f.Tell(ctx, ref.Repository, ref.SHA, s)
}
