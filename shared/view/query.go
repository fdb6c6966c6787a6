package view

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Query asks for the rows of a kind that satisfy all of what it says.
type Query struct {
	Kind Kind
	// Where says, by field, which values are wanted: any of them. Of sha a
	// beginning is enough.
	Where map[string][]string
	// Scopes are the projects that are wanted, by name or, with a star behind the
	// last slash, all in a folder. Nil: all, and what is of none.
	Scopes []string
	// Since and Until bound the row's time, both included; zero: unbounded.
	Since, Until time.Time
	// Text that must stand in one of the names that people give, whatever its
	// case, or begin the commit.
	Text string
	// After is where the page begins; empty: the newest.
	After Cursor
	// Limit is the most rows.
	Limit int
}

// Found is a page.
type Found struct {
	Rows []Row
	// Next is the cursor of what follows; empty where nothing does. A page may
	// have fewer rows than the limit, none even, and a next one all the same:
	// what is rare is looked for a piece at a time.
	Next Cursor
}

const (
	// mostLooked bounds the rows that one query looks through.
	mostLooked = 5000
	// leastLooked is what it looks through of each index, however many there are.
	leastLooked = 50
	// mostIndexes bounds how many indexes are merged for one field. Of more
	// values the rows are asked.
	mostIndexes = 64
	// chunk is how many rows are read at a time, where not each is wanted.
	chunk = 100
)

// indexed are the fields that have an index, by kind. Jobs are found by the
// fields of their runs too: the jobs of a run follow one another.
var indexed = map[Kind][]string{
	Runs:       {"state", "awaits", "project", "repository", "branch", "pipeline", "actor", "sha", "event"},
	Jobs:       {"state", "pool", "node"},
	Deliveries: {"state", "project", "repository", "branch", "source", "actor", "sha", "event"},
}

// Find reads a page. It goes along the index that leads to the fewest rows, of
// those that the query names, and asks its rows the rest.
func Find(ctx context.Context, s Store, q Query) (Found, error) {
	q, nothing, err := q.resolved(ctx, s)
	if err != nil || nothing {
		return Found{}, err
	}
	way, err := q.way(ctx, s)
	if err != nil {
		return Found{}, err
	}
	return q.walk(ctx, way.stream(s, q), way)
}

// resolved puts names in the place of what stands for several: folders of
// projects, beginnings of commits. It tells true where nothing can be found.
func (q Query) resolved(ctx context.Context, s Store) (Query, bool, error) {
	where := make(map[string][]string, len(q.Where)+1)
	for field, values := range q.Where {
		if len(values) > 0 {
			where[field] = values
		}
	}
	q.Where = where
	if q.Scopes == nil {
		return q, false, nil
	}
	named := where["project"]
	if named == nil {
		var err error
		if named, err = q.projects(ctx, s); err != nil {
			return q, false, err
		}
		if len(named) > mostIndexes {
			return q, false, nil // the rows are asked
		}
	}
	named = slices.DeleteFunc(slices.Clone(named), func(p string) bool { return !q.covers(p) })
	slices.Sort(named)
	where["project"] = slices.Compact(named)
	return q, len(named) == 0, nil
}

// projects that the scopes cover; where they are too many, only some.
func (q Query) projects(ctx context.Context, s Store) ([]string, error) {
	var named []string
	for _, scope := range q.Scopes {
		folder, all := strings.CutSuffix(scope, "*")
		if !all {
			named = append(named, scope)
			continue
		}
		values, err := s.Values(ctx, q.Kind.origin(), "project", folder, "", mostIndexes+1)
		if err != nil {
			return nil, fmt.Errorf("view: projects in %s: %w", scope, err)
		}
		named = append(named, values...)
	}
	return named, nil
}

// origin is the kind whose indexes say where rows come from.
func (k Kind) origin() Kind {
	if k == Jobs {
		return Runs
	}
	return k
}

func (q Query) covers(project string) bool {
	return q.Scopes == nil || slices.ContainsFunc(q.Scopes, func(scope string) bool {
		folder, all := strings.CutSuffix(scope, "*")
		if all {
			return len(project) > len(folder) && strings.HasPrefix(project, folder)
		}
		return project != "" && project == scope
	})
}

// way is the indexes that a query goes along: those of one field, of the kind
// itself or of the runs of its jobs.
type way struct {
	kind    Kind
	field   string // empty: All
	indexes []Index
	rows    int
	// others are the indexes of the query's other fields, of the same kind: a row
	// is read where one of each leads to it as well.
	others []way
}

// fields that the way sees to.
func (w way) fields() []string {
	fields := []string{w.field}
	for _, o := range w.others {
		fields = append(fields, o.field)
	}
	return fields
}

// groups are the indexes of the other fields.
func (w way) groups() [][]Index {
	groups := make([][]Index, len(w.others))
	for i, o := range w.others {
		groups[i] = o.indexes
	}
	return groups
}

func (q Query) way(ctx context.Context, s Store) (way, error) {
	ways := []way{}
	for _, kind := range []Kind{q.Kind, q.Kind.origin()} {
		for _, field := range indexed[kind] {
			w, ok, err := q.along(ctx, s, kind, field)
			if err != nil {
				return way{}, err
			}
			if ok && !slices.ContainsFunc(ways, func(o way) bool { return o.field == field }) {
				ways = append(ways, w)
			}
		}
	}
	switch len(ways) {
	case 0:
		return way{kind: q.Kind, indexes: []Index{All}}, nil
	case 1:
		return ways[0], nil
	}
	for i := range ways {
		counts, err := s.Count(ctx, ways[i].kind, ways[i].indexes...)
		if err != nil {
			return way{}, fmt.Errorf("view: weigh %s: %w", ways[i].field, err)
		}
		for _, n := range counts {
			ways[i].rows += n
		}
		if ways[i].kind != q.Kind {
			ways[i].rows *= 4 // jobs of a run, as a guess
		}
	}
	slices.SortStableFunc(ways, func(a, b way) int { return cmp.Compare(a.rows, b.rows) })
	first := ways[0]
	for _, o := range ways[1:] { // the rarest first: most rows end there
		if o.kind == first.kind {
			first.others = append(first.others, o)
		}
	}
	return first, nil
}

