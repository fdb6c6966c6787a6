package bus

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// Chaos decides what becomes of each delivery that the bus would make. Direct
// deliveries and retries are not asked about.
type Chaos interface {
	// Fate of e on its way to a function; called once for each subscriber, from
	// any goroutine.
	Fate(e events.Envelope, function string) Fate
}

// Fate is what becomes of a delivery; the zero value leaves it alone.
type Fate struct {
	// Lost drops it without a trace.
	Lost bool
	// Copies more than the one are delivered.
	Copies int
	// Delay holds it, and its copies, back.
	Delay time.Duration
}

// FateFunc is a Chaos made of a function.
type FateFunc func(e events.Envelope, function string) Fate

// Fate calls f.
func (f FateFunc) Fate(e events.Envelope, function string) Fate { return f(e, function) }

// Lose drops so many of a hundred deliveries, 100 meaning every one; the same
// seed and order of events drop the same.
func Lose(percent int, seed uint64) Chaos {
	var mu sync.Mutex
	dice := rand.New(rand.NewPCG(seed, seed))
	return FateFunc(func(events.Envelope, string) Fate {
		mu.Lock()
		defer mu.Unlock()
		return Fate{Lost: dice.IntN(100) < percent}
	})
}
