package trigger

import (
	"strconv"
	"time"
)

// Schedule is what a repository's default branch wants to run by the clock.
type Schedule struct {
	Forge      string  `json:"forge"`
	Repository string  `json:"repository"`
	Timers     []Timer `json:"timers,omitempty"`
}

// Subject is schedule/<forge>/<repository>.
func (s *Schedule) Subject() string { return "schedule/" + s.Forge + "/" + s.Repository }

// Timer is one cron expression of a pipeline file.
type Timer struct {
	File string `json:"file"`
	Cron string `json:"cron"` // five fields
	Zone string `json:"zone,omitempty"`
	// Branch that it is of: the default one.
	Branch string `json:"branch,omitempty"`
	// Missed says what comes of times that nobody was there for: once (one run for
	// all of them) or skip; empty: once.
	Missed Missed `json:"missed,omitempty"`
	// Next is when it is due; zero: never.
	Next time.Time `json:"next,omitzero"`
	// Last is when it was due last, and ran or was skipped.
	Last time.Time `json:"last,omitzero"`
	// Error is why Next is not known.
	Error string `json:"error,omitempty"`
}

// Missed is a policy for times that nobody was there for.
type Missed string

// The policies.
const (
	MissedOnce Missed = "once"
	MissedSkip Missed = "skip"
)

// Next computes the first time of a cron expression in a zone (empty: UTC)
// after another; zero where there is none.
type Next func(cron, zone string, after time.Time) (time.Time, error)

// Tick is a timer that is due.
type Tick struct {
	Forge      string `json:"forge"`
	Repository string `json:"repository"`
	File       string `json:"file"`
	Cron       string `json:"schedule"`
	Zone       string `json:"timezone,omitempty"`
	Branch     string `json:"branch,omitempty"`
	// At is the time of the schedule that it stands for.
	At time.Time `json:"at"`
	// Late: the time was missed, and this makes up for it.
	Late bool `json:"late,omitempty"`
}

// Sender is the tick's own id: one time of one timer has one.
func (t Tick) Sender() string {
	return t.Forge + "/" + t.Repository + "/" + t.File + "/" + t.Cron + "/" + t.Zone + "/" + strconv.FormatInt(t.At.Unix(), 10)
}

// mostTimers bounds a schedule.
const mostTimers = 256

// Set replaces all timers. One that stays as it was keeps its next time, so
// that a push neither loses a tick nor makes it come twice.
func (s *Schedule) Set(timers []Timer, now time.Time, next Next) {
	before := s.Timers
	s.Timers = nil
	for _, t := range timers[:min(len(timers), mostTimers)] {
		t.Next, t.Last, t.Error = time.Time{}, time.Time{}, ""
		if old := find(before, t); old != nil {
			t.Next, t.Last, t.Error = old.Next, old.Last, old.Error
		}
		if find(s.Timers, t) != nil {
			continue // it stands twice
		}
		if t.Next.IsZero() {
			t.advance(now, next)
		}
		s.Timers = append(s.Timers, t)
	}
}

func find(timers []Timer, t Timer) *Timer {
	for i, o := range timers {
		if o.File == t.File && o.Cron == t.Cron && o.Zone == t.Zone {
			return &timers[i]
		}
	}
	return nil
}

func (t *Timer) advance(after time.Time, next Next) {
	at, err := next(t.Cron, t.Zone, after)
	t.Next, t.Error = at, ""
	if err != nil {
		t.Next, t.Error = time.Time{}, bounded(err.Error(), mostReason)
	}
}

// Due is when the first timer is; zero: none ever.
func (s *Schedule) Due() time.Time {
	var first time.Time
	for _, t := range s.Timers {
		if !t.Next.IsZero() && (first.IsZero() || t.Next.Before(first)) {
			first = t.Next
		}
	}
	return first
}

// Fire gives the ticks of the timers that are due: at most one a timer. What is
// later than the grace was missed.
func (s *Schedule) Fire(now time.Time, grace time.Duration, next Next) []Tick {
	var ticks []Tick
	for i := range s.Timers {
		t := &s.Timers[i]
		if t.Next.IsZero() || t.Next.After(now) {
			continue
		}
		last := latest(t, now, next)
		late := now.Sub(last) > grace
		if !late || t.Missed != MissedSkip {
			ticks = append(ticks, Tick{
				Forge: s.Forge, Repository: s.Repository, File: t.File, Cron: t.Cron, Zone: t.Zone, Branch: t.Branch,
				At: last, Late: late,
			})
		}
		t.Last = last
		t.advance(now, next)
	}
	return ticks
}

// latest is the last time of a timer that is not after now: after a long
// absence there may be many, so it is looked for from now backwards.
func latest(t *Timer, now time.Time, next Next) time.Time {
	last := t.Next
	for back := time.Minute; now.Add(-back).After(t.Next); back *= 2 {
		at, err := next(t.Cron, t.Zone, now.Add(-back))
		if err == nil && !at.IsZero() && !at.After(now) {
			last = at
			break
		}
	}
	for {
		at, err := next(t.Cron, t.Zone, last)
		if err != nil || at.IsZero() || at.After(now) {
			return last
		}
		last = at
	}
}
