package main

import (
	"context"
	"errors"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/functions"
	clockticked "github.com/relevo-ci/relevo/functions/clock-ticked"
	"github.com/relevo-ci/relevo/functions/worker"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/provider"
	"github.com/relevo-ci/relevo/shared/state"
	"github.com/relevo-ci/relevo/shared/workers"
)

// processes is how many hosts run the functions side by side: one acts while
// another is between its load and its commit.
const processes = 2

// lease and startDeadline are what the auditor holds the clock to.
const (
	lease         = 30 * time.Second
	startDeadline = 2 * time.Minute
	infraRetries  = 2
)

// process is one host and all that lives in its memory.
type process struct {
	at     int // its place in World.procs
	busy   bool
	blind  time.Time // when its clock last could not see: at its start, or the store away
	commit *state.Committer
	deps   functions.Deps
	table  []fn.Function
}

// boot makes a process anew: all that lived in its memory is gone.
func (w *World) boot(at int) *process {
	p := &process{at: at}
	if w.startGrace {
		p.blind = w.now
	}
	views := &state.Views{Store: w.store, View: w.rows}
	p.commit = &state.Committer{Store: views.Keep(), Pause: func(context.Context, time.Duration) error { return nil }}
	policy := pipeline.DefaultPolicy()
	policy.Lease, policy.StartDeadline, policy.InfraRetries = lease, startDeadline, infraRetries
	policy.QueueLimit = w.offerTTL + time.Minute
	runs := &state.Runs{Committer: p.commit, Policy: policy}
	pools := &state.Pools{
		Committer: p.commit, Settings: scheduling.Settings{OfferTTL: w.offerTTL, Nudge: 20 * time.Second},
		Policies: map[events.PoolID]scheduling.Policy{pool: {Fixed: w.fixed}},
	}
	groups := &state.Groups{Committer: p.commit, Nudge: 20 * time.Second}
	ws := &workers.Workers{
		Runs: runs, Providers: map[string]provider.Provider{"fake": w.provider},
		Settings: workers.Settings{Key: []byte("sim"), Heartbeat: 10 * time.Second},
	}
	publish := func(_ context.Context, es []events.Envelope) error {
		w.publish(p, es)
		return nil
	}
	reports := &worker.Reports{Runs: runs, Logs: w.logs, Publish: publish}
	front := &state.Front{Committer: p.commit}
	clock := &clockticked.Clock{
		Runs: runs, Pools: pools, Groups: groups, Front: front, Workers: ws, Publish: publish, StartGrace: w.startGrace, Views: views,
		Direct: func(ctx context.Context, e events.Envelope) error { return w.directly(ctx, p, e, 0) },
	}
	p.deps = functions.Deps{
		Runs: runs, Pools: pools, Groups: groups, Workers: ws, Clock: clock, Reports: reports,
		Routes: scheduling.Pools{Default: pool}, Doors: front, Front: doors(front, runs), Views: views,
	}
	p.table = functions.All(p.deps)
	return p
}

func (w *World) bootAll() {
	for i := range w.procs {
		w.procs[i] = w.boot(i)
	}
}

// in runs f in a process that is not in the middle of something. It tells
// false where the process crashed in it.
func (w *World) in(f func(p *process)) (survived bool) {
	var idle []*process
	for _, p := range w.procs {
		if !p.busy {
			idle = append(idle, p)
		}
	}
	p := idle[w.rng.IntN(len(idle))]
	was, handling := w.live, w.handling
	p.busy, w.live, survived = true, true, true
	defer func() {
		p.busy, w.live, w.handling = false, was, handling
		if r := recover(); r != nil {
			if _, ok := r.(crash); !ok {
				panic(r)
			}
			w.procs[p.at] = w.boot(p.at)
			survived = false
		}
	}()
	f(p)
	return
}

// meanwhile lets a few other things happen while a call is under way.
func (w *World) meanwhile() { w.others(2*time.Second, 1+w.rng.IntN(4)) }

// suspended lets all happen that comes in minutes, while faults go on: the
// process sleeps in a call.
func (w *World) suspended() {
	w.count("process suspended past a lease")
	w.others(w.between(lease, 3*time.Minute), 1000)
}

func (w *World) others(within time.Duration, most int) {
	if w.nested {
		return
	}
	w.nested = true
	defer func() { w.nested = false }()
	until := w.now.Add(within)
	for range most {
		if len(w.queue) == 0 || w.queue[0].at.After(until) || w.calm {
			return
		}
		w.step()
	}
}

func (p *process) function(name string) *fn.Function {
	for i := range p.table {
		if p.table[i].Name == name {
			return &p.table[i]
		}
	}
	panic("no function " + name)
}

// publish gives events to the broker, which has accepted them by that.
func (w *World) publish(p *process, es []events.Envelope) {
	for _, e := range es {
		w.answer(e)
		if w.chance(w.faults.Refused) {
			w.count("event refused by the broker")
			continue // the outbox has it, where it was committed
		}
		w.note("publish %s %s", e.Type, e.ID)
		w.checks.published(e)
		p.commit.Published(e.ID)
		if w.live && w.chance(w.faults.Crash/8) {
			w.count("crash between two publications")
			panic(crash{})
		}
		if w.deaf || w.chance(w.faults.Lose/2) {
			w.count("event lost after acceptance")
			continue
		}
		for i := range p.table {
			f := &p.table[i]
			switch {
			case !f.Takes(e.Type):
			case w.chance(w.faults.Lose / 2):
				w.count("event lost for one subscriber")
			default:
				w.schedule(f.Name, e)
			}
		}
	}
}

// directDepth bounds how far replies are followed, as the hosts do.
const directDepth = 16

// directly hands an event to its subscribers round the broker, and what they
// emit to the next.
func (w *World) directly(ctx context.Context, p *process, e events.Envelope, depth int) error {
	w.checks.published(e)
	var errs []error
	for i := range p.table {
		f := p.table[i]
		if !f.Takes(e.Type) {
			continue
		}
		out, err := f.Handle(ctx, e)
		w.note("direct %s %s -> %d %v", f.Name, e.ID, len(out), err)
		w.checks.after(f.Name)
		w.checks.handled(f.Name, e, err)
		w.defect(f.Name, err)
		errs = append(errs, err)
		if depth == directDepth {
			continue // the clock comes again
		}
		for _, o := range out {
			p.commit.Published(o.ID)
			errs = append(errs, w.directly(ctx, p, o, depth+1))
		}
	}
	return errors.Join(errs...)
}

// defect fails on an error that says that a decision went wrong: no fault that
// is injected here makes one.
func (w *World) defect(function string, err error) {
	if kind := fn.KindOf(err); err != nil && kind == fn.Invalid {
		w.checks.fail("S5: %s: %v", function, err)
	}
}
