package view

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// stream gives rows, newest first, each once. One without a kind is no row: it
// stands where the stream has looked at as much as one query may.
type stream interface {
	next(ctx context.Context) (Row, bool, error)
}

// stream goes along a way from where the query's page begins.
func (w way) stream(s Store, q Query) stream {
	after, size := q.After, chunk
	if !q.Until.IsZero() {
		if until := Before(q.Until.UnixMilli()); after == "" || until < after {
			after = until
		}
	}
	if q.rest(w.fields()...).empty() {
		size = min(q.Limit+1, chunk)
	}
	m, look := &merged{}, max(mostLooked/len(w.indexes), leastLooked)
	for _, i := range w.indexes {
		m.from = append(m.from, &pages{store: s, kind: w.kind, index: i, groups: w.groups(), after: after, size: size, look: look})
	}
	if w.kind != q.Kind {
		return &jobsOf{runs: m, store: s, after: after, size: size}
	}
	return m
}

// pages are the rows of one index, to which one of each group leads too.
type pages struct {
	store  Store
	kind   Kind
	index  Index
	groups [][]Index
	after  Cursor
	size   int
	look   int // how many it may yet look at, where there are groups
	read   []Row
	over   bool
}

func (p *pages) next(ctx context.Context) (Row, bool, error) {
	if len(p.read) == 0 && !p.over {
		if err := p.more(ctx); err != nil {
			return Row{}, false, fmt.Errorf("view: page of %s: %w", p.kind, err)
		}
	}
	if len(p.read) == 0 {
		return Row{}, false, nil
	}
	r := p.read[0]
	p.read = p.read[1:]
	return r, true, nil
}

func (p *pages) more(ctx context.Context) (err error) {
	if len(p.groups) == 0 {
		p.read, err = p.store.Page(ctx, p.kind, p.index, p.after, p.size)
		if p.over = len(p.read) < p.size; len(p.read) > 0 {
			p.after = p.read[len(p.read)-1].Place()
		}
		return err
	}
	for len(p.read) == 0 && !p.over {
		look := min(p.step(), p.look)
		if look <= 0 {
			p.read, p.over = append(p.read, p.after.stop()), true
			return nil
		}
		p.look -= look
		if p.read, p.after, err = p.store.Filter(ctx, p.kind, p.index, p.groups, p.after, p.size, look); err != nil {
			return err
		}
		p.over = p.after == ""
	}
	return nil
}

// step is how many are looked at in one go: the less the more indexes are asked
// for each.
func (p *pages) step() int {
	asked := 0
	for _, g := range p.groups {
		asked += len(g)
	}
	return min(max(2000/asked, leastLooked), 500)
}

// stop stands at a place, and is no row.
func (c Cursor) stop() Row {
	digits, id, _ := strings.Cut(string(c), "/")
	score, err := strconv.ParseInt(digits, 10, 64)
	if err != nil { // At writes thirteen of them
		panic(err)
	}
	return Row{ID: id, Score: score}
}

// merged are the rows of several streams in one order.
type merged struct {
	from  []stream
	heads []*Row // of each; nil where it is over
	begun bool
}

func (m *merged) next(ctx context.Context) (Row, bool, error) {
	if len(m.from) == 1 {
		return m.from[0].next(ctx)
	}
	if !m.begun {
		m.heads, m.begun = make([]*Row, len(m.from)), true
		for i := range m.from {
			if err := m.pull(ctx, i); err != nil {
				return Row{}, false, err
			}
		}
	}
	var first *Row
	for _, h := range m.heads {
		if h != nil && (first == nil || h.Place() > first.Place()) {
			first = h
		}
	}
	if first == nil {
		return Row{}, false, nil
	}
	for i, h := range m.heads {
		if h != nil && h.Place() == first.Place() {
			if err := m.pull(ctx, i); err != nil {
				return Row{}, false, err
			}
		}
	}
	return *first, true, nil
}

func (m *merged) pull(ctx context.Context, i int) error {
	r, ok, err := m.from[i].next(ctx)
	m.heads[i] = nil
	if ok {
		m.heads[i] = &r
	}
	return err
}

// jobsOf are the jobs of a stream of runs, those of a run side by side. Their
// places are right before that of their run.
type jobsOf struct {
	runs  stream
	store Store
	after Cursor
	size  int
	read  []Row
	stop  *Row // of the runs
}

func (j *jobsOf) next(ctx context.Context) (Row, bool, error) {
	for len(j.read) == 0 {
		if j.stop != nil {
			return *j.stop, true, nil
		}
		ids, err := j.some(ctx)
		if err != nil || len(ids) == 0 && j.stop == nil {
			return Row{}, false, err
		}
		rows, err := j.store.Get(ctx, Jobs, ids...)
		if err != nil {
			return Row{}, false, fmt.Errorf("view: jobs of runs: %w", err)
		}
		j.read = slices.DeleteFunc(rows, func(r Row) bool { return j.after != "" && r.Place() >= j.after })
		slices.SortFunc(j.read, func(a, b Row) int { return strings.Compare(string(b.Place()), string(a.Place())) })
	}
	r := j.read[0]
	j.read = j.read[1:]
	return r, true, nil
}

// some are the ids of the jobs of the next runs.
func (j *jobsOf) some(ctx context.Context) ([]string, error) {
	var ids []string
	for len(ids) < j.size {
		r, ok, err := j.runs.next(ctx)
		if err != nil || !ok {
			return ids, err
		}
		if r.Kind == "" {
			j.stop = &r
			return ids, nil
		}
		var run struct{ Run }
		if err := json.Unmarshal(r.Body, &run); err != nil {
			return nil, fmt.Errorf("view: decode row of %s %s: %w", r.Kind, r.ID, err)
		}
		for _, key := range run.Keys {
			ids = append(ids, JobID(run.ID, key))
		}
	}
	return ids, nil
}
