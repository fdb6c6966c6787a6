// Package cron computes the times of schedules: five fields, in a time zone,
// with the hours that summer time takes away and gives twice.
package cron

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // images without a zone database keep time too

	"github.com/robfig/cron/v3"
)

// ErrExpression marks what is no cron expression of five fields, or no zone.
var ErrExpression = errors.New("cron: invalid schedule")

var fields = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// Next is the first time of an expression after another; zero where there is
// none within some years. The zone is one of the IANA's, empty for UTC.
//
// A time that the clocks leap over comes when they have leapt, as at Actions:
// 2:30 is at 3:00 on that day, and once, however many were leapt over. Of a time
// that comes twice the first counts. Where the hour is a star, both rules are of
// no use: such a schedule follows the time that passes.
func Next(expression, zone string, after time.Time) (time.Time, error) {
	s, loc, err := parse(expression, zone)
	if err != nil {
		return time.Time{}, err
	}
	hourly := strings.HasPrefix(strings.Fields(expression)[1], "*")
	// The clock on the wall is looked at as if it had no zone, and each of its
	// times then placed in the zone: from before a leap on.
	wall := naive(after.In(loc)).Add(-leap)
	var best time.Time
	for {
		wall = s.Next(wall)
		if wall.IsZero() {
			return best, nil
		}
		first, second := place(wall, loc, hourly)
		if !best.IsZero() && !first.IsZero() && !first.Before(best) {
			return best, nil
		}
		for _, at := range []time.Time{first, second} {
			if at.After(after) && (best.IsZero() || at.Before(best)) {
				best = at
			}
		}
	}
}

// leap is more than clocks are ever set back.
const leap = 3 * time.Hour

// Check tells what is wrong about an expression or a zone; ErrExpression.
func Check(expression, zone string) error {
	_, _, err := parse(expression, zone)
	return err
}

func parse(expression, zone string) (cron.Schedule, *time.Location, error) {
	if n := len(strings.Fields(expression)); n != 5 || strings.Contains(expression, "=") {
		return nil, nil, fmt.Errorf("%w: %q is not five fields", ErrExpression, expression)
	}
	s, err := fields.Parse(expression)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %q: %w", ErrExpression, expression, err)
	}
	if zone == "Local" {
		return nil, nil, fmt.Errorf("%w: there is no time zone %q", ErrExpression, zone)
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: there is no time zone %q", ErrExpression, zone)
	}
	return s, loc, nil
}

// naive is what the clock on the wall shows, as if in UTC.
func naive(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

// place gives the times at which the wall of a zone shows what w does: one, as
// a rule; two where the clocks are set back, of which an expression without a
// star for the hour has the first; and where they leap over it the time when
// they have leapt, or, with a star, none.
func place(w time.Time, loc *time.Location, hourly bool) (first, second time.Time) {
	guess := time.Date(w.Year(), w.Month(), w.Day(), w.Hour(), w.Minute(), 0, 0, loc)
	start, end := guess.ZoneBounds()
	for _, near := range []time.Time{start.Add(-time.Second), guess, end} {
		if near.Year() <= 1 {
			continue // the zone has no such bound
		}
		_, offset := near.Zone()
		at := w.Add(-time.Duration(offset) * time.Second).In(loc)
		switch {
		case !naive(at).Equal(w) || at.Equal(first):
		case first.IsZero():
			first = at
		case at.Before(first):
			first, second = at, first
		default:
			second = at
		}
	}
	switch {
	case !first.IsZero() && !hourly:
		return first, time.Time{}
	case !first.IsZero() || hourly:
		return first, second
	case naive(guess).After(w):
		return start, time.Time{} // taken with the offset of before the leap
	}
	return end, time.Time{}
}
