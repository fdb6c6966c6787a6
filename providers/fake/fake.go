// Package fake is a provider without processes: its workers are records, and
// whoever tests moves them.
package fake

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
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
	workers map[key]*worker
	watch   map[int]func(provider.Change)
	serial  int // of watchers
	made    int // workers
}

// key is what a worker is made once for.
type key struct {
	id    events.WorkerID
	fence events.Fence
}

type worker struct {
	launch execution.Launch
	status provider.Status
	log    []byte
}

// New makes an empty provider.
func New() *Provider {
	return &Provider{workers: map[key]*worker{}, watch: map[int]func(provider.Change){}}
}

// Name is fake.
func (p *Provider) Name() string { return "fake" }

// Create makes a worker, or adopts the one that is there.
func (p *Provider) Create(ctx context.Context, l execution.Launch) (provider.Status, error) {
	if err := ctx.Err(); err != nil {
		return provider.Status{}, err
	}
	if p.Refuse != nil {
		if err := p.Refuse(l); err != nil {
			return provider.Status{}, err
		}
	}
	p.mu.Lock()
	k := key{l.Worker, l.Fence}
	if w, ok := p.workers[k]; ok {
		status := w.status
		p.mu.Unlock()
		return status, nil
	}
	p.made++
	status := provider.Status{
		AttemptRef: l.AttemptRef, Handle: fmt.Sprintf("%s/%s@%s#%d", l.Installation, l.Worker, l.Fence, p.made), Running: true,
		Placement: events.Placement{Pool: l.Pool, Assignment: l.Assignment, Worker: l.Worker, Provider: p.Name()},
	}
	p.workers[k] = &worker{launch: l, status: status}
	p.mu.Unlock()
	if p.Launched != nil {
		p.Launched(l)
	}
	return status, nil
}

// latest is the worker of the highest fence under an id; the caller holds mu.
func (p *Provider) latest(id events.WorkerID) *worker {
	var found *worker
	for k, w := range p.workers {
		if k.id == id && (found == nil || k.fence.Compare(found.launch.Fence) > 0) {
			found = w
		}
	}
	return found
}

// Terminate removes the workers of this fence and of older ones.
func (p *Provider) Terminate(ctx context.Context, id events.WorkerID, fence events.Fence) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	var gone []execution.Launch
	for k, w := range p.workers {
		if k.id == id && k.fence.Compare(fence) <= 0 {
			delete(p.workers, k)
			gone = append(gone, w.launch)
		}
	}
	p.mu.Unlock()
	slices.SortFunc(gone, func(a, b execution.Launch) int { return a.Fence.Compare(b.Fence) })
	for _, l := range gone {
		if p.Removed != nil {
			p.Removed(l)
		}
	}
	return nil
}

// Exit ends a worker from inside, the one of the highest fence under the id;
// tell says whether the watchers hear of it.
func (p *Provider) Exit(id events.WorkerID, code int, reason string, tell bool) {
	p.mu.Lock()
	w := p.latest(id)
	if w == nil {
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
	if w := p.latest(id); w != nil {
		w.log = append(w.log, b...)
	}
}

// List gives the workers in order of id and fence.
func (p *Provider) List(ctx context.Context) ([]provider.Status, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]provider.Status, 0, len(p.workers))
	for _, w := range p.workers {
		out = append(out, w.status)
	}
	slices.SortFunc(out, func(a, b provider.Status) int {
		return cmp.Or(cmp.Compare(a.Placement.Worker, b.Placement.Worker), a.Fence.Compare(b.Fence))
	})
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
func (p *Provider) Logs(ctx context.Context, id events.WorkerID) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.latest(id)
	if w == nil {
		return nil, provider.ErrNotFound
	}
	return io.NopCloser(bytes.NewReader(bytes.Clone(w.log))), nil
}

// PortForward asks Dial.
func (p *Provider) PortForward(ctx context.Context, id events.WorkerID, port int) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	w := p.latest(id)
	p.mu.Unlock()
	if w == nil || p.Dial == nil {
		return nil, provider.ErrNotFound
	}
	return p.Dial(id, port)
}

// Secure has nothing to do.
func (p *Provider) Secure(context.Context) error { return nil }
