package workers

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/provider"
)

// Bulkhead bounds what a provider that does not answer may hold up: each call
// that makes, removes or lists workers gets so long, also where the provider
// does not look at its context, and so many may be under way. A call beyond
// that, and one that takes too long, is fn.Transient: the clock comes again.
func Bulkhead(p provider.Provider, patience time.Duration, most int) provider.Provider {
	return &bulkhead{Provider: p, patience: patience, slots: make(chan struct{}, most)}
}

type bulkhead struct {
	provider.Provider
	patience time.Duration
	slots    chan struct{}
}

// Create makes a worker; see provider.Provider.
func (b *bulkhead) Create(ctx context.Context, l execution.Launch) (provider.Status, error) {
	return within(ctx, b, "create", func(ctx context.Context) (provider.Status, error) { return b.Provider.Create(ctx, l) })
}

// Terminate removes a worker; see provider.Provider.
func (b *bulkhead) Terminate(ctx context.Context, id events.WorkerID, fence events.Fence) error {
	_, err := within(ctx, b, "terminate", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.Provider.Terminate(ctx, id, fence)
	})
	return err
}

// List gives the workers; see provider.Provider.
func (b *bulkhead) List(ctx context.Context) ([]provider.Status, error) {
	return within(ctx, b, "list", b.Provider.List)
}

// Look looks at a worker, where the provider can; see provider.Looker.
func (b *bulkhead) Look(ctx context.Context, id events.WorkerID, fence events.Fence) (provider.Change, bool, error) {
	p, ok := b.Provider.(provider.Looker)
	if !ok {
		return provider.Change{}, false, nil
	}
	var told bool
	c, err := within(ctx, b, "look", func(ctx context.Context) (c provider.Change, err error) {
		c, told, err = p.Look(ctx, id, fence)
		return c, err
	})
	return c, err == nil && told, err
}

// within makes one call. One that is given up holds its slot until it returns.
func within[T any](ctx context.Context, b *bulkhead, what string, call func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	var none T
	select {
	case b.slots <- struct{}{}:
	case <-ctx.Done():
		return none, fn.Faultf(fn.Transient, "workers: %s: provider %s is busy: %d calls are under way: %w", what, b.Name(), cap(b.slots), ctx.Err())
	}
	type answer struct {
		value T
		err   error
	}
	answered := make(chan answer, 1)
	go func() {
		defer func() { <-b.slots }()
		defer func() {
			if cause := recover(); cause != nil { // whoever called it recovers, but not here
				answered <- answer{err: fmt.Errorf("workers: %s: provider %s panicked: %v\n%s", what, b.Name(), cause, debug.Stack())}
			}
		}()
		value, err := call(ctx)
		answered <- answer{value, err}
	}()
	select {
	case a := <-answered:
		return a.value, a.err
	case <-ctx.Done():
	}
	select { // it may look at its context, and say more
	case a := <-answered:
		return a.value, a.err
	case <-time.After(time.Second):
		return none, fn.Faultf(fn.Transient, "workers: %s: provider %s did not answer: %w", what, b.Name(), ctx.Err())
	}
}

var _ provider.Provider = (*bulkhead)(nil)
