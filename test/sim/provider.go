package main

import (
	"context"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/providers/fake"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/provider"
)

// simProvider is the fake provider behind a slow and faulty network.
type simProvider struct {
	*fake.Provider
	w       *World
	removal events.Fence  // that of the Terminate or Create under way
	pull    time.Duration // before the worker made now begins
}

func newProvider(w *World) *simProvider {
	p := &simProvider{Provider: fake.New(), w: w}
	p.Launched, p.Removed = w.launched, p.removed
	return p
}

// Create takes a while now and then, and fails before or after its effect.
func (p *simProvider) Create(ctx context.Context, l execution.Launch) (provider.Status, error) {
	w := p.w
	if w.chance(w.faults.CreateSlow) {
		w.count("provider: slow to make a worker")
		w.meanwhile()
	}
	switch {
	case !p.has(l.Worker) && w.chance(w.faults.CreateFails):
		w.count("provider: worker not to be had")
		return provider.Status{}, &provider.Failure{Reason: "no room"}
	case w.chance(w.faults.CreateError):
		w.count("provider: API error")
		return provider.Status{}, errInjected
	}
	was := p.removal
	p.removal = l.Fence
	preparing := w.chance(w.faults.Preparing)
	p.pull = 0
	if preparing {
		p.pull = w.between(0, 90*time.Second)
	}
	s, err := p.Provider.Create(ctx, l)
	p.removal = was
	if err != nil {
		return s, err
	}
	w.checks.created(l, s)
	if w.chance(w.faults.CreateError) {
		w.count("provider: worker made, reply lost")
		return provider.Status{}, errInjected
	}
	if preparing {
		w.count("provider: worker made, image not there yet")
		s.Preparing = "pulls the image"
		w.after(w.between(time.Second, time.Minute), func() { w.stillPreparing(s, "unpacks the image") })
	}
	return s, nil
}

// stillPreparing tells how a worker's start goes on, whatever became of it.
func (w *World) stillPreparing(s provider.Status, what string) {
	e, err := events.New(events.DeriveID("preparing", s.Handle, what), "/relevo/provider", "", w.now,
		events.WorkerCreated{For: s.AttemptRef, Placement: s.Placement, Preparing: what})
	if err != nil {
		panic(err)
	}
	w.in(func(p *process) { w.publish(p, []events.Envelope{e}) })
}

// Terminate takes a while now and then, and fails before or after its effect.
func (p *simProvider) Terminate(ctx context.Context, id events.WorkerID, fence events.Fence) error {
	w := p.w
	if w.chance(w.faults.CreateSlow) {
		w.count("provider: slow to remove a worker")
		w.meanwhile()
	}
	if w.chance(w.faults.CreateError) {
		w.count("provider: removal failed")
		return errInjected
	}
	if w.chance(w.faults.RemoveLate) {
		w.count("provider: removal delayed past its time-out")
		w.after(w.between(time.Second, time.Minute), func() { _ = p.terminate(context.Background(), id, fence) })
		return errInjected
	}
	err := p.terminate(ctx, id, fence)
	if err == nil && w.chance(w.faults.CreateError) {
		w.count("provider: worker removed, reply lost")
		return errInjected
	}
	return err
}

func (p *simProvider) terminate(ctx context.Context, id events.WorkerID, fence events.Fence) error {
	was := p.removal
	p.removal = fence
	defer func() { p.removal = was }()
	return p.Provider.Terminate(ctx, id, fence)
}

// removed stops the agents of a worker that the provider removed.
func (p *simProvider) removed(l execution.Launch) {
	w := p.w
	w.note("remove %s %s", l.Worker, l.Fence)
	w.checks.removed(l, p.removal)
	for _, a := range w.agents {
		if a.l.Worker == l.Worker && a.l.Fence == l.Fence {
			// Gone for the provider: a host that it does not reach may go on.
			a.zombie = a.alive && w.chance(w.faults.Zombie)
			if a.zombie {
				w.count("worker goes on after its removal")
			}
			a.alive = a.zombie
		}
	}
}

func (p *simProvider) has(id events.WorkerID) bool {
	list, _ := p.List(context.Background())
	return slices.ContainsFunc(list, func(s provider.Status) bool { return s.Placement.Worker == id })
}
