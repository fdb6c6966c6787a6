package main

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/functions"
	clockticked "github.com/relevo-ci/relevo/functions/clock-ticked"
	"github.com/relevo-ci/relevo/functions/worker"
	"github.com/relevo-ci/relevo/providers/fake"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/provider"
	"github.com/relevo-ci/relevo/shared/state"
	"github.com/relevo-ci/relevo/shared/workers"
)

// World is one simulated installation: production functions, a seeded broker,
// faked time. Everything in it runs on one goroutine.
type World struct {
	rng   *rand.Rand
	seed  uint64
	now   time.Time
	queue actions
	order uint64

	store    *faultyStore
	provider *fake.Provider
	logs     *logs.Memory
	table    []fn.Function
	deps     functions.Deps
	commit   *state.Committer

	agents  []*agent
	faults  Faults
	calm    bool // faults have stopped
	counts  map[string]int
	checks  *auditor
	trace   uint64 // hash of all that happened
	handled int
	live    bool // inside a delivery that may crash
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
		rng: rand.New(rand.NewPCG(seed, 0x5eed)), seed: seed, now: epoch0, faults: f,
		counts: map[string]int{}, provider: fake.New(),
	}
	w.store = newFaultyStore(w, open(func() time.Time { return w.now }))
	w.logs = logs.NewMemory(64 << 20)
	w.provider.Launched = w.launched
	w.provider.Removed = w.removed
	w.provider.Refuse = w.refuse
	w.checks = newAuditor(w)
	w.boot()
	return w
}

// boot makes the process: all that lives in its memory is new.
func (w *World) boot() {
	w.commit = &state.Committer{Store: w.store, Pause: func(context.Context, time.Duration) error { return nil }}
	policy := pipeline.DefaultPolicy()
	policy.StartDeadline = 2 * time.Minute
	runs := &state.Runs{Committer: w.commit, Policy: policy}
	pools := &state.Pools{
		Committer: w.commit, Settings: scheduling.Settings{OfferTTL: 6 * time.Hour, Nudge: 20 * time.Second},
		Policies: map[events.PoolID]scheduling.Policy{pool: {Fixed: true}},
	}
	groups := &state.Groups{Committer: w.commit, Nudge: 20 * time.Second}
	ws := &workers.Workers{
		Runs: runs, Providers: map[string]provider.Provider{"fake": w.provider},
		Settings: workers.Settings{Key: []byte("sim"), Heartbeat: 10 * time.Second},
	}
	reports := &worker.Reports{Runs: runs, Logs: w.logs, Publish: func(_ context.Context, es []events.Envelope) error {
		w.publish(es)
		return nil
	}}
	clock := &clockticked.Clock{
		Runs: runs, Pools: pools, Groups: groups, Workers: ws,
		Publish: func(_ context.Context, es []events.Envelope) error { w.publish(es); return nil },
		Direct:  w.direct,
	}
	w.deps = functions.Deps{
		Runs: runs, Pools: pools, Groups: groups, Workers: ws, Clock: clock, Reports: reports,
		Routes: scheduling.Pools{Default: pool},
	}
	w.table = functions.All(w.deps)
}

func (w *World) after(d time.Duration, do func()) {
	w.order++
	heap.Push(&w.queue, action{at: w.now.Add(d), order: w.order, do: do})
}

