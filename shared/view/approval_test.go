package view_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/view"
)

// TestRunsThatAwaitAnApproval are found, alone and with other filters, until it is
// given.
func TestRunsThatAwaitAnApproval(t *testing.T) {
	s := filled(t, 12)
	put := func(version uint64, state string) {
		t.Helper()
		document := fmt.Sprintf(`{"id":%q,"pipeline":"build","project":"github/acme/web","state":"RUNNING","requested":%q,"jobs":[{"key":"gate","state":%q,"await":{"approval":true}}]}`,
			id(99), noon.Add(time.Hour).Format(time.RFC3339), state)
		r, err := pipeline.Load([]byte(document), []byte(`{"spec":{"jobs":[]}}`), pipeline.Policy{})
		if err != nil {
			t.Fatal(err)
		}
		rows, err := view.OfAll(r, version)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Put(t.Context(), rows...); err != nil {
			t.Fatal(err)
		}
	}
	queries := []map[string][]string{{}, {"state": {"RUNNING"}}, {"pipeline": {"build"}}}
	for _, c := range []struct {
		state string
		want  []string
	}{{"PENDING", []string{string(id(99))}}, {"SUCCEEDED", []string{}}} {
		put(map[string]uint64{"PENDING": 1, "SUCCEEDED": 2}[c.state], c.state)
		for _, where := range queries {
			where["awaits"] = []string{view.Approval}
			if got := walk(t.Context(), t, s, view.Query{Kind: view.Runs, Where: where, Limit: 3}); !slices.Equal(got, c.want) {
				t.Errorf("%s, %v: %v", c.state, where, got)
			}
		}
	}
}
