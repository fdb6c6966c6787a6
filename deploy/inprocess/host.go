// Package inprocess is the host of `relevo run` and `relevo up`: all functions
// on the bus of one process, with a store, a log store and the providers of
// this machine.
package inprocess

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/relevo-ci/relevo/config"
	"github.com/relevo-ci/relevo/deploy/doors"
	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/functions"
	"github.com/relevo-ci/relevo/functions/api"
	clockticked "github.com/relevo-ci/relevo/functions/clock-ticked"
	"github.com/relevo-ci/relevo/functions/worker"
	"github.com/relevo-ci/relevo/shared/bus"
	"github.com/relevo-ci/relevo/shared/cron"
	"github.com/relevo-ci/relevo/shared/deadletter"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/feed"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/forge"
	"github.com/relevo-ci/relevo/shared/limit"
	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/provider"
	"github.com/relevo-ci/relevo/shared/secrets"
	"github.com/relevo-ci/relevo/shared/state"
	"github.com/relevo-ci/relevo/shared/view"
	"github.com/relevo-ci/relevo/shared/workers"
)

// Pool is the pool of this host; Pool.Untrusted(), where it is declared, is that
// of strangers' jobs.
const Pool events.PoolID = "local"

// Options are what a Host is made of.
type Options struct {
	Store     protocol.Store
	Fresh     bool // the store began with this process
	Logs      logs.Store
	Providers map[string]provider.Provider
	Policy    pipeline.Policy
	OfferTTL  time.Duration
	Workers   workers.Settings
	Chaos     bus.Chaos
	Bus       bus.Options
	Feed      feed.Feed    // nil: nobody watches
	View      view.Store   // nil: in this process, where there is an API; else nobody lists
	Limits    limit.Limits // nil: callers are counted by whoever has the API
	API       *api.API     // what of it is not the host's own; nil: none
	// Forges whose deliveries are taken and that are told of runs.
	Forges []forge.Forge
	// Secrets is a folder of what jobs may read by name; empty: nothing.
	Secrets string
	// Public is the address that links for people begin with; empty: none.
	Public string
	// Telemetry says which collector is told of runs.
	Telemetry config.Telemetry
	// CDEvents are told of runs and jobs besides.
	CDEvents bool
	// Sockets is the folder of the report socket.
	Sockets string
	Log     *slog.Logger
}

// Host runs the functions until it is closed.
type Host struct {
	Deps  functions.Deps
	Bus   *bus.Bus
	Table []fn.Function

	opts  Options
	log   *slog.Logger
	ctx   context.Context
	stop  context.CancelFunc
	tasks sync.WaitGroup
	wake  chan struct{}

	mu   sync.Mutex // also held while taps run: it makes their order
	taps []func(events.Envelope)
}

