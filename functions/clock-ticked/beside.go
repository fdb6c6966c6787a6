package clockticked

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Beside lets a tick do its deliveries and the sweep side by side, so that one
// that hangs (a provider that does not answer, say) holds up no other, nor the
// clock. The zero value does one after another in the tick itself, always in
// the same order.
type Beside struct {
	// Most is how many may be under way at once, over all ticks. Beyond it they
	// are refused: the clock comes again.
	Most int
	// Wait is how long a tick waits for what it began; the rest goes on without
	// it.
	Wait time.Duration
	// Deadline ends each.
	Deadline time.Duration

	mu   sync.Mutex
	busy map[string]bool
}

var errBusy = errors.New("clock-ticked: too many deliveries hang: is a provider or a function away?")

// take notes that work of that name is under way. It tells false where it is
// already, with an error where there is no room.
func (b *Beside) take(name string) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.busy[name]:
		return false, nil
	case len(b.busy) >= b.Most:
		return false, fmt.Errorf("%w (%d)", errBusy, b.Most)
	}
	if b.busy == nil {
		b.busy = map[string]bool{}
	}
	b.busy[name] = true
	return true, nil
}

func (b *Beside) leave(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.busy, name)
}

// work is what one tick began.
type work struct {
	beside *Beside
	ctx    context.Context

	mu   sync.Mutex
	errs []error
	left int
	last chan struct{} // closed when nothing is left; nil until the tick waits
	over bool          // the tick waits no more
}

func (b *Beside) begin(ctx context.Context) *work {
	return &work{beside: b, ctx: ctx}
}

// do does what has a name: at once, or beside what else there is. Where work of
// that name is under way still, it is left at that.
func (w *work) do(name string, what func(ctx context.Context) error) {
	if w.beside.Most == 0 {
		w.errs = append(w.errs, what(w.ctx))
		return
	}
	took, err := w.beside.take(name)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.errs = append(w.errs, err)
	}
	if !took {
		return
	}
	w.left++
	go func() {
		ctx, cancel := context.WithTimeout(w.ctx, w.beside.Deadline)
		defer cancel()
		err := what(ctx)
		w.beside.leave(name)
		w.end(name, err)
	}()
}

func (w *work) end(name string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left--
	if w.left == 0 && w.last != nil {
		close(w.last)
	}
	switch {
	case !w.over:
		w.errs = append(w.errs, err)
	case err != nil && w.ctx.Err() == nil:
		slog.Warn("clock-ticked: what outlived its tick failed", "work", name, "error", err)
	}
}

// wait returns when all is done, or for too long under way, with the errors.
func (w *work) wait() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left > 0 {
		w.last = make(chan struct{})
		w.mu.Unlock()
		patience := time.NewTimer(w.beside.Wait)
		select {
		case <-w.last:
		case <-patience.C:
		case <-w.ctx.Done():
		}
		patience.Stop()
		w.mu.Lock()
	}
	w.over = true
	return errors.Join(w.errs...)
}
