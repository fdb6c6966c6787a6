// Package workers launches and removes the workers of attempts through the
// providers, and says what came of it as events.
package workers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/provider"
	"github.com/relevo-ci/relevo/shared/state"
)

// Workers launches and removes workers.
type Workers struct {
	Runs      *state.Runs
	Providers map[string]provider.Provider
	Settings  Settings
	// CloseLog fixes the log of an attempt whose worker is gone: no more will
	// come. Nil: nobody keeps logs here.
	CloseLog func(ctx context.Context, ref events.AttemptRef) error
}

// Settings go into every launch.
type Settings struct {
	Installation string
	// Report is where agents send their reports; by provider, else "".
	Report map[string]string
	// Key signs the attempts' tokens.
	Key       []byte
	Heartbeat time.Duration
	Grace     time.Duration
	SpoolMax  int64
	// OrphanAfter ends workers that nobody will listen to again; see execution.Launch.
	OrphanAfter time.Duration
	// Image for jobs that name none, by provider.
	Image map[string]string
	// Workspace that steps start in, by provider; empty: the provider's own.
	Workspace map[string]string
}

// report is where a provider's agents send their reports.
func (s Settings) report(provider string) string {
	if address, ok := s.Report[provider]; ok {
		return address
	}
	return s.Report[""]
}

func (w *Workers) provider(name string) (provider.Provider, error) {
	p, ok := w.Providers[name]
	if !ok {
		return nil, fn.Faultf(fn.Invalid, "workers: no provider %q here", name)
	}
	return p, nil
}

// Launch makes the worker of an attempt that was accepted and not heard of
// yet. It may run twice: providers adopt. After the launch it looks at the
// attempt again and removes the worker when it is stale by now.
func (w *Workers) Launch(ctx context.Context, function string, cause events.Envelope, run *pipeline.Run, key events.JobKey, a *pipeline.Attempt) ([]events.Envelope, error) {
	j := run.Job(key)
	ref := run.AttemptRef(j, a)
	em := fn.Emitter(function, cause)
	p, err := w.provider(a.Placement.Provider)
	if err != nil {
		return nil, err
	}
	launch, failure := w.launch(run, j, a)
	var status provider.Status
	if failure == nil {
		status, err = p.Create(ctx, launch)
	}
	switch {
	case failure != nil, errors.As(err, &failure):
		em.Emit(events.WorkerFailed{For: ref, Placement: a.Placement, Reason: failure.Reason, Permanent: failure.Permanent})
		return em.Emitted(), nil //nolint:nilerr // a failure is told as an event
	case err != nil:
		return nil, fmt.Errorf("workers: create %s: %w", a.Placement.Worker, err)
	}
	now, _, err := w.Runs.Load(ctx, run.ID)
	if err != nil {
		return nil, err
	}
	if !now.Holds(ref) {
		return w.Remove(ctx, ref, a.Placement, "stale when its launch returned", cause)
	}
	e := em.Emit(events.WorkerCreated{For: ref, Placement: a.Placement, Preparing: status.Preparing})
	if status.Preparing != "" {
		j := now.Job(key)
		if j.Current().Preparing == status.Preparing {
			return nil, nil // it is known
		}
		// The same delivery, repeated, finds something else that the start waits
		// for: that is another event.
		e.ID = events.DeriveID("worker.created", j.Last, status.Preparing)
	}
	return []events.Envelope{e}, nil
}

// Look says what became of a worker, or is about to; not ok where its provider
// sees nothing worth telling, is none that can look, or is not at hand.
func (w *Workers) Look(ctx context.Context, ref events.AttemptRef, at events.Placement) (provider.Change, bool, error) {
	p, ok := w.Providers[at.Provider].(provider.Looker)
	if !ok {
		return provider.Change{}, false, nil
	}
	c, ok, err := p.Look(ctx, at.Worker, ref.Fence)
	if err != nil {
		return c, false, fmt.Errorf("workers: look at %s: %w", at.Worker, err)
	}
	return c, ok, nil
}

// Remove ends a worker and says so, also of one that was never made. The id of
// what it says depends on the worker alone.
func (w *Workers) Remove(ctx context.Context, ref events.AttemptRef, at events.Placement, why string, cause events.Envelope) ([]events.Envelope, error) {
	if at.Worker == "" {
		return nil, nil
	}
	p, err := w.provider(at.Provider)
	if err != nil {
		return nil, err
	}
	if err := p.Terminate(ctx, at.Worker, ref.Fence); err != nil {
		return nil, fmt.Errorf("workers: terminate %s: %w", at.Worker, err)
	}
	if w.CloseLog != nil && !ref.Fence.IsZero() {
		if err := w.CloseLog(ctx, ref); err != nil {
			return nil, fmt.Errorf("workers: close log: %w", err)
		}
	}
	return []events.Envelope{Gone(ref, at, why, cause)}, nil
}

