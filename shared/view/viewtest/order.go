package viewtest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/relevo-ci/relevo/shared/view"
)

// failer is what Dump needs of a test, or of a property's.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// step is a Put of a version of a row, or a Delete by it.
type step struct {
	row    view.Row
	delete bool
}

func (d step) apply(t failer, s view.Store) {
	t.Helper()
	var err error
	if d.delete {
		err = s.Delete(context.Background(), d.row.Kind, d.row.Version, d.row.ID)
	} else {
		err = s.Put(context.Background(), d.row)
	}
	if err != nil {
		t.Fatalf("%+v: %v", d, err)
	}
}

// version is the row as a version of its document has it.
func version(prefix string, kind view.Kind, id int, v uint64) view.Row {
	colours := []view.Index{red, blue, {Field: "colour", Value: "gré\n"}, {Field: "shape", Value: "round"}}
	n := uint64(id)*7 + v*13
	r := view.Row{
		Kind: kind, ID: fmt.Sprintf("%s-%d", prefix, id), Version: v, Score: int64(n % 3),
		Indexes: []view.Index{{Field: "test", Value: prefix}, colours[n%4]}, Body: fmt.Appendf(nil, `{"n":%d,"text":"a\n\nb"}`, n),
	}
	if n%2 == 0 {
		r.Indexes = append(r.Indexes, colours[(n+1)%4])
	}
	return r
}

// anyOrder: whatever the order of Puts and Deletes, and however often each comes,
// the store is the same to the byte. Every round has rows of its own names, so
// that all of them can be in one store.
func anyOrder(t *testing.T, s view.Store) {
	round := 0
	rapid.Check(t, func(t *rapid.T) {
		round++
		var steps []step
		for id := range rapid.IntRange(1, 4).Draw(t, "rows") {
			kind := view.Kinds[id%2]
			last := rapid.IntRange(1, 5).Draw(t, "versions")
			for v := range last {
				steps = append(steps, step{row: version("", kind, id, uint64(v+1))})
			}
			if rapid.Bool().Draw(t, "deleted") {
				steps = append(steps, step{row: version("", kind, id, uint64(last)), delete: true})
			}
		}
		var dumps []string
		for side := range 2 {
			prefix := fmt.Sprintf("%d.%d", round, side)
			order := rapid.Permutation(append(steps, rapid.SliceOfN(rapid.SampledFrom(steps), 0, 6).Draw(t, "again")...)).Draw(t, "order")
			for _, d := range order {
				var id int
				if _, err := fmt.Sscanf(d.row.ID, "-%d", &id); err != nil {
					t.Fatalf("%v", err)
				}
				d.row = version(prefix, d.row.Kind, id, d.row.Version)
				d.apply(t, s)
			}
			dumps = append(dumps, strings.ReplaceAll(dump(t, s, view.Index{Field: "test", Value: prefix}), prefix, ""))
		}
		if dumps[0] != dumps[1] {
			t.Fatalf("one order gives\n%s\nanother\n%s", dumps[0], dumps[1])
		}
	})
	Consistent(t, s)
}

// Dump is all that a store shows, as text. The versions are left out: they guard
// the rows and are no part of them.
func Dump(t failer, s view.Store) string {
	t.Helper()
	return dump(t, s, view.All)
}

func dump(t failer, s view.Store, of view.Index) string {
	t.Helper()
	var b strings.Builder
	for _, kind := range view.Kinds {
		rows, err := s.Page(context.Background(), kind, of, "", 1<<20)
		if err != nil {
			t.Fatalf("%v", err)
		}
		for _, r := range rows {
			fmt.Fprintf(&b, "%s %s %q %s\n", kind, r.Place(), r.Indexes, r.Body)
		}
	}
	return b.String()
}

// Consistent fails unless the indexes and values are just what the rows say.
func Consistent(t *testing.T, s view.Store) {
	t.Helper()
	for _, kind := range view.Kinds {
		rows, err := s.Page(t.Context(), kind, view.All, "", 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		want := map[view.Index]int{view.All: len(rows)}
		fields := map[string]map[string]bool{}
		for _, r := range rows {
			for _, i := range r.Indexes {
				i.Value = view.Unescape(view.Escape(i.Value)) // as a long one is kept
				want[i]++
				if fields[i.Field] == nil {
					fields[i.Field] = map[string]bool{}
				}
				fields[i.Field][i.Value] = true
			}
		}
		for i, n := range want {
			got, err := s.Count(t.Context(), kind, i)
			if err != nil || got[0] != n {
				t.Errorf("%s: %q leads to %v rows, want %d: %v", kind, i, got, n, err)
			}
		}
		for _, field := range []string{"colour", "shape", "test", "branch", "state", "project", "repository", "pipeline", "actor", "sha", "event", "pool", "node", "source", "member"} {
			got, err := s.Values(t.Context(), kind, field, "", "", 1<<20)
			if err != nil || len(got) != len(fields[field]) {
				t.Errorf("%s: %s has the values %q, want %v: %v", kind, field, got, fields[field], err)
			}
		}
	}
}
