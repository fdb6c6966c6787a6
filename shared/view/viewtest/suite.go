// Package viewtest is the suite that every view.Store passes.
package viewtest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"github.com/relevo-ci/relevo/shared/view"
)

// Open makes an empty store, unlike any other.
type Open func(t *testing.T) view.Store

// Run tries the suite on stores that open makes.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*testing.T, view.Store){
		"keeps":       keeps,
		"pages":       pages,
		"filters":     filters,
		"moves":       moves,
		"guards":      guards,
		"deletes":     deletes,
		"values":      values,
		"odd names":   oddNames,
		"many":        many,
		"given up":    givenUp,
		"any order":   anyOrder,
		"empty store": empty,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// row makes one of version 1.
func row(id string, score int64, indexes ...view.Index) view.Row {
	return view.Row{Kind: view.Runs, ID: id, Version: 1, Score: score, Indexes: indexes, Body: []byte(`{"id":"` + id + `"}`)}
}

func put(t *testing.T, s view.Store, rows ...view.Row) {
	t.Helper()
	if err := s.Put(t.Context(), rows...); err != nil {
		t.Fatal(err)
	}
}

func page(t *testing.T, s view.Store, i view.Index, after view.Cursor, limit int) []string {
	t.Helper()
	rows, err := s.Page(t.Context(), view.Runs, i, after, limit)
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{}
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	return ids
}

