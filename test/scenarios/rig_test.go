// Package scenarios replays what hurt other systems, a named test each, on the
// production functions with faked time, a provider without processes and a
// broker that the test holds in its hand. It also holds the hosts equal.
package scenarios_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/deploy/inprocess"
	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/functions"
	clockticked "github.com/relevo-ci/relevo/functions/clock-ticked"
	"github.com/relevo-ci/relevo/functions/worker"
	"github.com/relevo-ci/relevo/providers/fake"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/provider"
	"github.com/relevo-ci/relevo/shared/state"
	"github.com/relevo-ci/relevo/shared/workers"
)

const (
	pool                   = inprocess.Pool
	runID     events.RunID = "01J00000000000000000000001"
	heartbeat              = 10 * time.Second
)

var (
	start     = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	settings  = workers.Settings{Key: []byte("key"), Heartbeat: heartbeat}
	errBroker = errors.New("the broker is away")
)

// crash ends a process in the middle of what it does.
type crash struct{}

// rig is one installation on one goroutine: time and deliveries move only when
// a test says so.
type rig struct {
	testing.TB
	now      time.Time
	memory   *memory.Store
	store    *meter
	logs     *logs.Memory
	provider *stale
	policy   pipeline.Policy
	away     bool              // the broker refuses
	queue    []events.Envelope // what the broker has taken
	seen     []events.Envelope // all that it ever took
	agents   []*agent
	process
}

// process is what lives in the memory of a host.
type process struct {
	commit *state.Committer
	deps   functions.Deps
	table  []fn.Function
}

func newRig(t testing.TB, set ...func(*rig)) *rig {
	r := &rig{TB: t, now: start, logs: logs.NewMemory(64 << 20), policy: pipeline.DefaultPolicy()}
	r.memory = memory.New(func() time.Time { return r.now }, "test")
	r.store = &meter{Store: r.memory}
	r.provider = &stale{Provider: fake.New()}
	r.provider.Launched = func(l execution.Launch) {
		r.agents = append(r.agents, &agent{r: r, l: l, nonce: "nonce of " + l.Fence.String()})
	}
	for _, s := range set {
		s(r)
	}
	r.boot()
	return r
}

// boot starts a process anew over the same store: its memory is gone.
func (r *rig) boot() { r.process = r.assemble(r.publish) }

// assemble makes a process whose events go where publish sends them.
func (r *rig) assemble(publish func(context.Context, []events.Envelope) error) process {
	commit := &state.Committer{Store: r.store, Pause: func(context.Context, time.Duration) error { return nil }}
	runs := &state.Runs{Committer: commit, Policy: r.policy}
	pools := &state.Pools{Committer: commit, Settings: scheduling.Settings{OfferTTL: 24 * time.Hour, Nudge: r.policy.Nudge}}
	groups := &state.Groups{Committer: commit, Nudge: r.policy.Nudge}
	d := functions.Deps{
		Runs: runs, Pools: pools, Groups: groups, Routes: scheduling.Pools{Default: pool},
		Workers: &workers.Workers{
			Runs: runs, Providers: map[string]provider.Provider{"fake": r.provider},
			Settings: settings,
			CloseLog: func(ctx context.Context, ref events.AttemptRef) error { return r.logs.Close(ctx, ref, logs.Present) },
		},
		Reports: &worker.Reports{Runs: runs, Logs: r.logs, Publish: publish},
	}
	d.Clock = &clockticked.Clock{
		Runs: runs, Pools: pools, Groups: groups, Workers: d.Workers, Publish: publish, StartGrace: true,
		Direct: func(ctx context.Context, e events.Envelope) error { return r.direct(ctx, e, 0) },
	}
	return process{commit: commit, deps: d, table: functions.All(d)}
}

// publish gives events to the broker. What it refuses, the outbox keeps.
func (r *rig) publish(_ context.Context, es []events.Envelope) error {
	if r.away {
		return errBroker
	}
	for _, e := range es {
		r.commit.Published(e.ID)
		r.seen, r.queue = append(r.seen, e), append(r.queue, e)
	}
	return nil
}

// deliver hands an event to everyone who subscribes to it, as the broker does.
func (r *rig) deliver(e events.Envelope) {
	r.Helper()
	for _, f := range r.table {
		if f.On != e.Type || f.Handle == nil {
			continue
		}
		out, err := f.Handle(r.Context(), e)
		if err != nil && !errors.Is(err, state.ErrNoRun) { // which makes a dead letter
			r.Errorf("%s of %s: %v", f.Name, e.Subject, err)
		}
		_ = r.publish(r.Context(), out)
	}
}

// drain delivers what the broker has, and what comes of it.
func (r *rig) drain() {
	r.Helper()
	for len(r.queue) > 0 {
		e := r.queue[0]
		r.queue = r.queue[1:]
		r.deliver(e)
	}
}

