package main

import (
	"context"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/providers/fake"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/provider"
)

// simProvider is the fake provider behind a slow and faulty network.
type simProvider struct {
	*fake.Provider
	w       *World
	removal events.Fence // that of the Terminate or Create under way
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
	case w.chance(w.faults.CreateFails):
		w.count("provider: worker not to be had")
		return provider.Status{}, &provider.Failure{Reason: "no room"}
	case w.chance(w.faults.CreateError):
		w.count("provider: API error")
		return provider.Status{}, errInjected
	}
	was := p.removal
	p.removal = l.Fence
	s, err := p.Provider.Create(ctx, l)
	p.removal = was
	if err != nil {
		return s, err
	}
	if w.chance(w.faults.CreateError) {
		w.count("provider: worker made, reply lost")
		return provider.Status{}, errInjected
	}
	if w.chance(w.faults.Preparing) {
		w.count("provider: worker made, image not there yet")
		s.Preparing = "pulls the image"
	}
	return s, nil
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
	was := p.removal
	p.removal = fence
	err := p.Provider.Terminate(ctx, id, fence)
	p.removal = was
	if err == nil && w.chance(w.faults.CreateError) {
		w.count("provider: worker removed, reply lost")
		return errInjected
	}
	return err
}

// removed stops the agents of a worker that the provider removed.
func (p *simProvider) removed(l execution.Launch) {
	w := p.w
	w.note("remove %s %s", l.Worker, l.Fence)
	w.checks.removed(l, p.removal)
	for _, a := range w.agents {
		if a.l.Worker == l.Worker && a.l.Fence == l.Fence {
			a.alive = false
		}
	}
}
