package state

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// dated is a schedule and which commit of the default branch it is of.
type dated struct {
	trigger.Schedule
	// AsOf is when the push came in whose files it is of.
	AsOf time.Time `json:"asOf"`
}

func schedulePlace(forge, repository string) place {
	subject := (&trigger.Schedule{Forge: forge, Repository: repository}).Subject()
	return place{repositoryPartition(forge, repository), subject}
}

var errNoNext = errors.New("state: schedules are not served here")

func (s *Front) next(cron, zone string, after time.Time) (time.Time, error) {
	if s.Next == nil {
		return time.Time{}, errNoNext
	}
	return s.Next(cron, zone, after)
}

// SetTimers replaces the schedule of a repository by what a push as of that
// time says. A push that is older than the one it stands for changes nothing.
func (s *Front) SetTimers(ctx context.Context, forge, repository string, asOf time.Time, timers []trigger.Timer) error {
	_, err := apply(ctx, s, change[dated]{
		at: schedulePlace(forge, repository), function: "delivery-received",
		decide: func(f found[dated], em *events.Emitter) (bool, error) {
			if asOf.Before(f.value.AsOf) || !f.there() && len(timers) == 0 {
				return false, nil
			}
			f.value.Forge, f.value.Repository, f.value.AsOf = forge, repository, asOf
			f.value.Set(timers, em.Now, s.next)
			return true, nil
		},
		due: func(v *dated, _ time.Time) time.Time { return v.Due() },
	})
	return err
}

// Schedule reads the schedule of a repository; an empty one where there is none.
func (s *Front) Schedule(ctx context.Context, forge, repository string) (trigger.Schedule, error) {
	f, err := read[dated](ctx, s, schedulePlace(forge, repository))
	if err != nil {
		return trigger.Schedule{}, err
	}
	return f.value.Schedule, nil
}

// fireSchedule turns the ticks that are due into deliveries, and then moves the
// schedule on. A tick has its own id: where the second part fails, the first
// changes nothing the next time.
func (s *Front) fireSchedule(ctx context.Context, at place) (Result, error) {
	f, err := read[dated](ctx, s, at)
	if err != nil {
		return Result{}, err
	}
	if !f.there() {
		return Result{}, s.clearDue(ctx, at)
	}
	asOf := f.doc.Version
	var res Result
	for _, t := range f.value.Fire(f.moment.Now, cmp.Or(s.Grace, 5*time.Minute), s.next) {
		body, err := json.Marshal(t)
		if err != nil {
			return res, fmt.Errorf("state: encode tick: %w", err)
		}
		got, err := s.Receive(ctx, "clock-ticked", trigger.Arrival{
			Source: "schedule", Sender: t.Sender(), Event: "schedule", Action: t.Cron, Repository: t.Repository,
		}, body)
		if err != nil {
			return res, err
		}
		res.Emitted = append(res.Emitted, got.Emitted...)
	}
	moved := f.value
	_, err = apply(ctx, s, change[dated]{
		at: at, function: "clock-ticked",
		decide: func(g found[dated], _ *events.Emitter) (bool, error) {
			*g.value = *moved
			return g.doc.Version == asOf, nil // else it was set anew, or another fired: the due entry tells
		},
		due: func(v *dated, _ time.Time) time.Time { return v.Due() },
	})
	return res, err
}