// direct is the clock's way round the broker.
func (r *rig) direct(ctx context.Context, e events.Envelope, depth int) error {
	if depth > 16 {
		return nil
	}
	var errs []error
	for _, f := range r.table {
		if f.On != e.Type || f.Handle == nil {
			continue
		}
		out, err := f.Handle(ctx, e)
		errs = append(errs, err)
		for _, o := range out {
			r.commit.Published(o.ID)
			errs = append(errs, r.direct(ctx, o, depth+1))
		}
	}
	return errors.Join(errs...)
}

// tick lets the clock do its part.
func (r *rig) tick() {
	r.Helper()
	if _, _, err := r.deps.Clock.Tick(r.Context()); err != nil && !errors.Is(err, errBroker) {
		r.Errorf("clock: %v", err)
	}
	r.drain()
}

// pass lets time go by, second by second. Agents that beat do so.
func (r *rig) pass(d time.Duration) {
	r.Helper()
	for range int(d / time.Second) {
		r.now = r.now.Add(time.Second)
		for _, a := range r.agents {
			if a.beats && r.now.Sub(a.told) >= heartbeat {
				a.say(execution.Beat, "", nil)
			}
		}
		r.tick()
	}
}

// until lets time go by until what is waited for has come; bound is the longest
// that it may take.
func (r *rig) until(bound time.Duration, what string, done func() bool) time.Duration {
	r.Helper()
	for from := r.now; ; r.pass(time.Second) {
		if done() {
			return r.now.Sub(from)
		}
		if r.now.Sub(from) > bound {
			r.Fatalf("after %s still not: %s", bound, what)
		}
	}
}

// node declares a node of the pool.
func (r *rig) node(id events.NodeID, capacity events.Resources, labels ...string) {
	r.Helper()
	d := events.CapacityUpdated{Pool: pool, Node: id, Provider: "fake", Capacity: capacity, Labels: labels, Since: r.now}
	e, err := events.New(events.DeriveID("node", string(id), r.now.String()), "/relevo/test", "", r.now, d)
	if err != nil {
		r.Fatal(err)
	}
	r.deliver(e)
	r.drain()
}

func slots(n int64) events.Resources {
	return events.Resources{CPU: 1 << 20, Memory: 1 << 40, Slots: n}
}

func job(id string, needs ...string) pipeline.JobSpec {
	return pipeline.JobSpec{
		ID: id, Key: events.JobKey(id), Name: expression.Text(id), Needs: needs,
		Requirements: events.Requirements{Resources: events.Resources{CPU: 1000, Memory: 1 << 28, Slots: 1}},
		Steps:        []pipeline.StepSpec{{Run: expression.Text("true")}},
	}
}

func diamond() []pipeline.JobSpec {
	return []pipeline.JobSpec{job("a"), job("b", "a"), job("c", "a"), job("d", "b", "c")}
}

func request(t testing.TB, id events.RunID, jobs []pipeline.JobSpec) events.RunRequested {
	t.Helper()
	raw, err := json.Marshal(pipeline.Spec{Name: "scenario", Jobs: jobs})
	if err != nil {
		t.Fatal(err)
	}
	return events.RunRequested{RunRef: events.RunRef{Run: id}, Pipeline: "scenario", Spec: raw}
}

// submit has a run accepted, and lets the broker carry what follows.
func (r *rig) submit(id events.RunID, jobs ...pipeline.JobSpec) {
	r.Helper()
	res, err := r.deps.Runs.Create(r.Context(), "api", request(r, id, jobs))
	if err != nil {
		r.Fatal(err)
	}
	_ = r.publish(r.Context(), res.Emitted)
	r.drain()
}

func (r *rig) run(id events.RunID) *pipeline.Run {
	r.Helper()
	run, _, err := r.deps.Runs.Load(r.Context(), id)
	if err != nil {
		r.Fatal(err)
	}
	return run
}

func (r *rig) job(key events.JobKey) *pipeline.Job {
	r.Helper()
	return r.run(runID).Job(key)
}

func (r *rig) pool() *scheduling.Pool {
	r.Helper()
	p, _, err := r.deps.Pools.Look(r.Context(), pool)
	if err != nil {
		r.Fatal(err)
	}
	return p
}

// log reads what is kept of an attempt's log.
func (r *rig) log(ref events.AttemptRef) (text string, closed bool) {
	r.Helper()
	buf := make([]byte, 1<<16)
	n, _, closed, err := r.logs.Read(r.Context(), ref, 0, buf)
	if err != nil {
		r.Fatal(err)
	}
	return string(buf[:n]), closed
}

// took counts the events of a type that the broker took, of one id once.
func (r *rig) took(typ events.Type) int {
	ids := map[string]bool{}
	for _, e := range r.seen {
		if e.Type == typ {
			ids[e.ID] = true
		}
	}
	return len(ids)
}

// agent finds the worker's agent of a job's attempt.
func (r *rig) agent(key events.JobKey, attempt int) *agent {
	r.Helper()
	for _, a := range slices.Backward(r.agents) {
		if a.l.Job.Key == key && a.l.Attempt == attempt {
			return a
		}
	}
	r.Fatalf("attempt %d of %s was never launched", attempt, key)
	return nil
}
