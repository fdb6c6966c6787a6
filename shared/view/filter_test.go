package view_test

import (
	"fmt"
	"testing"

	"github.com/relevo-ci/relevo/shared/view"
)

// TestWhatSeveralIndexesShareIsLookedForByPieces: a page ends where enough was
// looked at, and the next goes on from there, for runs and for their jobs.
func TestWhatSeveralIndexesShareIsLookedForByPieces(t *testing.T) {
	s := view.NewMemory()
	var rows []view.Row
	for n := range 12_000 {
		actor := []string{"ann", "bob"}[n%2]
		if n == 4 {
			actor = "bob" // the one of main that ann is not
		}
		run := fmt.Sprintf("01JD3ZT4Q8N6W1YV5K7E%06d", n)
		r := view.Row{Kind: view.Runs, ID: run, Version: 1, Score: int64(n), Body: fmt.Appendf(nil, `{"id":%q,"keys":["build"]}`, run)}
		r.Indexes = []view.Index{{Field: "actor", Value: actor}, {Field: "branch", Value: []string{"main", "fix"}[n%2]}}
		rows = append(rows, r, view.Row{Kind: view.Jobs, ID: run + ".build", Version: 1, Score: int64(n), Body: []byte(`{}`)})
	}
	if err := s.Put(t.Context(), rows...); err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[view.Kind]string{view.Runs: "01JD3ZT4Q8N6W1YV5K7E000004", view.Jobs: "01JD3ZT4Q8N6W1YV5K7E000004.build"} {
		q := view.Query{Kind: kind, Limit: 10, Where: map[string][]string{"actor": {"bob"}, "branch": {"main"}}}
		var got []string
		pages := 0
		for {
			found, err := view.Find(t.Context(), s, q)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range found.Rows {
				got = append(got, r.ID)
			}
			if pages++; found.Next == "" || pages > 10 {
				break
			}
			q.After = found.Next
		}
		if len(got) != 1 || got[0] != want || pages < 2 {
			t.Errorf("%s: %v in %d pages", kind, got, pages)
		}
	}
}