// step lets the next thing happen; false when nothing is left.
func (w *World) step() bool {
	if len(w.queue) == 0 {
		return false
	}
	a := heap.Pop(&w.queue).(action)
	if a.at.After(w.now) {
		w.now = a.at
	}
	a.do()
	return true
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

// publish gives events to the broker, which has accepted them by that.
func (w *World) publish(es []events.Envelope) {
	for _, e := range es {
		w.note("publish %s %s", e.Type, e.ID)
		w.commit.Published(e.ID)
		if w.chance(w.faults.Lose) {
			w.count("event lost after acceptance")
			continue
		}
		for i := range w.table {
			if f := &w.table[i]; f.On == e.Type {
				w.schedule(f.Name, e)
			}
		}
	}
}

func (w *World) schedule(function string, e events.Envelope) {
	copies := 1
	if w.chance(w.faults.Duplicate) {
		copies += 1 + w.rng.IntN(3)
		w.count("event duplicated")
	}
	for range copies {
		delay := w.between(0, 20*time.Millisecond)
		if w.chance(w.faults.Reorder) {
			delay = w.between(0, 2*time.Second)
			w.count("event reordered")
		}
		if w.chance(w.faults.Delay) {
			delay = w.between(time.Second, 5*time.Minute)
			w.count("event delayed")
		}
		w.after(delay, func() { w.deliver(function, e, 1) })
	}
}

func (w *World) function(name string) *fn.Function {
	for i := range w.table {
		if w.table[i].Name == name {
			return &w.table[i]
		}
	}
	panic("no function " + name)
}

const maxTries = 8

// deliver runs a handler as a host does, with the host's faults.
func (w *World) deliver(function string, e events.Envelope, try int) {
	again := func(why string) {
		w.count(why)
		if try < maxTries {
			w.after(time.Duration(try*try)*200*time.Millisecond, func() { w.deliver(function, e, try+1) })
		}
	}
	if w.chance(w.faults.Drop) {
		again("delivery dropped, sent again")
		return
	}
	dies := w.chance(w.faults.Crash)
	w.handled++
	w.live = true
	defer func() {
		w.live = false
		if r := recover(); r != nil {
			if _, ok := r.(crash); !ok {
				panic(r)
			}
			w.checks.after(function)
			w.boot()
			again("handler crashed, sent again")
		}
	}()
	out, err := w.function(function).Handle(context.Background(), e)
	w.live = false
	w.note("handle %s %s -> %d %v", function, e.ID, len(out), err)
	w.checks.after(function)
	if dies {
		// The process dies between commit and publish: what it held is gone.
		w.boot()
		again("crash between commit and publish")
		return
	}
	w.publish(out)
	if err != nil {
		if !fn.KindOf(err).Retry() && !errors.Is(err, errInjected) {
			w.checks.fail("handler %s: %v", function, err)
		}
		again("handler error, sent again")
	}
}

// direct hands an event to its subscribers round the broker, and what they
// emit to the next.
func (w *World) direct(ctx context.Context, e events.Envelope) error {
	return w.directly(ctx, e, 0)
}

func (w *World) directly(ctx context.Context, e events.Envelope, depth int) error {
	if depth > 16 {
		return nil
	}
	var errs []error
	for i := range w.table {
		f := w.table[i]
		if f.On != e.Type || f.Handle == nil {
			continue
		}
		out, err := f.Handle(ctx, e)
		w.note("direct %s %s -> %d %v", f.Name, e.ID, len(out), err)
		w.checks.after(f.Name)
		errs = append(errs, err)
		for _, o := range out {
			w.commit.Published(o.ID)
			errs = append(errs, w.directly(ctx, o, depth+1))
		}
	}
	return errors.Join(errs...)
}

// tick runs the clock.
func (w *World) tick() {
	_, _, err := w.deps.Clock.Tick(context.Background())
	w.note("tick %v", err)
	w.checks.after("clock")
	every := time.Second
	if len(w.queue) == 0 || w.calm {
		every = 5 * time.Second
	}
	w.after(every, w.tick)
}

// report sends an agent's report, with the network's faults.
func (w *World) report(r execution.Report) (execution.Reply, error) {
	if w.chance(w.faults.Drop) {
		w.count("report dropped")
		return execution.Reply{}, errInjected
	}
	reply, err := w.deps.Reports.Report(context.Background(), r)
	w.note("report %s %s %s -> %+v %v", r.Kind, r.Job, r.Nonce, reply, err)
	w.checks.reported(r, reply, err)
	if w.chance(w.faults.ReplyLost) {
		w.count("reply to a report lost")
		return execution.Reply{}, errInjected
	}
	return reply, err
}
