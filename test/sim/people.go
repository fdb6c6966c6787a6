package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

func runID(seed uint64, i int) events.RunID {
	return events.RunID(fmt.Sprintf("01SEED%017d%03d", seed, i))
}

// submit asks for a run, and may think better of it later.
func (w *World) submit(i int, spec pipeline.Spec) {
	raw, err := json.Marshal(spec)
	if err != nil {
		panic(err)
	}
	id := runID(w.seed%1e16, i)
	ok := w.surely(func(p *process) error {
		res, err := p.deps.Runs.Create(context.Background(), "api", events.RunRequested{
			RunRef: events.RunRef{Run: id}, Pipeline: "sim", Spec: raw, Trigger: events.Trigger{Event: "manual"},
		})
		if err == nil {
			w.checks.accepted(id)
			w.publish(p, res.Emitted)
		}
		return err
	})
	w.note("submit %s %v", id, ok)
	w.checks.after("api")
	if !ok {
		return
	}
	if w.chance(w.faults.Cancel) {
		w.after(w.between(0, 90*time.Second), func() { w.cancel(id, "") })
	}
	for _, s := range spec.Jobs {
		if s.Await != nil {
			w.wake(id, s)
		}
		if w.chance(w.faults.CancelJob) {
			w.after(w.between(0, 90*time.Second), func() { w.cancel(id, s.Key) })
		}
	}
}

// cancel asks for the end of a run, or of a job of it, whatever state it is in.
func (w *World) cancel(id events.RunID, job events.JobKey) {
	d := events.CancelRequested{RunRef: events.RunRef{Run: id}, Job: job, Reason: "no longer wanted", By: "sim"}
	e, err := events.New(events.DeriveID("cancel", string(id), string(job)), "/relevo/api", "", w.now, d)
	if err != nil {
		panic(err)
	}
	was := w.checks.states(id, job)
	ok := w.surely(func(p *process) error {
		out, err := p.function("cancel-requested").Handle(context.Background(), e)
		if err == nil {
			w.checks.after("cancel")
			w.publish(p, out)
		}
		return err
	})
	w.checks.after("cancel")
	w.note("cancel %s %s %v", id, job, ok)
	if ok {
		for _, s := range was {
			w.count("cancel while " + s)
		}
		w.checks.cancelled(id, job)
	}
}
