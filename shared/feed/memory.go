package feed

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"

	"github.com/relevo-ci/relevo/events"
)

// Memory is a Feed that lives as long as the process. Readers hold a position
// and nothing else: one that is slow falls out of the window and hears of a
// gap, and one that goes away leaves nothing behind.
type Memory struct {
	generation string
	count      int
	bytes      int64

	mu      sync.RWMutex
	entries []Entry
	ids     []string // of the entries, in their order
	known   map[string]struct{}
	last    uint64 // number of the newest entry; the first ever is 1
	held    int64  // bytes of all frames
	changed chan struct{}
}

var _ Feed = (*Memory)(nil)

// NewMemory makes an empty feed of at most count events and bytes of their
// encoded form. The newest event is kept whatever its size.
func NewMemory(count int, bytes int64) *Memory {
	return &Memory{
		generation: rand.Text()[:10], count: max(count, 1), bytes: bytes,
		known: map[string]struct{}{}, changed: make(chan struct{}),
	}
}

// Record keeps an event; see Feed.
func (m *Memory) Record(ctx context.Context, e events.Envelope) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("feed: record %s: %w", e.ID, err)
	}
	raw, err := Encode(e)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, again := m.known[e.ID]; again {
		return nil
	}
	m.last++
	entry := NewEntry(Place{m.generation, m.last}.Position(), e.Type, e.RunID, raw)
	m.entries, m.ids = append(m.entries, entry), append(m.ids, e.ID)
	m.known[e.ID] = struct{}{}
	m.held += int64(len(entry.Frame))
	for len(m.entries) > 1 && (len(m.entries) > m.count || m.held > m.bytes) {
		m.drop()
	}
	close(m.changed)
	m.changed = make(chan struct{})
	return nil
}

// drop forgets the oldest entry.
func (m *Memory) drop() {
	m.held -= int64(len(m.entries[0].Frame))
	delete(m.known, m.ids[0])
	m.entries[0], m.ids[0] = Entry{}, "" // for the collector: the array lives on
	m.entries, m.ids = m.entries[1:], m.ids[1:]
}

// Last is the position of the newest entry; see Feed.
func (m *Memory) Last(ctx context.Context) (Position, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("feed: last: %w", err)
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return Place{m.generation, m.last}.Position(), nil
}

// Next reads on from a position; see Feed.
func (m *Memory) Next(ctx context.Context, after Position, n int) (Batch, error) {
	at, err := after.Place()
	if err != nil {
		return Batch{}, err
	}
	for {
		if err := ctx.Err(); err != nil {
			return Batch{}, fmt.Errorf("feed: next: %w", err)
		}
		b, changed := m.read(at, max(n, 1))
		if len(b.Entries) > 0 {
			return b, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// read gives what there is after a place, and a channel that is closed when
// there is more.
func (m *Memory) read(at Place, n int) (Batch, <-chan struct{}) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	before := m.last - uint64(len(m.entries)) // number of the last one dropped
	b := Batch{}
	skip := uint64(0)
	switch {
	case at == Place{}: // Oldest
	case at.Generation != m.generation || at.N > m.last:
		b.Gap = true
	case at.N < before:
		b.Gap, b.Missed = true, before-at.N
	default:
		skip = at.N - before
	}
	rest := m.entries[skip:]
	b.Entries = append(b.Entries, rest[:min(n, len(rest))]...)
	return b, m.changed
}
