package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/view"
	"github.com/relevo-ci/relevo/shared/view/viewtest"
)

// from asks for a run that was started by something.
func (w *world) from(event, actor, ref, sha string) string {
	w.t.Helper()
	return w.submit(fmt.Sprintf(`{"project": "acme/web", "source": "name: ci\njobs:\n  build:\n    steps:\n    - run: x\n  test:\n    needs: build\n    steps:\n    - run: y\n",
		"trigger": {"event": %q, "actor": %q, "repository": "acme/web", "ref": %q, "sha": %q}}`, event, actor, ref, sha))
}

// TestLists: what is asked for is what is listed.
func TestLists(t *testing.T) {
	w := newWorld(t)
	w.node("n1", 1)
	first := w.from("push", "ann", "refs/heads/main", "aaaaaaa1")
	second := w.from("push", "bob", "refs/heads/fix/login", "aaaaaaa2")
	w.finish(0, "")
	w.finish(1, "")
	c := w.serve()
	for want, f := range map[string]client.RunFilter{
		first:                {States: []string{"RUNNING", "SUCCEEDED"}, Origin: client.Origin{Actor: "ann"}},
		second:               {Origin: client.Origin{Branch: "refs/heads/fix/login", Repository: "acme/web"}},
		second + " " + first: {Pipeline: "ci", Origin: client.Origin{SHA: "AAAA", Event: "push", Project: "acme/web", Since: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour)}},
		"":                   {Origin: client.Origin{Until: time.Now().Add(-time.Hour)}},
		second + "  ":        {Origin: client.Origin{Text: "LOGIN"}},
	} {
		list, err := c.Runs(t.Context(), f, 10, "")
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, r := range list.Runs {
			ids = append(ids, r.ID)
			if r.Counts["SUCCEEDED"]+r.Counts["RUNNING"]+r.Counts["SCHEDULED"]+r.Counts["WAITING"]+r.Counts["PENDING"] != 2 || r.Attempt != 1 {
				t.Errorf("row %+v", r)
			}
		}
		slices.Sort(ids)
		wanted := slices.Sorted(slices.Values(splitIDs(want)))
		if !slices.Equal(ids, wanted) {
			t.Errorf("%+v lists %v, want %v", f, ids, wanted)
		}
	}
	jobs, err := c.Jobs(t.Context(), client.JobFilter{Node: "n1", States: []string{"SUCCEEDED"}, Origin: client.Origin{Actor: "ann"}}, 10, "")
	if err != nil || len(jobs.Jobs) == 0 || jobs.Jobs[0].Run != first || jobs.Jobs[0].Provider != "fake" || jobs.Jobs[0].Started.IsZero() {
		t.Errorf("jobs %+v, %v", jobs, err)
	}
	people, err := c.People(t.Context(), 10, "")
	if err != nil || len(people.People) != 2 || people.People[0].Name != "ann" || people.People[0].Runs != 1 || people.People[1].Run != second {
		t.Errorf("people %+v, %v", people, err)
	}
}

func splitIDs(s string) []string {
	var ids []string
	for i := 0; i+26 <= len(s); i += 27 {
		ids = append(ids, s[i:i+26])
	}
	return ids
}

// TestWhatIsRefused: what no list knows is refused, with its place.
func TestWhatListsRefuse(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{
		"/v1/pipelines?state=DONE", "/v1/pipelines?pool=linux", "/v1/pipelines?since=yesterday", "/v1/jobs?cursor=x", "/v1/jobs?limit=501",
		"/v1/deliveries?cursor=1/x", "/v1/people?limit=0", "/ui/jobs?state=x",
	} {
		if p := refused(t, w.ask(http.MethodGet, path, ""), http.StatusUnprocessableEntity); len(p.Errors) == 0 || p.Errors[0].Location == "" {
			t.Errorf("%s: %+v", path, p)
		}
	}
	refused(t, w.ask(http.MethodPost, "/v1/rebuild?after=p99", ""), http.StatusUnprocessableEntity)
}

// TestAnAcceptedRunIsListedAtOnce: even where no event of it ever arrives.
func TestAnAcceptedRunIsListedAtOnce(t *testing.T) {
	w := newWorld(t)
	w.cut = true
	for i := range 20 {
		id := w.submit(hello, "Idempotency-Key", fmt.Sprint("k", i))
		list := decode[client.RunList](t, w.ask(http.MethodGet, "/v1/pipelines", ""), http.StatusOK)
		if len(list.Runs) != i+1 || !slices.ContainsFunc(list.Runs, func(r client.RunSummary) bool { return r.ID == id && r.State == "REQUESTED" }) {
			t.Fatalf("run %s is not among %+v", id, list.Runs)
		}
	}
	jobs := decode[client.JobList](t, w.ask(http.MethodGet, "/v1/jobs?state=WAITING", ""), http.StatusOK)
	if len(jobs.Jobs) != 20 {
		t.Errorf("%d jobs are listed", len(jobs.Jobs))
	}
}