// Start makes a host and lets it run.
func Start(ctx context.Context, o Options) (*Host, error) {
	h := &Host{opts: o, log: o.Log, wake: make(chan struct{}, 1)}
	h.ctx, h.stop = context.WithCancel(context.WithoutCancel(ctx))
	dead := &deadletter.Box{Store: o.Store, Send: h.sendAgain}
	o.Bus.Chaos, o.Bus.Log, o.Bus.DeadLetters = o.Chaos, o.Log, letters{dead}
	h.Bus = bus.New(o.Bus)
	// Before the bus: it may overtake, e.g. while a worker is being launched.
	committer := &state.Committer{Store: o.Store, Committed: h.seeAll}
	views, forget := h.views()
	if views != nil {
		committer.Store = views.Keep()
	}
	runs := &state.Runs{Committer: committer, Policy: o.Policy}
	h.Deps = functions.Deps{
		Runs: runs,
		Pools: &state.Pools{
			Committer: committer,
			Settings:  scheduling.Settings{OfferTTL: o.OfferTTL, Nudge: o.Policy.Nudge},
			Policies:  map[events.PoolID]scheduling.Policy{Pool: {Fixed: true}},
		},
		Groups: &state.Groups{Committer: committer, Nudge: o.Policy.Nudge},
		Doors:  &state.Front{Committer: committer, Next: cron.Next}, Public: o.Public, CDEvents: o.CDEvents,
		Workers: &workers.Workers{
			Runs: runs, Providers: bulkheads(o.Providers), Settings: o.Workers,
			CloseLog: func(ctx context.Context, ref events.AttemptRef) error { return o.Logs.Close(ctx, ref, logs.Present) },
		},
		Routes: scheduling.Pools{Default: Pool},
		Reports: &worker.Reports{
			Runs: runs, Logs: o.Logs, Publish: h.Publish,
			Secrets: secrets.Source{Folder: secrets.Folder{Path: o.Secrets}, Forge: doors.Credentials(o.Forges)},
		},
		Dead: dead, Views: views, Limits: o.Limits,
	}
	if o.Feed != nil {
		h.Deps.Feed = o.Feed
	}
	h.front(dead)
	h.Deps.Clock = &clockticked.Clock{
		Runs: runs, Pools: h.Deps.Pools, Groups: h.Deps.Groups, Front: h.Deps.Doors, Workers: h.Deps.Workers,
		Publish: h.Publish, Direct: h.Bus.DirectAll, Forget: forget, Views: views, Tidy: tidy(o.Logs), StartGrace: true, Fresh: o.Fresh,
		Beside: clockticked.Beside{Most: 64, Wait: time.Second, Deadline: providerPatience},
	}
	if o.API != nil && o.API.Access != nil {
		h.Deps.Clock.Access, h.Deps.Clock.Audit = o.API.Access.Store, o.API.Access.Audit
	}
	h.Bus.Tap(h.see)
	h.Table = functions.All(h.Deps)
	if err := h.Bus.Subscribe(h.Table...); err != nil {
		return nil, err
	}
	if err := h.listen(); err != nil {
		return nil, err
	}
	for _, p := range o.Providers {
		h.tasks.Go(func() { h.watch(p) })
	}
	h.tasks.Go(h.clock)
	if views != nil && !o.Fresh {
		h.tasks.Go(h.fillViews)
	}
	return h, nil
}

// front puts the front doors into the table: the api, where there is one, is made
// of what the other functions are made of.
func (h *Host) front(dead *deadletter.Box) {
	o, d := h.opts, &h.Deps
	if a := o.API; a != nil {
		a.Runs, a.Pools, a.Groups, a.Doors, a.Routes = d.Runs, d.Pools, d.Groups, d.Doors, d.Routes
		a.Logs, a.Feed, a.Views, a.Dead, a.Publish, a.Log = o.Logs, o.Feed, d.Views, dead, h.Publish, o.Log
		if known := a.Access; known != nil {
			known.Store.Committer, known.Audit.Committer, d.Proxies = d.Runs.Committer, d.Runs.Committer, known.Proxies
			if o.Limits != nil {
				known.Limits = o.Limits
			}
		}
		d.Front = []fn.Function{api.New(a)}
	}
	d.Front = append(d.Front, doors.Functions(*d, o.Forges, o.Log)...)
	d.Front = append(d.Front, doors.Telling(o.Telemetry, *d)...)
}

// Publish gives events to the bus.
func (h *Host) Publish(ctx context.Context, es []events.Envelope) error {
	var errs []error
	for _, e := range es {
		errs = append(errs, h.Bus.Publish(ctx, e)) // the outbox keeps what is refused
	}
	return errors.Join(errs...)
}

// Tap lets f see every event: those of one aggregate in their order, the
// others in that of publishing. One event may be seen more than once. f must
// be quick.
func (h *Host) Tap(f func(events.Envelope)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taps = append(h.taps, f)
}

// see is the bus's tap: what the bus has, the outbox need not keep.
func (h *Host) see(e events.Envelope) {
	h.Deps.Runs.Published(e.ID)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.taps {
		f(e)
	}
}

func (h *Host) seeAll(es []events.Envelope) {
	for _, e := range es {
		h.see(e)
	}
}

// Function finds a row of the table; the zero one where there is none of that name.
func (h *Host) Function(name string) fn.Function {
	for _, f := range h.Table {
		if f.Name == name {
			return f
		}
	}
	return fn.Function{}
}

// Handle runs one function on an event and publishes what it emits, as the
// front doors do: it returns after the commit.
func (h *Host) Handle(ctx context.Context, function string, e events.Envelope) error {
	f := h.Function(function)
	if f.Handle == nil {
		return fmt.Errorf("inprocess: no function %s", function)
	}
	out, err := f.Handle(ctx, e)
	if err != nil {
		return err
	}
	return h.Publish(ctx, out)
}

