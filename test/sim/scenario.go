package main

import (
	"context"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

const (
	stormFor   = 6 * time.Minute // how long faults go on
	patience   = 12 * time.Hour  // L1: all is final well within
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
func Play(seed uint64, f Faults, open func(clock func() time.Time) backing) (o Outcome) {
	w := NewWorld(seed, f, open)
	n := 1 + w.rng.IntN(3)
	defer func() {
		if r := recover(); r != nil {
			w.checks.fail("panic: %v", r)
			if f.Verbose {
				debug.PrintStack()
			}
		}
		o = Outcome{Fault: w.checks.fault, Trace: w.trace, Events: w.handled, Runs: n, Counts: w.counts, Elapsed: w.now.Sub(epoch0)}
	}()
	w.nodes()
	w.after(0, w.tick)
	for i := range n {
		spec := w.pipeline()
		w.after(w.between(0, 30*time.Second), func() { w.submit(i, spec) })
	}
	w.restarts()
	w.after(stormFor, func() {
		w.calm, w.calmAt = true, w.now
		w.note("calm")
	})
	for steps := 0; w.checks.fault == ""; steps++ {
		if w.calm && !w.looked {
			w.looked = true
			if w.unrest() == "" {
				break
			}
		}
		if w.now.Sub(epoch0) > patience || steps == maxActions {
			w.checks.fail("L1: not at rest after %s: %s", w.now.Sub(epoch0), w.unrest())
		}
		w.step()
	}
	w.checks.rest()
	return
}

// nodes declares the pool's nodes; one may come late, and in a pool that is
// not fixed go for a while.
func (w *World) nodes() {
	for i := range 1 + w.rng.IntN(2) {
		d := events.CapacityUpdated{
			Pool: pool, Node: events.NodeID("n" + strconv.Itoa(i)), Provider: "fake",
			Capacity: events.Resources{CPU: 4000, Memory: 8 << 30, Slots: 1 + w.rng.Int64N(3)},
		}
		at := time.Duration(0)
		if w.chance(w.faults.NodeLate) {
			w.count("node declared late")
			at = w.between(0, time.Minute)
		}
		w.after(at, func() { w.declare(d) })
		if !w.fixed && w.chance(w.faults.NodeGone) {
			w.count("node gone for a while")
			gone, at := d, at+w.between(0, stormFor-2*time.Minute)
			gone.Gone = true
			w.after(at, func() { w.declare(gone) })
			w.after(at+w.between(time.Second, 5*time.Minute), func() { w.declare(d) })
		}
	}
}

// declare tells what a node has, as its host does until it is heard.
func (w *World) declare(d events.CapacityUpdated) {
	w.declared[d.Node] = d
	d.Since = w.now
	e, err := events.New(events.DeriveID("node", string(d.Node), w.now.String()), "/relevo/sim", "", w.now, d)
	if err != nil {
		panic(err)
	}
	ok := w.surely(func(p *process) error {
		out, err := p.function("capacity-updated").Handle(context.Background(), e)
		if err == nil {
			w.publish(p, out)
		}
		return err
	})
	w.checks.after("capacity-updated")
	if !ok {
		w.after(time.Second, func() { w.declare(w.declared[d.Node]) })
	}
}

// surely repeats a call of the API until it is acknowledged, as a client does.
func (w *World) surely(call func(p *process) error) (ok bool) {
	for range 50 {
		ok = false
		if w.in(func(p *process) { ok = call(p) == nil }) && ok {
			return true
		}
	}
	return false
}

// pipeline draws a job graph.
func (w *World) pipeline() pipeline.Spec {
	s := pipeline.Spec{Name: "sim"}
	if w.rng.IntN(4) == 0 {
		s.Concurrency = w.concurrency("g")
	}
	n := 1 + w.rng.IntN(4)
	for j := range n {
		job := w.gated(w.job("j"+strconv.Itoa(j), s.Jobs))
		if w.rng.IntN(5) != 0 || job.Await != nil {
			s.Jobs = append(s.Jobs, job)
			continue
		}
		total := 2 + w.rng.IntN(2)
		strategy := pipeline.Strategy{FailFast: w.rng.IntN(2) == 0, Total: total, MaxParallel: w.rng.IntN(3)}
		for m := range total {
			one, st := job, strategy
			st.Index = m
			one.Key, one.Strategy = events.JobKey(job.ID+"."+strconv.Itoa(m)), &st
			s.Jobs = append(s.Jobs, one)
		}
	}
	return s
}

func (w *World) concurrency(group string) *pipeline.Concurrency {
	c := &pipeline.Concurrency{Group: expression.Text(group)}
	if w.rng.IntN(2) == 0 {
		yes := expression.Text("true")
		c.CancelInProgress = &yes
	}
	return c
}

func (w *World) job(id string, before []pipeline.JobSpec) pipeline.JobSpec {
	job := pipeline.JobSpec{
		ID: id, Key: events.JobKey(id), Name: expression.Text(id),
		Requirements: events.Requirements{Resources: events.Resources{CPU: 500, Memory: 1 << 28, Slots: 1}},
		Steps:        []pipeline.StepSpec{{Run: expression.Text("true")}},
	}
	for _, b := range before {
		if w.rng.IntN(2) == 0 && !slices.Contains(job.Needs, b.ID) {
			job.Needs = append(job.Needs, b.ID)
		}
	}
	if w.rng.IntN(3) == 0 {
		job.Retry = &pipeline.Retry{Max: 1 + w.rng.IntN(2), BackoffSeconds: 2}
		if w.rng.IntN(3) == 0 {
			job.Retry.On = []events.Verdict{events.Failed}
		}
	}
	if w.rng.IntN(8) == 0 {
		job.Concurrency = w.concurrency("jobs")
	}
	if w.rng.IntN(10) == 0 {
		job.If = &expression.Node{Op: expression.Call, Name: "always"}
	}
	if w.rng.IntN(8) == 0 {
		job.TimeoutMinutes = 0.2
	}
	if w.rng.IntN(24) == 0 {
		job.RunsOn = []expression.Template{expression.Text("a-label-that-no-node-has")}
	}
	return job
}
