package view

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Memory is a Store in this process.
type Memory struct {
	mu      sync.RWMutex
	rows    map[Kind]map[string]Row
	gone    map[Kind]map[string]uint64
	indexes map[string][]Cursor        // by kind and name, sorted
	values  map[string]map[string]bool // escaped, by kind and field
}

var _ Store = (*Memory)(nil)

// NewMemory makes an empty one.
func NewMemory() *Memory {
	m := &Memory{
		rows: map[Kind]map[string]Row{}, gone: map[Kind]map[string]uint64{},
		indexes: map[string][]Cursor{}, values: map[string]map[string]bool{},
	}
	for _, k := range Kinds {
		m.rows[k], m.gone[k] = map[string]Row{}, map[string]uint64{}
	}
	return m
}

// Put writes rows; see Store.
func (m *Memory) Put(ctx context.Context, rows ...Row) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("view: put rows: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range rows {
		old, there := m.rows[r.Kind][r.ID]
		if there && old.Version > r.Version || m.gone[r.Kind][r.ID] >= r.Version {
			continue
		}
		if there {
			m.drop(old)
		}
		r.Indexes, r.Body = slices.Clone(r.Indexes), slices.Clone(r.Body)
		m.rows[r.Kind][r.ID] = r
		for _, i := range append([]Index{All}, r.Indexes...) {
			m.enter(r.Kind, i, r.Place())
		}
	}
	return nil
}

func (m *Memory) enter(kind Kind, i Index, at Cursor) {
	key := string(kind) + ":" + i.Name()
	list := m.indexes[key]
	if n, found := slices.BinarySearch(list, at); !found {
		m.indexes[key] = slices.Insert(list, n, at)
	}
	if i != All {
		field := string(kind) + ":" + i.Field
		if m.values[field] == nil {
			m.values[field] = map[string]bool{}
		}
		m.values[field][Escape(i.Value)] = true
	}
}

// drop takes a row out of all that leads to it.
func (m *Memory) drop(r Row) {
	delete(m.rows[r.Kind], r.ID)
	for _, i := range append([]Index{All}, r.Indexes...) {
		key := string(r.Kind) + ":" + i.Name()
		if n, found := slices.BinarySearch(m.indexes[key], r.Place()); found {
			m.indexes[key] = slices.Delete(m.indexes[key], n, n+1)
		}
		if len(m.indexes[key]) == 0 {
			delete(m.indexes, key)
			delete(m.values[string(r.Kind)+":"+i.Field], Escape(i.Value))
		}
	}
}

// Delete removes rows; see Store.
func (m *Memory) Delete(ctx context.Context, kind Kind, version uint64, ids ...string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("view: delete rows: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		if r, ok := m.rows[kind][id]; ok && r.Version <= version {
			m.drop(r)
		}
		m.gone[kind][id] = max(m.gone[kind][id], version)
	}
	return nil
}

// Get reads rows; see Store.
func (m *Memory) Get(ctx context.Context, kind Kind, ids ...string) ([]Row, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("view: get rows: %w", err)
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	var rows []Row
	for _, id := range ids {
		if r, ok := m.rows[kind][id]; ok {
			rows = append(rows, r.copy())
		}
	}
	return rows, nil
}

func (r Row) copy() Row {
	r.Indexes, r.Body = slices.Clone(r.Indexes), slices.Clone(r.Body)
	return r
}

// Page reads a page of an index; see Store.
func (m *Memory) Page(ctx context.Context, kind Kind, index Index, after Cursor, limit int) ([]Row, error) {
	rows, _, err := m.Filter(ctx, kind, index, nil, after, limit, limit)
	return rows, err
}

// Filter reads what several indexes lead to; see Store.
func (m *Memory) Filter(ctx context.Context, kind Kind, index Index, groups [][]Index, after Cursor, limit, look int) ([]Row, Cursor, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", fmt.Errorf("view: filter rows: %w", err)
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	list := m.indexes[string(kind)+":"+index.Name()]
	end := len(list)
	if after != "" {
		end, _ = slices.BinarySearch(list, after)
	}
	var rows []Row
	for i := end - 1; i >= 0; i-- {
		if len(rows) >= limit || look <= 0 {
			return rows, after, nil
		}
		after = list[i]
		look--
		if m.led(kind, list[i], groups) {
			_, id, _ := strings.Cut(string(list[i]), "/")
			rows = append(rows, m.rows[kind][id].copy())
		}
	}
	return rows, "", nil
}

// led tells whether one index of each group leads to a place.
func (m *Memory) led(kind Kind, at Cursor, groups [][]Index) bool {
	for _, group := range groups {
		if !slices.ContainsFunc(group, func(i Index) bool {
			_, found := slices.BinarySearch(m.indexes[string(kind)+":"+i.Name()], at)
			return found
		}) {
			return false
		}
	}
	return true
}

// Count counts what indexes lead to; see Store.
func (m *Memory) Count(ctx context.Context, kind Kind, indexes ...Index) ([]int, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("view: count rows: %w", err)
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	counts := make([]int, len(indexes))
	for n, i := range indexes {
		counts[n] = len(m.indexes[string(kind)+":"+i.Name()])
	}
	return counts, nil
}

// Values reads the values of a field; see Store.
func (m *Memory) Values(ctx context.Context, kind Kind, field, prefix, after string, limit int) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("view: read values: %w", err)
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	prefix, after = Escape(prefix), Escape(after)
	var names []string
	for name := range m.values[string(kind)+":"+field] {
		if strings.HasPrefix(name, prefix) && (after == "" || name > after) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	values := make([]string, 0, min(len(names), max(limit, 0)))
	for _, name := range names[:min(len(names), max(limit, 0))] {
		values = append(values, Unescape(name))
	}
	return values, nil
}
