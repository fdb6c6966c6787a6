package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
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
		return w.create(p, events.RunRequested{
			RunRef: events.RunRef{Run: id}, Pipeline: "sim", Spec: raw, Trigger: events.Trigger{Event: "manual"},
		})
	})
	w.note("submit %s %v", id, ok)
	w.checks.after("api")
	if !ok {
		return
	}
	w.watch(id, spec)
	w.retryLater(id, i, spec)
}

// create has the api accept a run.
func (w *World) create(p *process, req events.RunRequested) error {
	res, err := p.deps.Runs.Create(context.Background(), "api", req)
	if err == nil {
		w.checks.accepted(req.Run)
		w.publish(p, res.Emitted)
	}
	return err
}

// retryLater has somebody retry the nth run, maybe, and maybe what comes of that.
func (w *World) retryLater(id events.RunID, n int, spec pipeline.Spec) {
	if n < 300 && w.again.IntN(2) == 0 {
		w.after(time.Duration(w.again.Int64N(int64(stormFor))), func() { w.retry(id, n+100, spec) })
	}
}

// retry asks for what failed of a run once more, should it be over.
func (w *World) retry(of events.RunID, n int, spec pipeline.Spec) {
	id, refused := runID(w.seed%1e16, n), ""
	ok := w.surely(func(p *process) (err error) {
		refused, err = w.tryRetry(p, of, id)
		return err
	})
	w.note("retry %s as %s %s %v", of, id, refused, ok)
	w.checks.after("api")
	switch {
	case strings.HasPrefix(refused, pipeline.ErrNotOver.Error()):
		w.after(time.Minute, func() { w.retry(of, n, spec) }) // they come again
	case refused != "":
		w.count("retry refused: " + refused)
	case ok:
		w.watch(id, spec)
		w.retryLater(id, n, spec)
	}
}

func (w *World) tryRetry(p *process, of, id events.RunID) (refused string, err error) {
	run, _, err := p.deps.Runs.Load(context.Background(), of)
	if err != nil {
		return "", err
	}
	req, why := run.Retry(run.Request().Trigger, true)
	if why != nil {
		return fmt.Sprint(why), nil
	}
	req.Run = id
	return "", w.create(p, req)
}

// watch lets a run's people act: who cancels it, or a job, and who opens a gate.
func (w *World) watch(id events.RunID, spec pipeline.Spec) {
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
