package view_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/view"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// run makes the nth run of two jobs, in some state, from somewhere.
func run(t interface{ Fatal(...any) }, n int) *pipeline.Run {
	spec, err := json.Marshal(pipeline.Spec{Jobs: []pipeline.JobSpec{{ID: "build", Key: "build"}, {ID: "test", Key: "test"}}})
	if err != nil {
		t.Fatal(err)
	}
	project := []string{"github/acme/web", "github/acme/api", "gitlab/other", ""}[n%4]
	request, err := json.Marshal(events.RunRequested{
		RunRef: events.RunRef{Run: id(n)}, Pipeline: "p", Project: project, Spec: spec,
		Trigger: events.Trigger{
			Event: []string{"push", "pull_request"}[n%2], Actor: []string{"ann", "bob", "çelik ö"}[n%3], Repository: "acme/web",
			Ref: []string{"refs/heads/main", "refs/tags/v1", "refs/heads/fix/login"}[n/2%3], SHA: fmt.Sprintf("%08x%032d", n%7*0x11111111, n),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	states := []string{"REQUESTED", "RUNNING", "SUCCEEDED", "FAILED"}
	jobs := []string{"", "PENDING", "RUNNING", "SUCCEEDED"}
	document := fmt.Sprintf(`{"id":%q,"pipeline":%q,"project":%q,"state":%q,"requested":%q,"jobs":[
		{"key":"build","state":%q,"attempts":[{"placement":{"pool":"linux","node":"n%d","provider":"fake"}}]},{"key":"test","name":"Test it","state":%q}]}`,
		id(n), []string{"build", "deploy"}[n/3%2], project, states[n%4], noon.Add(time.Duration(n/3)*time.Second).Format(time.RFC3339), jobs[n%4], n%5, jobs[(n+1)%4])
	r, err := pipeline.Load([]byte(document), request, pipeline.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func id(n int) events.RunID { return events.RunID(fmt.Sprintf("01JD3ZT4Q8N6W1YV5K7E9R%04d", n)) }

// filled is a store with count runs, their jobs and as many deliveries.
func filled(t *testing.T, count int) view.Store {
	t.Helper()
	s := view.NewMemory()
	for n := range count {
		rows, err := view.OfAll(run(t, n), 1)
		if err != nil {
			t.Fatal(err)
		}
		delivery, err := view.OfDelivery(trigger.Delivery{
			ID: events.DeliveryID(fmt.Sprint("d", n)), Received: noon.Add(time.Duration(n/2) * time.Second), State: trigger.Done,
			Arrival: trigger.Arrival{Source: []string{"github", "gitlab"}[n%2], Repository: []string{"acme/web", "", "other"}[n%3], Event: "push", Ref: "refs/heads/main", Actor: "ann"},
		}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Put(t.Context(), append(rows, delivery)...); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// walk reads all pages of a query.
func walk(ctx context.Context, t interface{ Fatal(...any) }, s view.Store, q view.Query) []string {
	ids := []string{}
	for range 1000 {
		found, err := view.Find(ctx, s, q)
		if err != nil {
			t.Fatal(err)
		}
		if len(found.Rows) > q.Limit {
			t.Fatal("more rows than the limit")
		}
		for _, r := range found.Rows {
			ids = append(ids, r.ID)
		}
		if q.After = found.Next; q.After == "" {
			return ids
		}
	}
	t.Fatal("the pages never end")
	return nil
}

// wanted is what a query asks, decided row by row.
func wanted(t interface{ Fatal(...any) }, r view.Row, q view.Query) bool {
	var f map[string]any
	if err := json.Unmarshal(r.Body, &f); err != nil {
		t.Fatal(err)
	}
	text := func(field string) string { v, _ := f[field].(string); return v }
	if r.Kind == view.Deliveries {
		f["branch"] = strings.TrimPrefix(text("ref"), "refs/heads/")
		if text("repository") != "" {
			f["project"] = text("source") + "/" + text("repository")
		}
	}
	for field, values := range q.Where {
		if !slices.ContainsFunc(values, func(v string) bool { return v == text(field) || field == "sha" && strings.HasPrefix(text(field), v) }) {
			return false
		}
	}
	if q.Scopes != nil && !slices.ContainsFunc(q.Scopes, func(s string) bool {
		folder, all := strings.CutSuffix(s, "*")
		return s == text("project") && s != "" || all && strings.HasPrefix(text("project"), folder)
	}) {
		return false
	}
	if q.Text != "" && !strings.Contains(strings.ToLower(strings.Join([]string{text("pipeline"), text("branch"), text("actor"), text("repository"), text("key"), text("name")}, "\n")), strings.ToLower(q.Text)) &&
		!strings.HasPrefix(text("sha"), q.Text) {
		return false
	}
	return (q.Since.IsZero() || r.Score >= q.Since.UnixMilli()) && (q.Until.IsZero() || r.Score <= q.Until.UnixMilli())
}

// TestFind: whichever index a query goes along, and however small its pages, it
// finds what asking every row finds, in the same order.
func TestFind(t *testing.T) {
	s := filled(t, 120)
	fields := map[string][]string{
		"state": {"REQUESTED", "RUNNING", "FAILED", "WAITING", "PENDING", "done"}, "project": {"github/acme/web", "gitlab/other", "nowhere", "gitlab/acme/web"},
		"repository": {"acme/web", "other"}, "branch": {"main", "fix/login", "refs/tags/v1"}, "pipeline": {"build", "deploy", "x"},
		"actor": {"ann", "bob", "çelik ö"}, "event": {"push", "pull_request"}, "sha": {"11111111", "111", "ffff"},
		"pool": {"linux", "other"}, "node": {"n0", "n3"}, "provider": {"fake"}, "source": {"github"},
	}
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	rapid.Check(t, func(rt *rapid.T) {
		q := view.Query{
			Kind: rapid.SampledFrom(view.Kinds).Draw(rt, "kind"), Where: map[string][]string{}, Limit: rapid.IntRange(1, 60).Draw(rt, "limit"),
			Text: rapid.SampledFrom([]string{"", "", "LOGIN", "eli", "1111", "test it"}).Draw(rt, "text"),
		}
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 3, rapid.ID).Draw(rt, "fields") {
			q.Where[name] = rapid.SliceOfNDistinct(rapid.SampledFrom(fields[name]), 1, 3, rapid.ID).Draw(rt, name)
		}
		if rapid.Bool().Draw(rt, "scoped") {
			q.Scopes = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"github/acme/*", "gitlab/other", "github/acme/web", "none", "git*"}), 0, 2, rapid.ID).Draw(rt, "scopes")
			q.Scopes = append([]string{}, q.Scopes...)
		}
		if rapid.Bool().Draw(rt, "since") {
			q.Since = noon.Add(time.Duration(rapid.IntRange(0, 40).Draw(rt, "from")) * time.Second)
		}
		if rapid.Bool().Draw(rt, "until") {
			q.Until = noon.Add(time.Duration(rapid.IntRange(0, 60).Draw(rt, "to")) * time.Second)
		}
		all, err := s.Page(t.Context(), q.Kind, view.All, "", 1000)
		if err != nil {
			rt.Fatal(err)
		}
		want := []string{}
		for _, r := range all {
			if wanted(rt, r, q) {
				want = append(want, r.ID)
			}
		}
		if got := walk(t.Context(), rt, s, q); !slices.Equal(got, want) {
			rt.Fatalf("found %d %v\nwant  %d %v", len(got), got, len(want), want)
		}
	})
}

// TestManyProjects: more projects in a folder than are gone along one by one.
func TestManyProjects(t *testing.T) {
	s := view.NewMemory()
	for n := range 300 {
		r := run(t, n)
		r.Project = fmt.Sprintf("github/acme/%03d", n)
		if n%3 == 0 {
			r.Project = "elsewhere"
		}
		rows, err := view.OfAll(r, 1)
		if err == nil {
			err = s.Put(t.Context(), rows...)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for scope, want := range map[string]int{"github/acme/*": 200, "github/*": 200, "elsewhere": 100} {
		if got := walk(t.Context(), t, s, view.Query{Kind: view.Runs, Scopes: []string{scope}, Limit: 7}); len(got) != want {
			t.Errorf("%s: %d runs, want %d", scope, len(got), want)
		}
	}
}

// TestFindIsBounded: what is rare is looked for a piece at a time.
func TestFindIsBounded(t *testing.T) {
	s := view.NewMemory()
	rows := make([]view.Row, 12_000)
	for n := range rows {
		rows[n] = view.Row{Kind: view.Runs, ID: fmt.Sprintf("%05d", n), Version: 1, Score: int64(n), Body: []byte(`{"pipeline":"common"}`)}
	}
	rows[3].Body = []byte(`{"pipeline":"rare"}`)
	if err := s.Put(t.Context(), rows...); err != nil {
		t.Fatal(err)
	}
	q := view.Query{Kind: view.Runs, Text: "RARE", Limit: 10}
	first, err := view.Find(t.Context(), s, q)
	if err != nil || len(first.Rows) != 0 || first.Next == "" {
		t.Errorf("the first page has %d rows, next %q: %v", len(first.Rows), first.Next, err)
	}
	if got := walk(t.Context(), t, s, q); !slices.Equal(got, []string{"00003"}) {
		t.Errorf("found %v", got)
	}
}

func TestPeople(t *testing.T) {
	s := filled(t, 60)
	names := func(scopes []string, limit int) map[string]int {
		got := map[string]int{}
		last := ""
		for after := ""; ; {
			people, next, err := view.People(t.Context(), s, scopes, after, limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range people {
				if got[p.Name] != 0 || view.Escape(p.Name) <= last {
					t.Errorf("%s comes again, or late", p.Name)
				}
				got[p.Name], last = p.Runs, view.Escape(p.Name)
				if p.Last.ID == "" {
					t.Errorf("%s has no last run", p.Name)
				}
			}
			if after = next; after == "" {
				return got
			}
		}
	}
	for _, limit := range []int{1, 2, 50} {
		for scopes, want := range map[string]map[string]int{
			"":                              {"ann": 20, "bob": 20, "çelik ö": 20},
			"gitlab/other":                  {"ann": 5, "bob": 5, "çelik ö": 5},
			"github/acme/* github/acme/web": {"ann": 10, "bob": 10, "çelik ö": 10},
			"nowhere":                       {},
		} {
			var list []string
			if scopes != "" {
				list = strings.Fields(scopes)
			}
			if got := names(list, limit); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("in %q: %v, want %v", scopes, got, want)
			}
		}
	}
	if got := names([]string{}, 5); len(got) != 0 {
		t.Errorf("who may see nothing sees %v", got)
	}
}
