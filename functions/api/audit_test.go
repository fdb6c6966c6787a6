package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/functions/api"
	"github.com/relevo-ci/relevo/shared/client"
	domain "github.com/relevo-ci/relevo/shared/domain/access"
	"github.com/relevo-ci/relevo/shared/feed"
)

// TestAudit: what changes something is kept with who did it, also where it was
// refused; what only looks is not.
func TestAudit(t *testing.T) {
	s := newStage(t)
	s.grant("ana", domain.Developer, ours)
	s.grant("root", domain.Admin, "*")
	ana, root := s.logIn("ana"), s.logIn("root")
	status(t, ana.ask(http.MethodGet, "/v1/pipelines/"+s.run[ours], ""), http.StatusOK)
	status(t, ana.ask(http.MethodPost, "/v1/pipelines/"+s.run[ours]+"/retry", ""), http.StatusCreated)
	status(t, ana.ask(http.MethodPost, "/v1/pipelines/"+s.run[theirs]+"/cancel", ""), http.StatusNotFound)
	status(t, ana.ask(http.MethodPost, "/v1/jobs/"+s.run[ours]+".build/approve", ""), http.StatusForbidden)
	status(t, ana.ask(http.MethodPost, "/v1/pipelines", `{"source": "jobs: {"}`), http.StatusUnprocessableEntity)
	status(t, ana.ask(http.MethodPost, "/v1/pipelines", in(theirs)), http.StatusForbidden)

	page := decode[client.AuditPage](t, root.ask(http.MethodGet, "/v1/audit?principal=ana@x.org", ""), http.StatusOK)
	var got []string
	for _, e := range page.Entries {
		got = append(got, e.Action+" "+e.Project+" "+e.Outcome)
		if e.Via != "session" || e.Name != "ana@x.org" || !strings.HasPrefix(e.Principal, "u-") || e.At.IsZero() {
			t.Errorf("entry %+v", e)
		}
	}
	want := []string{
		"submitPipeline " + theirs + " refused", "submitPipeline  failed", "approveJob " + ours + " refused", "cancelPipeline " + theirs + " refused", "retryPipeline " + ours + " done",
	}
	if strings.Join(got, "; ") != strings.Join(want, "; ") {
		t.Errorf("the audit has\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	made := decode[client.Accepted](t, root.ask(http.MethodPost, "/v1/pipelines", in(ours)), http.StatusCreated)
	token := decode[client.MadeToken](t, root.ask(http.MethodPost, "/v1/tokens", `{"name": "ci", "role": "viewer", "projects": ["*"], "days": 1}`), http.StatusCreated)
	status(t, root.ask(http.MethodPut, "/v1/access", `{"subject": "user:bo@x.org", "project": "*", "role": "viewer"}`), http.StatusOK)
	status(t, root.ask(http.MethodDelete, "/v1/access?subject=user:bo@x.org&project=*", ""), http.StatusNoContent)
	page = decode[client.AuditPage](t, root.ask(http.MethodGet, "/v1/audit?principal=root@x.org", ""), http.StatusOK)
	got = nil
	for _, e := range page.Entries {
		got = append(got, e.Target)
	}
	if want := []string{"user:bo@x.org in *", "user:bo@x.org as viewer in *", "/v1/tokens/" + token.Token.ID, "/v1/pipelines/" + made.ID}; !slices.Equal(got, want) {
		t.Errorf("it was done to %q, want %q", got, want)
	}
	all := decode[client.AuditPage](t, root.ask(http.MethodGet, "/v1/audit?limit=2", ""), http.StatusOK)
	if len(all.Entries) != 2 || all.Next == "" {
		t.Errorf("a page %+v", all)
	}
	refused(t, root.ask(http.MethodGet, "/v1/audit?cursor=x", ""), http.StatusUnprocessableEntity)
	refused(t, ana.ask(http.MethodGet, "/v1/audit", ""), http.StatusForbidden)
}

// TestActorsStandInTheEvents: whoever asks is named by what comes of it, not
// whom they say they are.
func TestActorsStandInTheEvents(t *testing.T) {
	w := newWorld(t, withLogin)
	w.grant("ana", domain.Operator, "*")
	ana := w.logIn("ana")
	body := `{"source": "jobs:\n  build:\n    steps:\n    - run: echo hello\n", "trigger": {"actor": "root"}}`
	id := decode[client.Accepted](t, ana.ask(http.MethodPost, "/v1/pipelines", body), http.StatusCreated).ID
	if run := decode[client.Run](t, ana.ask(http.MethodGet, "/v1/pipelines/"+id, ""), http.StatusOK); run.Actor != "ana@x.org" {
		t.Errorf("the run is of %q", run.Actor)
	}
	status(t, ana.ask(http.MethodPost, "/v1/pipelines/"+id+"/cancel", ""), http.StatusOK)
	b, err := w.feed.Next(t.Context(), feed.Position("0"), 1000)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, e := range b.Entries {
		if e.Type == events.TypeCancelRequested {
			found = strings.Contains(string(e.Frame), `"by":"ana@x.org"`)
		}
	}
	if !found {
		t.Error("nobody is named who cancelled")
	}
}

// TestIdempotencyKeysAreOnesOwn: another's request with the same key is another
// request.
func TestIdempotencyKeysAreOnesOwn(t *testing.T) {
	w := newWorld(t, withLogin)
	var ids []string
	for _, name := range []string{"ana", "bob"} {
		w.grant(name, domain.Developer, domain.Scope("p-"+name))
		b := w.logIn(name)
		ids = append(ids, decode[client.Accepted](t, b.ask(http.MethodPost, "/v1/pipelines", in("p-"+name), "Idempotency-Key", "k"), http.StatusCreated).ID)
	}
	if ids[0] == ids[1] {
		t.Errorf("one run for two: %v", ids)
	}
}

// TestListsAreOfOnesProjects: runs, what holds nodes, what waits and events of
// other projects are not shown, or only that they are there.
func TestListsAreOfOnesProjects(t *testing.T) {
	w := newWorld(t, withLogin, func(w *world) { w.api.Token = "t0ken" })
	w.node("n1", 1)
	system := []string{"Authorization", "Bearer t0ken"}
	run := map[string]string{}
	for _, project := range []string{theirs, ours, theirs} { // the first runs, the others wait
		run[project] = decode[client.Accepted](t, w.ask(http.MethodPost, "/v1/pipelines", in(project), system...), http.StatusCreated).ID
	}
	w.grant("ana", domain.Admin, ours)
	ana := w.logIn("ana")
	for path, said := range map[string]string{
		"/v1/pipelines": ours, "/v1/jobs": ours, "/ui/jobs": ours, "/v1/nodes": `"held":[{"assignment":""`, "/v1/queue": ours, "/v1/people": "people", "/v1/deliveries": "deliveries",
	} {
		body := status(t, ana.ask(http.MethodGet, path, ""), http.StatusOK).Body.String()
		if strings.Contains(body, theirs) || strings.Contains(body, run[theirs]) {
			t.Errorf("%s shows what is another's: %s", path, body)
		}
		if !strings.Contains(strings.ReplaceAll(body, " ", ""), said) {
			t.Errorf("%s lacks %s: %s", path, said, body)
		}
		if all := w.ask(http.MethodGet, path, "", system...).Body.String(); path == "/v1/pipelines" && !strings.Contains(all, theirs) {
			t.Errorf("%s lacks for who sees all: %s", path, all)
		}
	}
	q := decode[client.Queue](t, ana.ask(http.MethodGet, "/v1/queue", ""), http.StatusOK)
	if len(q.Pools) != 1 || len(q.Pools[0].Offers) != 2 || q.Pools[0].Offers[1].Job != "" || q.Pools[0].Offers[1].Position != 2 {
		t.Errorf("queue %+v", q)
	}
}

// TestEventsAreOfOnesProjects: a stream has those of one's own runs alone, and of
// access none.
func TestEventsAreOfOnesProjects(t *testing.T) {
	w := newWorld(t, withLogin, func(w *world) {
		w.api.Token = "t0ken"
		w.api.Streams = api.Streams{Life: 200 * time.Millisecond}
	})
	system := []string{"Authorization", "Bearer t0ken"}
	run := map[string]string{}
	for _, project := range []string{theirs, ours} {
		run[project] = decode[client.Accepted](t, w.ask(http.MethodPost, "/v1/pipelines", in(project), system...), http.StatusCreated).ID
	}
	w.grant("ana", domain.Admin, ours)
	for _, c := range []struct {
		header              []string
		theirs, ours, audit bool
	}{
		{[]string{"Cookie", "__Host-relevo=" + w.logIn("ana").secret}, false, true, false},
		{system, true, true, true},
	} {
		body := w.ask(http.MethodGet, "/v1/events?after=0", "", c.header...).Body.String()
		if strings.Contains(body, run[theirs]) != c.theirs || strings.Contains(body, run[ours]) != c.ours || strings.Contains(body, "ui.recorded") != c.audit {
			t.Errorf("the stream of %v has %d bytes: %s", c.header, len(body), body)
		}
	}
}
