package main

import (
	"container/heap"
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/logs"
)

// World is one simulated installation: production functions, a seeded broker,
// faked time. Everything in it runs on one goroutine.
type World struct {
	rng   *rand.Rand
	gates *rand.Rand // see gates.go
	again *rand.Rand // of retries, for the same reason
	ready map[string]bool
	seed  uint64
	now   time.Time
	queue actions
	order uint64

	store    *faultyStore
	rows     *rows
	settled  time.Time // since when nothing is left to do but rows that are behind
	provider *simProvider
	logs     *logs.Memory
	procs    [processes]*process
	nested   bool   // inside meanwhile
	live     bool   // inside a process, which may crash
	handling string // the function at work, if any
	life     int    // of the store: its restarts

	agents   []*agent
	declared map[events.NodeID]events.CapacityUpdated // as the hosts have it
	faults   Faults
	fixed    bool // the pool gets no further nodes
	// startGrace is set where the processes are all that workers can report to:
	// then a clock that starts waits for them.
	startGrace bool
	offerTTL   time.Duration // how long an offer may wait
	deaf       bool          // the broker loses every event, for ever
	calm       bool          // faults have stopped
	calmAt     time.Time
	looked     bool // a tick has passed since rest was looked for
	counts     map[string]int
	checks     *auditor
	trace      uint64 // hash of all that happened
	handled    int
}

// action is something that will happen.
type action struct {
	at    time.Time
	order uint64
	do    func()
}

type actions []action

func (a actions) Len() int { return len(a) }
func (a actions) Less(i, j int) bool {
	if !a[i].at.Equal(a[j].at) {
		return a[i].at.Before(a[j].at)
	}
	return a[i].order < a[j].order
}
func (a actions) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *actions) Push(x any)   { *a = append(*a, x.(action)) }
func (a *actions) Pop() any {
	old := *a
	x := old[len(old)-1]
	*a = old[:len(old)-1]
	return x
}

var epoch0 = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

const pool events.PoolID = "sim"

// NewWorld makes a world for a seed.
func NewWorld(seed uint64, f Faults, open func(clock func() time.Time) backing) *World {
	w := &World{
		rng: rand.New(rand.NewPCG(seed, 0x5eed)), gates: rand.New(rand.NewPCG(seed, 0x9a7e)), again: rand.New(rand.NewPCG(seed, 0xa9a1)), seed: seed, now: epoch0, faults: f,
		counts: map[string]int{}, ready: map[string]bool{}, declared: map[events.NodeID]events.CapacityUpdated{}, deaf: f.Deaf, fixed: true, offerTTL: 6 * time.Hour,
	}
	if w.rng.IntN(4) == 0 {
		w.fixed, w.offerTTL = false, 20*time.Minute
	}
	w.startGrace = w.rng.IntN(2) == 0
	w.store = newFaultyStore(w, open(func() time.Time { return w.now }))
	w.rows = newRows(w)
	w.logs = logs.NewMemory(64 << 20)
	w.provider = newProvider(w)
	w.checks = newAuditor(w)
	w.bootAll()
	return w
}

func (w *World) after(d time.Duration, do func()) {
	w.order++
	heap.Push(&w.queue, action{at: w.now.Add(d), order: w.order, do: do})
}

// step lets the next thing happen; the clock sees to it that there is one.
func (w *World) step() {
	a := heap.Pop(&w.queue).(action)
	if a.at.After(w.now) {
		w.now = a.at
	}
	a.do()
}

func (w *World) note(format string, args ...any) {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %d ", w.trace, w.now.UnixMilli())
	fmt.Fprintf(h, format, args...)
	w.trace = h.Sum64()
	if w.faults.Verbose {
		fmt.Printf("%s "+format+"\n", append([]any{w.now.Format("15:04:05.000")}, args...)...)
	}
}

// chance is true with probability p, while faults go on.
func (w *World) chance(p float64) bool { return !w.calm && p > 0 && w.rng.Float64() < p }

func (w *World) count(fault string) { w.counts[fault]++ }

func (w *World) between(a, b time.Duration) time.Duration {
	return a + time.Duration(w.rng.Int64N(int64(b-a)+1))
}

func (w *World) schedule(function string, e events.Envelope) {
	copies := 1
	if w.chance(w.faults.Duplicate) {
		copies += 1 + w.rng.IntN(3)
		w.count("event duplicated")
	}
	for i := range copies {
		delay := w.between(0, 20*time.Millisecond)
		if w.chance(w.faults.Reorder) {
			delay = w.between(0, 2*time.Second)
			w.count("event reordered")
		}
		if w.chance(w.faults.Delay) || i > 0 && w.chance(0.1) {
			delay = w.between(time.Second, 5*time.Minute)
			w.count("event delayed")
		}
		w.after(delay, func() { w.deliver(function, e, 1) })
	}
}

const maxTries = 8

// deliver runs a handler as a host does, with the host's faults.
func (w *World) deliver(function string, e events.Envelope, try int) {
	again := func(why string) {
		w.count(why)
		if try == maxTries {
			w.count("event given up: a dead letter")
			return
		}
		w.after(time.Duration(min(try*try, 64))*200*time.Millisecond, func() { w.deliver(function, e, try+1) })
	}
	if w.chance(w.faults.Drop) {
		again("delivery dropped, sent again")
		return
	}
	w.handled++
	survived := w.in(func(p *process) {
		w.handling = function
		out, err := p.function(function).Handle(context.Background(), e)
		w.note("handle %s %s -> %d %v", function, e.ID, len(out), err)
		w.checks.after(function)
		w.checks.handled(function, e, err)
		w.defect(function, err)
		if w.chance(w.faults.Crash) {
			w.count("crash between commit and publish")
			panic(crash{})
		}
		w.publish(p, out)
		switch {
		case err == nil:
		case fn.KindOf(err).Retry():
			again("handler error, sent again")
		default:
			w.count("event that makes no sense: a dead letter")
		}
	})
	if !survived {
		w.checks.after(function)
		again("handler crashed, sent again")
	}
}

// tick runs the clock of one process.
func (w *World) tick() {
	next := w.now
	w.in(func(p *process) {
		w.checks.ticking = p
		var now time.Time
		var err error
		next, now, err = p.deps.Clock.Tick(context.Background())
		if next.IsZero() || err != nil {
			next = now
		}
		w.note("tick %v", err)
		if err != nil && w.now.Before(w.store.away) {
			p.blind = w.now
		}
		w.defect("clock", err)
	})
	w.checks.after("clock")
	w.checks.ticked()
	w.looked = false
	every := time.Second
	if w.calm {
		// A gate may wait for half an hour yet.
		every = min(max(5*time.Second, next.Sub(w.now)), time.Minute)
	}
	w.after(every, w.tick)
}

// report sends an agent's report, with the network's faults.
func (w *World) report(r execution.Report) (reply execution.Reply, err error) {
	if w.chance(w.faults.Drop) {
		w.count("report dropped")
		return execution.Reply{}, errInjected
	}
	w.checks.sending(r)
	sent := w.now
	survived := w.in(func(p *process) {
		reply, err = p.deps.Reports.Report(context.Background(), r)
		w.note("report %s %s %s -> %+v %v", r.Kind, r.Job, r.Nonce, reply, err)
		w.checks.reported(r, sent, reply, err)
		w.defect("worker", err)
	})
	if !survived {
		w.checks.after("worker")
		return execution.Reply{}, errInjected
	}
	if w.chance(w.faults.ReplyLost) {
		w.count("reply to a report lost")
		return execution.Reply{}, errInjected
	}
	return reply, err
}
