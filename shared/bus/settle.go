package bus

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// pause is a delivery that waits for its time.
type pause struct {
	timer    *time.Timer
	delivery delivery
}

// pause brings a pending delivery to its queue later.
func (b *Bus) pause(q *queue, d delivery, after time.Duration) {
	b.mu.Lock()
	if b.stopped {
		b.mu.Unlock()
		b.settle(d)
		return
	}
	defer b.mu.Unlock()
	p := &pause{delivery: d}
	b.pausing[p] = struct{}{}
	p.timer = time.AfterFunc(after, func() {
		b.mu.Lock()
		_, still := b.pausing[p]
		delete(b.pausing, p)
		b.mu.Unlock()
		if still {
			q.push(d)
		}
	})
}

// settle ends a pending delivery, however it went.
func (b *Bus) settle(d delivery) {
	b.held.Add(-d.size())
	if b.pending.Add(-1) > 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	// Whoever began to wait since then looks at pending itself.
	if b.pending.Load() == 0 {
		for _, waiting := range b.idle {
			close(waiting)
		}
		b.idle = nil
	}
}

// Idle returns once no delivery waits, runs or pauses before a retry, or with
// ctx's error. By the time it returns another may have been published.
func (b *Bus) Idle(ctx context.Context) error {
	b.mu.Lock()
	if b.pending.Load() == 0 {
		b.mu.Unlock()
		return nil
	}
	waiting := make(chan struct{})
	b.idle = append(b.idle, waiting)
	b.mu.Unlock()
	select {
	case <-waiting:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("bus: wait for %d deliveries: %w", b.pending.Load(), ctx.Err())
	}
}

// grace is how long Close waits for handlers whose context it has ended.
const grace = 5 * time.Second

// Close refuses new events from outside, waits for those it has, and when ctx
// ends drops what waits, ends the handlers' context and gives them five seconds
// to return. The error tells what was dropped; dropping loses nothing that
// stands in a ledger. A second Close is allowed.
func (b *Bus) Close(ctx context.Context) error {
	b.closing.Store(true)
	drained := b.Idle(ctx)
	dropped := b.drop()
	b.stop()
	returned := make(chan struct{})
	go func() {
		b.workers.Wait()
		close(returned)
	}()
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case <-returned:
	case <-late.C:
		return errors.Join(drained, errors.New("bus: close: a handler does not return"))
	}
	if dropped > 0 {
		return fmt.Errorf("bus: close: %d deliveries dropped: %w", dropped, ctx.Err())
	}
	return nil
}

// drop ends everything that is not running.
func (b *Bus) drop() int {
	var dropped []delivery
	b.mu.Lock()
	b.stopped = true
	for p := range b.pausing {
		p.timer.Stop()
		dropped = append(dropped, p.delivery)
	}
	clear(b.pausing)
	b.mu.Unlock()
	for _, q := range b.routes.Load().byName {
		dropped = append(dropped, q.close()...)
	}
	for _, d := range dropped {
		b.settle(d)
	}
	return len(dropped)
}