// TestRebuild: rows that are lost, wrong or of nothing are as their documents say
// afterwards; a row that events brought later stays.
func TestRebuild(t *testing.T) {
	w := newWorld(t)
	w.node("n1", 1)
	w.from("push", "ann", "refs/heads/main", "aaaaaaa1")
	w.finish(0, "")
	arrive(t, w, 3)
	live := viewtest.Dump(t, w.api.Views.View)
	rows, err := w.api.Views.View.Page(t.Context(), view.Runs, view.All, "", 1)
	if err != nil || len(rows) != 1 {
		t.Fatal(len(rows), err)
	}
	wrong := rows[0]
	wrong.Indexes, wrong.Body = []view.Index{{Field: "state", Value: "WRONG"}}, []byte(`{}`)
	nothing := view.Row{Kind: view.Jobs, ID: "01ARZ3NDEKTSV4RRFFQ69G5FAV.x", Version: 7, Body: []byte(`{}`)}
	if err := w.api.Views.View.Put(t.Context(), wrong, nothing); err != nil {
		t.Fatal(err)
	}
	c := w.serve()
	steps := 0
	done, err := c.Rebuild(t.Context(), func(r client.Rebuilt) {
		if steps++; r.Done > r.Of || r.Of < 64 {
			t.Errorf("progress %+v", r)
		}
	})
	if err != nil || steps == 0 || done.Dropped != 1 || done.Rows != 6 || done.Skipped != 0 {
		t.Errorf("after %d steps %+v, %v", steps, done, err)
	}
	if got := viewtest.Dump(t, w.api.Views.View); got != live {
		t.Errorf("rebuilt\n%s\nlive\n%s", got, live)
	}
	viewtest.Consistent(t, w.api.Views.View)
}

// arrive takes events of another system in.
func arrive(t *testing.T, w *world, count int) {
	t.Helper()
	for i := range count {
		rec := w.ask(http.MethodPost, "/v1/events", `{"specversion":"1.0","id":"`+strconv.Itoa(i)+`","source":"/there","type":"com.example.thing"}`, "Content-Type", "application/cloudevents+json")
		if rec.Code/100 != 2 {
			t.Fatalf("status %d: %s", rec.Code, rec.Body)
		}
	}
}

// TestDeliveriesAreListed: by what they are, with what came of them, also where
// their row is behind.
func TestDeliveriesAreListed(t *testing.T) {
	w := newWorld(t)
	arrive(t, w, 5)
	list := decode[client.DeliveryList](t, w.ask(http.MethodGet, "/v1/deliveries?limit=2&source=cloudevent&state=done&event="+url.QueryEscape("com.example.thing"), ""), http.StatusOK)
	if len(list.Deliveries) != 2 || list.Next == "" || list.Deliveries[0].State != "done" {
		t.Fatalf("list %+v", list)
	}
	rest := decode[client.DeliveryList](t, w.ask(http.MethodGet, "/v1/deliveries?limit=50&cursor="+url.QueryEscape(list.Next), ""), http.StatusOK)
	if len(rest.Deliveries) != 3 || rest.Next != "" {
		t.Errorf("the rest %+v", rest)
	}
	behind, err := w.api.Views.View.Get(t.Context(), view.Deliveries, list.Deliveries[0].ID)
	if err != nil || len(behind) != 1 {
		t.Fatal(len(behind), err)
	}
	behind[0].Version++
	behind[0].Body = fmt.Appendf(nil, `{"id":%q,"state":"working","received":"2030-01-01T00:00:00Z"}`, behind[0].ID)
	if err := w.api.Views.View.Put(t.Context(), behind...); err != nil {
		t.Fatal(err)
	}
	again := decode[client.DeliveryList](t, w.ask(http.MethodGet, "/v1/deliveries?limit=1", ""), http.StatusOK)
	if again.Deliveries[0].State != "done" {
		t.Errorf("delivery %+v", again.Deliveries[0])
	}
}

// TestRetiredRunsLeaveTheLists: rows go before their run does.
func TestRetiredRunsLeaveTheLists(t *testing.T) {
	w := newWorld(t)
	w.node("n1", 1)
	w.now = time.Now()
	id := events.RunID(w.submit(hello))
	w.finish(0, "")
	forget := w.api.Views.Forgetting(func(context.Context, events.RunID) error { return nil })
	gone, err := w.runs.Retire(t.Context(), protocol.PartitionOf(id), w.now.Add(time.Hour), forget)
	if err != nil || len(gone) != 1 {
		t.Fatal(gone, err)
	}
	if got := viewtest.Dump(t, w.api.Views.View); got != "" {
		t.Errorf("the lists hold %s", got)
	}
	// Who read it before comes late.
	late, err := view.OfAll(&pipeline.Run{ID: id}, 1<<30)
	if err == nil {
		err = w.api.Views.View.Put(t.Context(), late...)
	}
	if got := viewtest.Dump(t, w.api.Views.View); err != nil || got != "" {
		t.Errorf("the lists hold %s, %v", got, err)
	}
}
