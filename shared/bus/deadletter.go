package bus

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
)

// DeadLetter is a delivery that was given up.
type DeadLetter struct {
	Event    events.Envelope `json:"event"`
	Function string          `json:"function"`
	// Error is the last one's text.
	Error string `json:"error"`
	// Tries is how many were made.
	Tries int       `json:"tries"`
	At    time.Time `json:"at"`
}

// DeadLetters keeps dead letters, one for each function and event. What they
// hold is for people and for sending again: the truth stands in the ledger.
type DeadLetters interface {
	// Add keeps l; it replaces an earlier one of the same function and event.
	Add(ctx context.Context, l DeadLetter) error
	// List gives up to n, newest first.
	List(ctx context.Context, n int) ([]DeadLetter, error)
	// Take removes and returns one; fn.NotFound when there is none.
	Take(ctx context.Context, function, event string) (DeadLetter, error)
}

// DeadLetters lists up to n dead letters, newest first.
func (b *Bus) DeadLetters(ctx context.Context, n int) ([]DeadLetter, error) {
	return b.opts.DeadLetters.List(ctx, n)
}

// Resend takes a dead letter and delivers its event to its function again, with
// all its tries; fn.NotFound when there is no such letter.
func (b *Bus) Resend(ctx context.Context, function, event string) error {
	l, err := b.opts.DeadLetters.Take(ctx, function, event)
	if err != nil {
		return err
	}
	if err := b.Direct(ctx, function, l.Event); err != nil {
		// Nothing was delivered: keep it for the next time.
		if kept := b.opts.DeadLetters.Add(ctx, l); kept != nil {
			return fmt.Errorf("%w; and it is lost: %w", err, kept)
		}
		return err
	}
	return nil
}

// bury makes a dead letter of d.
func (b *Bus) bury(q *queue, d delivery, cause error) {
	b.opts.Log.Warn("bus: dead letter", "function", q.fn.Name, "event", d.event.ID,
		"type", d.event.Type, "subject", d.event.Subject, "tries", d.tries, "error", cause)
	err := b.opts.DeadLetters.Add(context.WithoutCancel(b.ctx), DeadLetter{
		Event: *d.event, Function: q.fn.Name, Error: cause.Error(), Tries: d.tries, At: time.Now().UTC(),
	})
	if err != nil {
		b.opts.Log.Error("bus: keep dead letter", "function", q.fn.Name, "event", d.event.ID, "error", err)
	}
}

// Memory keeps the newest dead letters of this process.
type Memory struct {
	mu      sync.Mutex
	most    int
	letters []DeadLetter // oldest first
	dropped int
}

// NewMemory keeps up to so many dead letters; the oldest goes first.
func NewMemory(most int) *Memory { return &Memory{most: most} }

// Add keeps l, at the expense of the oldest where there is no room.
func (m *Memory) Add(_ context.Context, l DeadLetter) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := m.find(l.Function, l.Event.ID); i >= 0 {
		m.letters = slices.Delete(m.letters, i, i+1)
	}
	m.letters = append(m.letters, l)
	if over := len(m.letters) - m.most; over > 0 {
		m.letters = slices.Delete(m.letters, 0, over)
		m.dropped += over
	}
	return nil
}

// List gives up to n, newest first.
func (m *Memory) List(_ context.Context, n int) ([]DeadLetter, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	newest := slices.Clone(m.letters[max(0, len(m.letters)-n):])
	slices.Reverse(newest)
	return newest, nil
}

// Take removes and returns one; fn.NotFound when there is none.
func (m *Memory) Take(_ context.Context, function, event string) (DeadLetter, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.find(function, event)
	if i < 0 {
		return DeadLetter{}, fn.Faultf(fn.NotFound, "bus: no dead letter of %s for %s", event, function)
	}
	l := m.letters[i]
	m.letters = slices.Delete(m.letters, i, i+1)
	return l, nil
}

// Dropped is how many had to go for newer ones.
func (m *Memory) Dropped() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dropped
}

func (m *Memory) find(function, event string) int {
	return slices.IndexFunc(m.letters, func(l DeadLetter) bool {
		return l.Function == function && l.Event.ID == event
	})
}