// along is the way of one field; false where the query does not name it, or
// names too much of it.
func (q Query) along(ctx context.Context, s Store, kind Kind, field string) (way, bool, error) {
	values := q.Where[field]
	if field == "sha" {
		var all []string
		for _, v := range values {
			found, err := s.Values(ctx, kind, field, strings.ToLower(v), "", mostIndexes+1)
			if err != nil {
				return way{}, false, fmt.Errorf("view: commits that begin with %s: %w", v, err)
			}
			all = append(all, found...)
		}
		if len(values) > 0 && len(all) == 0 {
			all = values // which lead nowhere
		}
		values = all
	}
	if len(values) == 0 || len(values) > mostIndexes {
		return way{}, false, nil
	}
	w := way{kind: kind, field: field}
	for _, v := range values {
		w.indexes = append(w.indexes, Index{field, v})
	}
	return w, true, nil
}

// walk goes along a way for as long as rows are wanted.
func (q Query) walk(ctx context.Context, along stream, by way) (Found, error) {
	var found Found
	rest := q.rest(by.fields()...)
	for looked := 0; ; looked++ {
		r, ok, err := along.next(ctx)
		if err != nil {
			return Found{}, err
		}
		if !ok || !q.Since.IsZero() && r.Score < q.Since.UnixMilli() {
			return found, nil
		}
		if r.Kind == "" {
			found.Next = r.Place()
			return found, nil
		}
		if ok, err = rest.holds(r); err != nil {
			return Found{}, err
		}
		switch {
		case ok && len(found.Rows) == q.Limit:
			found.Next = found.Rows[q.Limit-1].Place()
			return found, nil
		case ok:
			found.Rows = append(found.Rows, r)
		}
		if looked >= mostLooked {
			found.Next = r.Place()
			return found, nil
		}
	}
}

// rest is what of a query the rows are asked.
type rest struct {
	where  map[string][]string
	text   string
	within Query // its scopes
}

func (q Query) rest(by ...string) rest {
	r := rest{where: make(map[string][]string, len(q.Where)), text: strings.ToLower(q.Text)}
	if !slices.Contains(by, "project") {
		r.within.Scopes = q.Scopes
	}
	for field, values := range q.Where {
		if !slices.Contains(by, field) {
			r.where[field] = values
		}
	}
	return r
}

// facts are what a row of any kind may be asked.
type facts struct {
	Origin
	ID       string `json:"id"`
	Key      string `json:"key"`
	Name     string `json:"name"`
	State    string `json:"state"`
	Pool     string `json:"pool"`
	Node     string `json:"node"`
	Provider string `json:"provider"`
	Source   string `json:"source"`
	// Approvals that are awaited.
	Approvals int `json:"approvals"`
}

// plain tells that JSON writes a text as it is.
func plain(text string) bool {
	return text != "" && strings.IndexFunc(text, func(c rune) bool { return c >= 0x80 || odd(c) }) < 0
}

// empty tells that every row is wanted.
func (r rest) empty() bool { return len(r.where) == 0 && r.text == "" && r.within.Scopes == nil }

func (r rest) holds(row Row) (bool, error) {
	if r.empty() {
		return true, nil
	}
	if plain(r.text) && !bytes.Contains(bytes.ToLower(row.Body), []byte(r.text)) {
		return false, nil // most rows: it spares reading them
	}
	var f facts
	if err := json.Unmarshal(row.Body, &f); err != nil {
		return false, fmt.Errorf("view: decode row of %s %s: %w", row.Kind, row.ID, err)
	}
	if row.Kind == Deliveries {
		f.Branch = Branch(f.Ref)
		if f.Repository != "" {
			f.Project = f.Source + "/" + f.Repository
		}
	}
	if !r.within.covers(f.Project) {
		return false, nil
	}
	for field, values := range r.where {
		value := f.of(field)
		if !slices.ContainsFunc(values, func(v string) bool {
			return v == value || field == "sha" && strings.HasPrefix(strings.ToLower(value), strings.ToLower(v))
		}) {
			return false, nil
		}
	}
	return r.text == "" || f.mentions(r.text), nil
}

func (f facts) of(field string) string {
	switch field {
	case "state":
		return f.State
	case "project":
		return f.Project
	case "repository":
		return f.Repository
	case "branch":
		return f.Branch
	case "pipeline":
		return f.Pipeline
	case "actor":
		return f.Actor
	case "sha":
		return f.SHA
	case "event":
		return f.Event
	case "pool":
		return f.Pool
	case "node":
		return f.Node
	case "provider":
		return f.Provider
	case "source":
		return f.Source
	case "awaits":
		if f.Approvals > 0 {
			return Approval
		}
	}
	return ""
}

func (f facts) mentions(text string) bool {
	for _, name := range []string{f.Pipeline, f.Branch, f.Actor, f.Repository, f.Key, f.Name} {
		if strings.Contains(strings.ToLower(name), text) {
			return true
		}
	}
	return f.SHA != "" && strings.HasPrefix(strings.ToLower(f.SHA), text)
}