// Gone is the worker.terminated event of a worker.
func Gone(ref events.AttemptRef, at events.Placement, why string, cause events.Envelope) events.Envelope {
	d := events.WorkerTerminated{For: ref, Placement: at, Reason: why}
	id := events.DeriveID("worker.terminated", string(at.Worker), ref.Fence.String())
	e, err := events.New(id, "/relevo/provider", cause.ID, cause.Time, d)
	if err != nil { // payloads of package events always encode
		panic(err)
	}
	e = e.Traced(cause.Traceparent)
	e.Tracestate, e.Epoch = cause.Tracestate, cause.Epoch
	return e
}

// launch writes down what a worker is born with. It fails where an expression
// of the job does, for good: another launch would fare no better.
func (w *Workers) launch(run *pipeline.Run, j *pipeline.Job, a *pipeline.Attempt) (execution.Launch, *provider.Failure) {
	spec := run.JobSpec(j.Key)
	ref := run.AttemptRef(j, a)
	s := w.Settings
	l := execution.Launch{
		AttemptRef: ref, Worker: a.Placement.Worker, Assignment: a.Placement.Assignment, Pool: a.Placement.Pool,
		Installation: s.Installation, Report: s.report(a.Placement.Provider), Token: Token(s.Key, ref, a.Placement.Worker),
		HasSecrets: run.Spec().Wants(j.Key).Any(), Clone: run.Request().Trigger.Clone, Untrusted: run.Request().Trigger.Untrusted,
		Job: *spec, Env: run.Spec().Env, Image: s.Image[a.Placement.Provider],
		Traceparent: events.AttemptContext(run.Context(), ref).String(),
		Resources:   j.Request.Requirements.Resources, Workspace: s.Workspace[a.Placement.Provider],
		Heartbeat: s.Heartbeat, Grace: s.Grace, SpoolMax: s.SpoolMax, OrphanAfter: s.OrphanAfter,
		Contexts: map[string]json.RawMessage{},
	}
	contexts := run.Contexts(j.Key)
	for name, v := range contexts {
		raw, err := json.Marshal(v)
		if err != nil {
			return l, &provider.Failure{Reason: fmt.Sprintf("context %s: %v", name, err), Permanent: true}
		}
		l.Contexts[name] = raw
	}
	if spec.Container != nil {
		image, err := spec.Container.Image.Eval(&expression.Env{Contexts: contexts, Status: expression.Success})
		if err != nil {
			return l, &provider.Failure{Reason: fmt.Sprintf("container: %v", err), Permanent: true}
		}
		l.Image = image
		if spec.Container.WorkingDir != "" {
			l.Workspace = spec.Container.WorkingDir
		}
	}
	return l, nil
}

// Sweep removes every worker whose attempt is over or was never known, and
// says so of the former: the assignment of an attempt that the store lost may be
// another's by now, and its pool asks the run. One that is under way, ended but
// not reported included, is left to the events and the lease.
func (w *Workers) Sweep(ctx context.Context) ([]events.Envelope, error) {
	var gone []events.Envelope
	var errs []error
	for _, p := range w.Providers {
		list, err := p.List(ctx)
		if err != nil {
			errs = append(errs, fmt.Errorf("workers: list %s: %w", p.Name(), err))
			continue
		}
		for _, s := range list {
			run, moment, err := w.Runs.Load(ctx, s.Run)
			if err != nil && !errors.Is(err, state.ErrNoRun) {
				errs = append(errs, err)
				continue
			}
			if err == nil && (run.Holds(s.AttemptRef) || wanted(run, s, moment.Now)) {
				continue
			}
			if err := p.Terminate(ctx, s.Placement.Worker, s.Fence); err != nil {
				errs = append(errs, fmt.Errorf("workers: terminate %s: %w", s.Placement.Worker, err))
				continue
			}
			if err == nil && known(run, s) {
				gone = append(gone, Gone(s.AttemptRef, s.Placement, "orphan", events.Envelope{Time: moment.Now, Epoch: moment.Epoch, Traceparent: run.Context().String()}))
			}
		}
	}
	return gone, errors.Join(errs...)
}

// sweepAfter leaves a worker the time to go by itself.
const sweepAfter = time.Minute

func wanted(run *pipeline.Run, s provider.Status, now time.Time) bool {
	a := attempt(run, s)
	return a != nil && now.Sub(a.Ended) < sweepAfter
}

func known(run *pipeline.Run, s provider.Status) bool { return attempt(run, s) != nil }

func attempt(run *pipeline.Run, s provider.Status) *pipeline.Attempt {
	j := run.Job(s.Job)
	if j == nil {
		return nil
	}
	for _, a := range j.Attempts {
		if a.Number == s.Attempt && a.Fence == s.Fence {
			return a
		}
	}
	return nil
}
