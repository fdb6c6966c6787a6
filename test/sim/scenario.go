package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/protocol"
)

const (
	offerTTL   = 6 * time.Hour
	stormFor   = 6 * time.Minute // how long faults go on
	patience   = 48 * time.Hour  // L1: all is final well within
	maxActions = 400_000
)

// Outcome is how a seed went.
type Outcome struct {
	Fault   string // empty: every property held
	Trace   uint64
	Events  int
	Runs    int
	Counts  map[string]int
	Elapsed time.Duration // simulated
}

// Play runs one seed to its end.
func Play(seed uint64, f Faults, open func(clock func() time.Time) backing) Outcome {
	w := NewWorld(seed, f, open)
	w.nodes()
	w.after(0, w.tick)
	n := 1 + w.rng.IntN(3)
	for i := range n {
		spec := w.pipeline(i)
		w.after(w.between(0, 30*time.Second), func() { w.submit(i, spec) })
	}
	w.restarts()
	w.after(stormFor, func() { w.calm = true; w.note("calm") })
	for steps := 0; w.checks.fault == "" && steps < maxActions; steps++ {
		if w.calm && w.atRest(n) {
			break
		}
		if w.now.Sub(epoch0) > patience || steps == maxActions-1 {
			w.checks.fail("L1: not at rest after %s: %s", w.now.Sub(epoch0), w.unrest())
			break
		}
		w.safely(w.step)
	}
	w.checks.rest()
	return Outcome{Fault: w.checks.fault, Trace: w.trace, Events: w.handled, Runs: n, Counts: w.counts, Elapsed: w.now.Sub(epoch0)}
}

// safely runs one action; a crash in it restarts the process.
func (w *World) safely(step func() bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(crash); !ok {
				panic(r)
			}
			w.boot()
		}
	}()
	step()
}

func (w *World) nodes() {
	for i := range 1 + w.rng.IntN(2) {
		d := events.CapacityUpdated{
			Pool: pool, Node: events.NodeID("n" + strconv.Itoa(i)), Provider: "fake",
			Capacity: events.Resources{CPU: 4000, Memory: 8 << 30, Slots: 1 + w.rng.Int64N(3)}, Since: w.now,
		}
		e, err := events.New(events.DeriveID("node", string(d.Node)), "/relevo/sim", "", w.now, d)
		if err != nil {
			panic(err)
		}
		w.surely(func() error { _, err := w.function("capacity-updated").Handle(context.Background(), e); return err })
	}
}

// surely repeats a call of the API until it is acknowledged, as a client does.
func (w *World) surely(call func() error) bool {
	for range 50 {
		if call() == nil {
			return true
		}
	}
	return false
}

// pipeline draws a job graph.
func (w *World) pipeline(i int) pipeline.Spec {
	s := pipeline.Spec{Name: "sim"}
	if w.rng.IntN(4) == 0 {
		s.Concurrency = &pipeline.Concurrency{Group: expression.Text("g")}
		if w.rng.IntN(2) == 0 {
			yes := expression.Text("true")
			s.Concurrency.CancelInProgress = &yes
		}
	}
	n := 1 + w.rng.IntN(4)
	for j := range n {
		id := "j" + strconv.Itoa(j)
		job := pipeline.JobSpec{
			ID: id, Key: events.JobKey(id), Name: expression.Text(id),
			Requirements: events.Requirements{Resources: events.Resources{CPU: 500, Memory: 1 << 28, Slots: 1}},
			Steps:        []pipeline.StepSpec{{Run: expression.Text("true")}},
		}
		for k := range j {
			if w.rng.IntN(2) == 0 {
				job.Needs = append(job.Needs, "j"+strconv.Itoa(k))
			}
		}
		if w.rng.IntN(3) == 0 {
			job.Retry = &pipeline.Retry{Max: 1 + w.rng.IntN(2), BackoffSeconds: 2}
		}
		if w.rng.IntN(8) == 0 {
			job.Concurrency = &pipeline.Concurrency{Group: expression.Text("jobs")}
		}
		if w.rng.IntN(5) != 0 {
			s.Jobs = append(s.Jobs, job)
			continue
		}
		strategy := pipeline.Strategy{FailFast: w.rng.IntN(2) == 0, Total: 2, MaxParallel: w.rng.IntN(2)}
		for m := range 2 {
			one, st := job, strategy
			st.Index = m
			one.Key, one.Strategy = events.JobKey(id+"."+strconv.Itoa(m)), &st
			s.Jobs = append(s.Jobs, one)
		}
	}
	return s
}

