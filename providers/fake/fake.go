// Package fake is a provider without processes: its workers are records, and
// whoever tests moves them.
package fake

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"maps"
	"net"
	"slices"
	"sync"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/provider"
)

// Provider keeps workers in memory.
type Provider struct {
	// Launched is called for each worker that was made, not for one adopted.
	Launched func(l execution.Launch)
	// Removed is called for each worker that was removed.
	Removed func(l execution.Launch)
	// Refuse may fail a Create, before anything is made.
	Refuse func(l execution.Launch) error
	// Dial answers PortForward.
	Dial func(id events.WorkerID, port int) (net.Conn, error)

	mu      sync.Mutex
	workers map[events.WorkerID]*worker
	watch   map[int]func(provider.Change)
	serial  int
}

type worker struct {
	launch execution.Launch
	status provider.Status
	log    []byte
}

// New makes an empty provider.
func New() *Provider {
	return &Provider{workers: map[events.WorkerID]*worker{}, watch: map[int]func(provider.Change){}}
}

// Name is fake.
func (p *Provider) Name() string { return "fake" }

// Create makes a worker, or adopts the one that is there.
func (p *Provider) Create(_ context.Context, l execution.Launch) (provider.Status, error) {
	if p.Refuse != nil {
		if err := p.Refuse(l); err != nil {
			return provider.Status{}, err
		}
	}
	p.mu.Lock()
	if w, ok := p.workers[l.Worker]; ok && w.launch.Fence.Compare(l.Fence) >= 0 {
		status := w.status
		p.mu.Unlock()
		return status, nil
	}
	w := &worker{launch: l, status: provider.Status{
		AttemptRef: l.AttemptRef, Handle: string(l.Worker) + "@" + l.Fence.String(), Running: true,
		Placement: events.Placement{Pool: l.Pool, Assignment: l.Assignment, Worker: l.Worker, Provider: p.Name()},
	}}
	old := p.workers[l.Worker]
	p.workers[l.Worker] = w
	p.mu.Unlock()
	if old != nil && p.Removed != nil { // of an older fence
		p.Removed(old.launch)
	}
	if p.Launched != nil {
		p.Launched(l)
	}
	return w.status, nil
}

// Terminate removes a worker of this fence or an older one.
func (p *Provider) Terminate(_ context.Context, id events.WorkerID, fence events.Fence) error {
	p.mu.Lock()
	w, ok := p.workers[id]
	if !ok || w.launch.Fence.Compare(fence) > 0 {
		p.mu.Unlock()
		return nil
	}
	delete(p.workers, id)
	p.mu.Unlock()
	if p.Removed != nil {
		p.Removed(w.launch)
	}
	return nil
}

// Exit ends a worker from inside; tell says whether the watchers hear of it.
func (p *Provider) Exit(id events.WorkerID, code int, reason string, tell bool) {
	p.mu.Lock()
	w, ok := p.workers[id]
	if !ok {
		p.mu.Unlock()
		return
	}
	w.status.Running, w.status.Exit, w.status.Reason = false, code, reason
	change := provider.Change{Status: w.status}
	watch := slices.Collect(maps.Values(p.watch))
	p.mu.Unlock()
	if tell {
		for _, f := range watch {
			f(change)
		}
	}
}

// Print adds to what the worker's agent printed.
func (p *Provider) Print(id events.WorkerID, b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w, ok := p.workers[id]; ok {
		w.log = append(w.log, b...)
	}
}

// List gives the workers in order of id.
func (p *Provider) List(context.Context) ([]provider.Status, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]provider.Status, 0, len(p.workers))
	for _, w := range p.workers {
		out = append(out, w.status)
	}
	slices.SortFunc(out, func(a, b provider.Status) int { return cmp.Compare(a.Placement.Worker, b.Placement.Worker) })
	return out, nil
}

// Watch tells of exits until ctx ends.
func (p *Provider) Watch(ctx context.Context, tell func(provider.Change)) error {
	p.mu.Lock()
	p.serial++
	n := p.serial
	p.watch[n] = tell
	p.mu.Unlock()
	<-ctx.Done()
	p.mu.Lock()
	delete(p.watch, n)
	p.mu.Unlock()
	return ctx.Err()
}

// Logs reads what Print added.
func (p *Provider) Logs(_ context.Context, id events.WorkerID) (io.ReadCloser, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, ok := p.workers[id]
	if !ok {
		return nil, provider.ErrNotFound
	}
	return io.NopCloser(bytes.NewReader(bytes.Clone(w.log))), nil
}

// PortForward asks Dial.
func (p *Provider) PortForward(_ context.Context, id events.WorkerID, port int) (net.Conn, error) {
	p.mu.Lock()
	_, ok := p.workers[id]
	p.mu.Unlock()
	if !ok || p.Dial == nil {
		return nil, provider.ErrNotFound
	}
	return p.Dial(id, port)
}

// Secure has nothing to do.
func (p *Provider) Secure(context.Context) error { return nil }
