package logs

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/relevo-ci/relevo/events"
)

var (
	_ Hot = (*Memory)(nil)
	_ Hot = (*Files)(nil)
)

// Memory keeps logs in memory, for tests and the simulator.
type Memory struct {
	limit   int64
	changes changes

	mu   sync.Mutex
	used int64
	runs map[events.RunID]map[events.AttemptRef]*memoryLog
}

type memoryLog struct {
	data  []byte
	limit int64 // open, or the size that it was closed with
	moved int64 // the length of one whose bytes are elsewhere
}

func (l *memoryLog) length() int64 { return max(l.moved, int64(len(l.data))) }

// NewMemory makes a store that holds at most limit bytes; ErrFull beyond.
func NewMemory(limit int64) *Memory {
	return &Memory{limit: limit, runs: map[events.RunID]map[events.AttemptRef]*memoryLog{}}
}

// log finds or makes the log of an attempt; the caller holds mu.
func (m *Memory) log(ref events.AttemptRef) *memoryLog {
	run := m.runs[ref.Run]
	if run == nil {
		run = map[events.AttemptRef]*memoryLog{}
		m.runs[ref.Run] = run
	}
	l := run[ref]
	if l == nil {
		l = &memoryLog{limit: open}
		run[ref] = l
	}
	return l
}

// Append keeps data at offset; see Store.
func (m *Memory) Append(_ context.Context, ref events.AttemptRef, offset int64, data []byte) (int64, error) {
	if err := Check(ref); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.log(ref)
	length := l.length()
	fresh, err := piece(length, l.limit, offset, data)
	if err != nil || len(fresh) == 0 {
		return length, err
	}
	if m.used+int64(len(fresh)) > m.limit {
		return length, fmt.Errorf("%w: %d bytes", ErrFull, m.limit)
	}
	l.data = append(l.data, fresh...)
	m.used += int64(len(fresh))
	m.changes.wake(Name(ref))
	return int64(len(l.data)), nil
}

// Read copies what is at offset into buf; see Store.
func (m *Memory) Read(_ context.Context, ref events.AttemptRef, offset int64, buf []byte) (int, int64, bool, error) {
	if err := Check(ref); err != nil {
		return 0, 0, false, err
	}
	if offset < 0 {
		return 0, 0, false, fmt.Errorf("%w: offset %d", ErrInvalid, offset)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.runs[ref.Run][ref]
	if l == nil {
		return 0, 0, false, nil
	}
	n, size := 0, l.length()
	switch {
	case offset < size && l.moved > 0 && len(buf) > 0:
		return 0, size, true, ErrMoved
	case offset < size && l.moved == 0:
		n = copy(buf, l.data[offset:])
	}
	return n, size, l.limit == size, nil
}

// Wait returns when the log has grown beyond offset; see Store.
func (m *Memory) Wait(ctx context.Context, ref events.AttemptRef, offset int64) error {
	return m.changes.wait(ctx, m, ref, offset)
}

// Close fixes the log's size; see Store.
func (m *Memory) Close(_ context.Context, ref events.AttemptRef, size int64) error {
	if err := Check(ref); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.log(ref)
	limit, err := closing(l.length(), l.limit, size)
	if err != nil {
		return err
	}
	l.limit = limit
	m.changes.wake(Name(ref))
	return nil
}

// Remove forgets every log of a run; see Store.
func (m *Memory) Remove(_ context.Context, run events.RunID) error {
	if err := CheckRun(run); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range m.runs[run] {
		m.used -= int64(len(l.data))
	}
	delete(m.runs, run)
	return nil
}

// Closed names logs that can be moved; see Hot.
func (m *Memory) Closed(_ context.Context, limit int) ([]events.AttemptRef, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []events.AttemptRef
	for _, run := range m.runs {
		for ref, l := range run {
			if l.limit == l.length() && l.moved == 0 && len(l.data) > 0 {
				all = append(all, ref)
			}
		}
	}
	slices.SortFunc(all, func(a, b events.AttemptRef) int { return cmp.Compare(Name(a), Name(b)) })
	return all[:min(len(all), limit)], nil
}

// Drop forgets the bytes of a closed log; see Hot.
func (m *Memory) Drop(_ context.Context, ref events.AttemptRef) error {
	if err := Check(ref); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.runs[ref.Run][ref]
	if l == nil || l.limit != l.length() {
		return fmt.Errorf("%w: the log %s is open", ErrInvalid, Name(ref))
	}
	m.used -= int64(len(l.data))
	l.moved, l.data = l.length(), nil
	return nil
}

// Room tells what is taken; see Hot.
func (m *Memory) Room(context.Context) (used, most int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used, m.limit, nil
}
