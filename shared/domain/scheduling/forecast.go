package scheduling

import (
	"slices"
	"time"
)

// Forecast says when the first n offers that wait may start, as the places of
// those that run come free one after the other: running are when these began,
// took is how long the newest jobs took, the shortest first. What runs is expected to take as long as
// the middle one of those that took longer than it has taken by now; what it
// outlasts all of, it says nothing about. Fewer than n times, or none, where
// nothing tells more.
func Forecast(now time.Time, running []time.Time, took []time.Duration, n int) []time.Time {
	if len(took) == 0 {
		return nil
	}
	var ends []time.Time
	for _, began := range running {
		i, _ := slices.BinarySearch(took, now.Sub(began)+1)
		if longer := took[i:]; len(longer) > 0 {
			ends = append(ends, began.Add(longer[len(longer)/2]))
		}
	}
	slices.SortFunc(ends, time.Time.Compare)
	var starts []time.Time
	for len(ends) > 0 && len(starts) < n {
		start := ends[0]
		starts = append(starts, start)
		end := start.Add(took[len(took)/2])
		at, _ := slices.BinarySearchFunc(ends, end, time.Time.Compare)
		ends = slices.Insert(ends, at, end)[1:]
	}
	return starts
}