func runID(seed uint64, i int) events.RunID {
	return events.RunID(fmt.Sprintf("01SEED%017d%03d", seed, i))
}

func (w *World) submit(i int, spec pipeline.Spec) {
	raw, err := json.Marshal(spec)
	if err != nil {
		panic(err)
	}
	id := runID(w.seed%1e16, i)
	var out []events.Envelope
	ok := w.surely(func() error {
		res, err := w.deps.Runs.Create(context.Background(), "api", events.RunRequested{
			RunRef: events.RunRef{Run: id}, Pipeline: "sim", Spec: raw, Trigger: events.Trigger{Event: "manual"},
		})
		out = res.Emitted
		return err
	})
	w.note("submit %s %v", id, ok)
	if !ok {
		return
	}
	w.checks.accepted(id)
	w.checks.after("api")
	w.publish(out)
	if w.chance(w.faults.Cancel) {
		w.after(w.between(0, 90*time.Second), func() { w.cancel(id) })
	}
}

// cancel asks for the end of a run, whatever state it is in.
func (w *World) cancel(id events.RunID) {
	d := events.CancelRequested{RunRef: events.RunRef{Run: id}, Reason: "no longer wanted", By: "sim"}
	e, err := events.New(events.DeriveID("cancel", string(id)), "/relevo/api", "", w.now, d)
	if err != nil {
		panic(err)
	}
	var out []events.Envelope
	ok := w.surely(func() error {
		var err error
		out, err = w.function("cancel-requested").Handle(context.Background(), e)
		return err
	})
	w.checks.after("cancel")
	w.note("cancel %s %v", id, ok)
	if r := w.checks.runs[id]; ok && r != nil {
		w.count("cancel")
		r.cancelled = true
	}
	w.publish(out)
}

// restarts lets the store lose its last milliseconds now and then.
func (w *World) restarts() {
	m, ok := w.store.Store.(*memory.Store)
	if !ok {
		return
	}
	for range 3 {
		if !w.chance(w.faults.Restart) {
			continue
		}
		w.after(w.between(0, stormFor-10*time.Second), func() {
			snap := m.Snapshot()
			w.after(w.between(0, 30*time.Millisecond), func() {
				w.count("store restarted, last milliseconds lost")
				w.note("restart")
				m.Restore(snap)
				w.boot()
				w.checks.rolledBack()
			})
		})
	}
}

// atRest tells whether nothing is left to do.
func (w *World) atRest(submitted int) bool {
	return w.unrest() == ""
}

// unrest names what is left to do: L1, L3, L4.
func (w *World) unrest() string {
	ctx := context.Background()
	for _, id := range sortedKeys(w.checks.runs) {
		if r := w.checks.runs[id]; !r.shadow.State.Final() {
			return fmt.Sprintf("run %s is %s", id, r.shadow.State)
		}
	}
	if list, _ := w.provider.List(ctx); len(list) > 0 {
		return "workers are left"
	}
	ps, _ := w.store.Store.Partitions(ctx)
	for _, kind := range []string{"held", "offer"} {
		if docs, _ := w.store.Store.List(ctx, protocol.PoolPartition(pool), kind); len(docs) > 0 {
			return fmt.Sprintf("%d %s left", len(docs), kind)
		}
	}
	due, next, _ := w.store.Store.Overdue(ctx, ps, 1)
	if len(due) > 0 || !next.IsZero() {
		return fmt.Sprintf("due entries are left: %v, next %s", due, next)
	}
	for _, p := range ps {
		if out, _ := w.store.Store.Outbox(ctx, p, 0, 1); len(out) > 0 {
			return "the outbox of " + string(p) + " is not drained"
		}
	}
	return ""
}

// rest holds what must be so at the end.
func (a *auditor) rest() {
	if a.fault != "" {
		return
	}
	for _, id := range sortedKeys(a.runs) {
		for _, j := range a.runs[id].shadow.Jobs {
			if !j.State.Final() {
				a.fail("S1: job %s of %s is %q at rest", j.Key, id, j.State)
			}
		}
	}
	if u := a.w.unrest(); u != "" {
		a.fail("L4: %s", u)
	}
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