func equal(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

var red, blue = view.Index{Field: "colour", Value: "red"}, view.Index{Field: "colour", Value: "blue"}

func keeps(t *testing.T, s view.Store) {
	want := row("a", 7, red, blue)
	put(t, s, want, row("b", 8))
	job := view.Row{Kind: view.Jobs, ID: "a", Version: 3, Score: 1, Body: []byte("{}")}
	put(t, s, job)
	got, err := s.Get(t.Context(), view.Runs, "b", "x", "a")
	if err != nil || len(got) != 2 || got[0].ID != "b" || !reflect.DeepEqual(got[1], want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := s.Get(t.Context(), view.Jobs, "a"); err != nil || len(got) != 1 || got[0].Version != 3 {
		t.Errorf("of another kind %+v, %v", got, err)
	}
	if got, err := s.Get(t.Context(), view.Runs); err != nil || len(got) != 0 {
		t.Errorf("of no ids %+v, %v", got, err)
	}
}

func pages(t *testing.T, s view.Store) {
	put(t, s, row("a", 1, red), row("c", 2), row("b", 2, red), row("d", 3, red), row("e", 10, red))
	equal(t, page(t, s, view.All, "", 10), []string{"e", "d", "c", "b", "a"})
	equal(t, page(t, s, red, "", 2), []string{"e", "d"})
	equal(t, page(t, s, red, view.At(3, "d"), 2), []string{"b", "a"})
	equal(t, page(t, s, red, view.At(2, "c"), 2), []string{"b", "a"}) // its place, though it is not in it
	equal(t, page(t, s, red, view.Before(2), 5), []string{"b", "a"})
	equal(t, page(t, s, red, view.At(1, "a"), 5), []string{})
	equal(t, page(t, s, red, "", 0), []string{})
	equal(t, page(t, s, blue, "", 5), []string{})
}

func filters(t *testing.T, s view.Store) {
	round, square := view.Index{Field: "shape", Value: "round"}, view.Index{Field: "shape", Value: "square"}
	for n := range 1300 { // more than one script looks at
		r := row(fmt.Sprintf("%04d", n), int64(n/2), red)
		if n%3 == 0 {
			r.Indexes = append(r.Indexes, round)
		}
		if n%500 == 7 {
			r.Indexes = append(r.Indexes, square)
		}
		if n%2 == 0 {
			r.Indexes = append(r.Indexes, blue)
		}
		put(t, s, r)
	}
	walk := func(groups [][]view.Index, limit, look int) (ids []string) {
		t.Helper()
		for after, calls := view.Cursor(""), 0; ; calls++ {
			rows, next, err := s.Filter(t.Context(), view.Runs, red, groups, after, limit, look)
			if err != nil || len(rows) > limit || calls > 1301 {
				t.Fatalf("%d rows, %v", len(rows), err)
			}
			for _, r := range rows {
				ids = append(ids, r.ID)
			}
			if after = next; after == "" {
				return ids
			}
		}
	}
	var both, either []string
	for n := 1299; n >= 0; n-- {
		if n%2 == 0 && (n%3 == 0 || n%500 == 7) {
			both = append(both, fmt.Sprintf("%04d", n))
		}
		if n%500 == 7 {
			either = append(either, fmt.Sprintf("%04d", n))
		}
	}
	for _, size := range [][2]int{{7, 13}, {150, 5000}, {1, 1}, {1000, 600}} {
		equal(t, walk([][]view.Index{{blue}, {square, round}}, size[0], size[1]), both)
		equal(t, walk([][]view.Index{{square}}, size[0], size[1]), either)
		equal(t, walk([][]view.Index{{{Field: "shape", Value: "nowhere"}}}, size[0], size[1]), nil)
	}
	rows, next, err := s.Filter(t.Context(), view.Runs, red, [][]view.Index{{square}}, "", 5, 100)
	if err != nil || len(rows) != 0 || next != view.At(600, "1200") {
		t.Errorf("of the first hundred %v, next %s: %v", rows, next, err)
	}
}

func moves(t *testing.T, s view.Store) {
	put(t, s, row("a", 1, red), row("b", 2, red))
	r := row("a", 5, blue)
	r.Version = 2
	put(t, s, r)
	equal(t, page(t, s, red, "", 5), []string{"b"})
	equal(t, page(t, s, blue, "", 5), []string{"a"})
	equal(t, page(t, s, view.All, "", 5), []string{"a", "b"})
	counts, err := s.Count(t.Context(), view.Runs, red, blue, view.All, view.Index{Field: "x", Value: "y"})
	if err != nil || !slices.Equal(counts, []int{1, 1, 2, 0}) {
		t.Errorf("counts %v, %v", counts, err)
	}
	if counts, err := s.Count(t.Context(), view.Runs); err != nil || len(counts) != 0 {
		t.Errorf("counts of none %v, %v", counts, err)
	}
}

func guards(t *testing.T, s view.Store) {
	r := row("a", 1, red)
	r.Version = 2
	put(t, s, r, row("a", 1, blue))
	equal(t, page(t, s, red, "", 5), []string{"a"})
	equal(t, page(t, s, blue, "", 5), []string{})
	r.Indexes, r.Body = []view.Index{blue}, []byte(`{"other":"shape"}`)
	put(t, s, r) // the projection was changed since
	equal(t, page(t, s, blue, "", 5), []string{"a"})
	equal(t, page(t, s, red, "", 5), []string{})
	got, err := s.Get(t.Context(), view.Runs, "a")
	if err != nil || string(got[0].Body) != `{"other":"shape"}` {
		t.Errorf("got %+v, %v", got, err)
	}
}

func deletes(t *testing.T, s view.Store) {
	newer := row("b", 2, red)
	newer.Version = 9
	put(t, s, row("a", 1, red), newer)
	remove := func(version uint64, ids ...string) {
		t.Helper()
		if err := s.Delete(t.Context(), view.Runs, version, ids...); err != nil {
			t.Fatal(err)
		}
	}
	remove(5, "a", "b", "never there")
	equal(t, page(t, s, red, "", 5), []string{"b"})
	equal(t, page(t, s, view.All, "", 5), []string{"b"})
	back := row("a", 1, red)
	back.Version = 5
	put(t, s, back)
	equal(t, page(t, s, red, "", 5), []string{"b"})
	remove(3, "a") // an earlier one takes nothing back
	back.Version = 4
	put(t, s, back)
	equal(t, page(t, s, red, "", 5), []string{"b"})
	back.Version = 6
	put(t, s, back)
	equal(t, page(t, s, red, "", 5), []string{"b", "a"})
	remove(view.Last, "a", "b")
	back.Version = 1 << 40
	put(t, s, back)
	equal(t, page(t, s, view.All, "", 5), []string{})
	remove(1)
}

func values(t *testing.T, s view.Store) {
	index := func(v string) view.Index { return view.Index{Field: "branch", Value: v} }
	put(t, s, row("a", 1, index("main")), row("b", 1, index("fix/a b")), row("c", 1, index("main")), row("d", 1, index("fix/é")))
	read := func(prefix, after string, limit int) []string {
		t.Helper()
		got, err := s.Values(t.Context(), view.Runs, "branch", prefix, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	equal(t, read("", "", 10), []string{"fix/é", "fix/a b", "main"}) // as fix/%C3%A9, fix/a%20b
	equal(t, read("", "fix/é", 10), []string{"fix/a b", "main"})
	equal(t, read("fix/", "", 10), []string{"fix/é", "fix/a b"})
	equal(t, read("fix/", "fix/é", 10), []string{"fix/a b"})
	equal(t, read("fix/", "a", 1), []string{"fix/é"})
	equal(t, read("", "", 0), nil)
	moved := row("b", 1, index("other"))
	moved.Version = 2
	put(t, s, moved)
	if err := s.Delete(t.Context(), view.Runs, 9, "a", "d"); err != nil {
		t.Fatal(err)
	}
	equal(t, read("", "", 10), []string{"main", "other"})
}

// oddNames: what people put into names leads to its own rows and no others.
func oddNames(t *testing.T, s view.Store) {
	names := []string{"a\nb", "a\n\nb", "a=b", "a b", "a%20b", "%", "é", "e\u0301", "\xff\xfe", "{view}", "*", "[a]", "a/b", "(", "'; DROP TABLE runs", "<b>"}
	long := ""
	for range 300 {
		long += "branch"
	}
	names = append(names, long, long+"x", long+"y")
	for i, n := range names {
		put(t, s, row(strconv.Itoa(i), 1, view.Index{Field: "branch", Value: n}))
	}
	for i, n := range names {
		equal(t, page(t, s, view.Index{Field: "branch", Value: n}, "", 5), []string{strconv.Itoa(i)})
	}
	got, err := s.Values(t.Context(), view.Runs, "branch", "", "", 100)
	if err != nil || len(got) != len(names) {
		t.Errorf("%d values, want %d: %v", len(got), len(names), err)
	}
	Consistent(t, s)
}

// many are more than go into one call of anything.
func many(t *testing.T, s view.Store) {
	const count = 450
	var rows []view.Row
	var want, ids []string
	for i := range count {
		id := fmt.Sprintf("%04d", i)
		rows, ids = append(rows, row(id, int64(i/3), red)), append(ids, id)
		want = append([]string{id}, want...)
	}
	put(t, s, rows...)
	equal(t, page(t, s, red, "", 1000), want)
	equal(t, page(t, s, red, view.At(100, "0300"), 250), want[count-300:count-50])
	if err := s.Delete(t.Context(), view.Runs, 1, ids...); err != nil {
		t.Fatal(err)
	}
	equal(t, page(t, s, view.All, "", 10), []string{})
}

func givenUp(t *testing.T, s view.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, get := s.Get(ctx, view.Runs, "a")
	_, page := s.Page(ctx, view.Runs, view.All, "", 1)
	_, count := s.Count(ctx, view.Runs, view.All)
	_, values := s.Values(ctx, view.Runs, "x", "", "", 1)
	for name, err := range map[string]error{
		"put": s.Put(ctx, row("a", 1)), "delete": s.Delete(ctx, view.Runs, 1, "a"), "get": get, "page": page, "count": count, "values": values,
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func empty(t *testing.T, s view.Store) {
	if got := Dump(t, s); got != "" {
		t.Errorf("an empty store holds %s", got)
	}
}
