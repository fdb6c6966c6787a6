// Package limit is the port to how often callers may ask, and its adapter in the
// memory of one process. shared/redis has the one that all processes of an
// installation count in.
package limit

import (
	"context"
	"time"
)

// Bound is how often one caller may ask.
type Bound struct {
	// Rate is how many a second, on average; 0 or less: as many as they like.
	Rate float64
	// Burst is how many at once; less than one is one.
	Burst int
}

// Limits counts requests. A Memory and shared/redis are two; limittest.Suite
// says what all of them hold.
type Limits interface {
	// Wait counts a request of a caller, and gives 0. Where it would be one too many
	// it gives after what time it would not be, and counts nothing. Kinds of callers
	// are counted apart. With an error nothing is known of how often they asked.
	Wait(ctx context.Context, kind, caller string, b Bound) (time.Duration, error)
}

// Every is the time that a request takes of a caller's room, and Room how much of
// it there is; both are 0 where there is no bound.
//
// Counting is by one number a caller, the generic cell rate algorithm (ITU-T
// I.371): the time until which the requests so far take up room. Each adds Every
// to it; one that would take it further than Room ahead of now has to wait. That
// is a bucket of Burst tokens, of which Rate come back a second.
func (b Bound) Every() time.Duration {
	if b.Rate <= 0 {
		return 0
	}
	return max(time.Microsecond, time.Duration(float64(time.Second)/b.Rate))
}

// Room is Burst requests' worth of Every.
func (b Bound) Room() time.Duration { return b.Every() * time.Duration(max(1, b.Burst)) }