// Submit accepts a run. With fn.Exhausted the bus is full: the run stands in
// the ledger all the same, and the clock publishes it when there is room.
func (h *Host) Submit(ctx context.Context, req events.RunRequested) error {
	res, err := h.Deps.Runs.Create(ctx, "api", req)
	if err != nil {
		return err
	}
	return h.Publish(ctx, res.Emitted)
}

// Cancel cancels a run, or a job of it: decided when this returns.
func (h *Host) Cancel(ctx context.Context, d events.CancelRequested) error {
	run, moment, err := h.Deps.Runs.Load(ctx, d.Run)
	if err != nil {
		return err
	}
	id := events.DeriveID("cancel", string(d.Run), string(d.Job), moment.Now.String())
	e, err := events.New(id, "/relevo/api", run.Asked, moment.Now, d)
	if err != nil {
		return err
	}
	e = run.Traced(e)
	if err := h.Bus.Publish(ctx, e); err != nil {
		return err
	}
	return h.Handle(ctx, "cancel-requested", e)
}

// Declare declares a node of the pool, or of the one that it names.
func (h *Host) Declare(ctx context.Context, d events.CapacityUpdated) error {
	d.Pool = cmp.Or(d.Pool, Pool)
	id := events.DeriveID("node", string(d.Node), d.Since.String())
	e, err := events.New(id, "/relevo/host", "", d.Since, d)
	if err != nil {
		return err
	}
	return h.Handle(ctx, "capacity-updated", e)
}

// watch turns what a provider tells into events.
func (h *Host) watch(p provider.Provider) {
	for h.ctx.Err() == nil {
		err := p.Watch(h.ctx, func(c provider.Change) {
			c.Placement.Provider = p.Name()
			e, ok := h.change(c)
			if !ok {
				return
			}
			if err := h.Publish(h.ctx, []events.Envelope{e}); err != nil && h.ctx.Err() == nil {
				h.log.Warn("worker change not published", "worker", c.Placement.Worker, "error", err)
			}
		})
		if h.ctx.Err() == nil {
			h.log.Warn("provider watch ended, starting again", "provider", p.Name(), "error", err)
			h.sleep(time.Second)
		}
	}
}

// change says that a worker failed. One that exited says so too: it is
// terminated only once it was removed, which its attempt's end leads to. Were
// its capacity given back before its run knows, the run could launch it again.
// The exit of a worker whose attempt is over is no news.
func (h *Host) change(c provider.Change) (events.Envelope, bool) {
	run, _, err := h.Deps.Runs.Load(h.ctx, c.Run)
	if err != nil || !run.Holds(c.AttemptRef) {
		return events.Envelope{}, false // if it was away: the lease finds out
	}
	d := events.WorkerFailed{For: c.AttemptRef, Placement: c.Placement, Reason: "its worker is gone: " + c.Reason}
	if c.Failed != nil {
		d.Reason, d.Permanent = c.Failed.Reason, c.Failed.Permanent
	}
	id := events.DeriveID("worker.failed", string(c.Placement.Worker), c.Fence.String())
	if c.Doomed { // its end is still to come
		d.Reason, d.Doomed = c.Reason, true
		id = events.DeriveID(id, "doomed")
	}
	e, err := events.New(id, "/relevo/provider", run.Job(c.Job).Last, time.Now(), d)
	return run.Traced(e), err == nil
}

func (h *Host) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-h.ctx.Done():
	case <-h.wake:
	case <-t.C:
	}
}

// clock ticks when something is due, and once a second at least.
func (h *Host) clock() {
	for h.ctx.Err() == nil {
		next, now, err := h.Deps.Clock.Tick(h.ctx)
		if err != nil && h.ctx.Err() == nil {
			h.log.Warn("clock", "error", err)
		}
		wait := time.Second
		if !next.IsZero() {
			wait = min(wait, max(next.Sub(now), 20*time.Millisecond))
		}
		h.sleep(wait)
	}
}

// Close stops the clock, the listeners and the bus. Workers go on.
func (h *Host) Close(ctx context.Context) error {
	h.stop()
	err := h.Bus.Close(ctx)
	h.tasks.Wait()
	return err
}
