package limit

import (
	"context"
	"sync"
	"time"
)

// Memory counts within one process: with n of them a caller may ask n times as
// often. The zero value will do.
type Memory struct {
	// Now is the time; nil: time.Now.
	Now func() time.Time

	mu    sync.Mutex
	taken map[caller]time.Time // until when their room is taken up
}

type caller struct{ kind, name string }

var _ Limits = (*Memory)(nil)

// mostCallers are kept; when there are more, those whose room is free again go.
const mostCallers = 10_000

// Wait never fails.
func (m *Memory) Wait(_ context.Context, kind, name string, b Bound) (time.Duration, error) {
	if b.Rate <= 0 {
		return 0, nil
	}
	now := time.Now
	if m.Now != nil {
		now = m.Now
	}
	at, c := now(), caller{kind, name}
	m.mu.Lock()
	defer m.mu.Unlock()
	until, known := m.taken[c]
	if until.Before(at) {
		until = at
	}
	until = until.Add(b.Every())
	if wait := until.Sub(at) - b.Room(); wait > 0 {
		return wait, nil
	}
	if !known && len(m.taken) >= mostCallers {
		m.sweep(at)
	}
	if m.taken == nil {
		m.taken = map[caller]time.Time{}
	}
	m.taken[c] = until
	return 0, nil
}

// sweep drops those whose room is free, which says the same as none; where all
// are in use, half of them.
func (m *Memory) sweep(at time.Time) {
	for c, until := range m.taken {
		if !until.After(at) {
			delete(m.taken, c)
		}
	}
	for c := range m.taken {
		if len(m.taken) < mostCallers/2 {
			return
		}
		delete(m.taken, c)
	}
}

// Kept is how many callers it remembers.
func (m *Memory) Kept() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.taken)
}
