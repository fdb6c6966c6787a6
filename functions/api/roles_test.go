package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/relevo-ci/relevo/functions/api"
	"github.com/relevo-ci/relevo/shared/client"
	domain "github.com/relevo-ci/relevo/shared/domain/access"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// documented is an operation of docs/openapi.yaml.
type documented struct {
	ID         string `yaml:"operationId"`
	Permission *struct {
		Permission domain.Permission `yaml:"permission"`
		Project    string            `yaml:"project"`
	} `yaml:"x-relevo-permission"`
	method, path string
}

// operations are all of the document.
func operations(t *testing.T) []documented {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "docs", "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]documented `yaml:"paths"`
	}
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	var list []documented
	for path, methods := range doc.Paths {
		for method, op := range methods {
			op.method, op.path = strings.ToUpper(method), path
			list = append(list, op)
		}
	}
	if len(list) < 30 {
		t.Fatalf("the document has %d operations", len(list))
	}
	return list
}

// TestEveryOperationDeclaresItsPermission: one that the domain's table knows.
func TestEveryOperationDeclaresItsPermission(t *testing.T) {
	for _, op := range operations(t) {
		if op.Permission == nil {
			t.Errorf("%s %s (%s) declares no permission", op.method, op.path, op.ID)
			continue
		}
		rule, ok := domain.RuleOf(op.Permission.Permission)
		if !ok {
			t.Errorf("%s asks for %q, which the table does not know", op.ID, op.Permission.Permission)
		}
		if rule.Whole && op.Permission.Project != "*" {
			t.Errorf("%s asks for %s in %q: it is of the installation", op.ID, rule.Permission, op.Permission.Project)
		}
		if strings.Contains(op.path, "{id}") && op.Permission.Project == "each" {
			t.Errorf("%s has an id, and is of each project", op.ID)
		}
	}
}

// stage is a world with a run and a delivery in each of two projects.
type stage struct {
	*world
	run, delivery map[string]string
}

const ours, theirs = "github/acme/shop", "github/rival/vault"

func newStage(t *testing.T) *stage {
	s := &stage{run: map[string]string{}, delivery: map[string]string{}}
	s.world = newWorld(t, withLogin, func(w *world) {
		w.api.Token = "t0ken"
		w.api.Streams = api.Streams{Life: 10 * time.Millisecond}
	})
	for _, project := range []string{ours, theirs} {
		id := decode[client.Accepted](t, s.ask(http.MethodPost, "/v1/pipelines", in(project), "Authorization", "Bearer t0ken"), http.StatusCreated).ID
		status(t, s.ask(http.MethodPost, "/v1/pipelines/"+id+"/cancel", "", "Authorization", "Bearer t0ken"), http.StatusOK)
		s.run[project] = id
		got, err := s.api.Doors.Receive(t.Context(), "webhook", trigger.Arrival{
			Source: "github", Sender: project, Event: "push", Repository: strings.TrimPrefix(project, "github/"),
		}, []byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		s.delivery[project] = string(got.Delivery.ID)
	}
	return s
}

// request makes the request of an operation about a project: its path, body and
// headers. False where the test does not know the operation.
func (s *stage) request(op documented, project string) (path, body string, header []string, ok bool) {
	path = op.path
	switch op.Permission.Project {
	case "run":
		path = strings.ReplaceAll(path, "{id}", s.run[project])
	case "job":
		path = strings.ReplaceAll(path, "{id}", s.run[project]+".build")
	case "delivery":
		path = strings.ReplaceAll(path, "{id}", s.delivery[project])
	}
	path = strings.ReplaceAll(path, "{id}", "1")
	if strings.Contains(path, "{") {
		return path, "", nil, false
	}
	switch op.ID {
	case "submitPipeline":
		body = in(project)
	case "submitJob":
		body = fmt.Sprintf(`{"project": %q, "run": "true"}`, project)
	case "sendEvents":
		body = `{"specversion": "1.0", "id": "1", "source": "/x", "type": "org.example.x"}`
		header = []string{"Content-Type", "application/cloudevents+json"}
	case "makeToken":
		body = fmt.Sprintf(`{"name": "t", "role": "viewer", "projects": [%q]}`, project)
	case "grantAccess":
		body = fmt.Sprintf(`{"subject": "user:eve@x.org", "role": "viewer", "project": %q}`, project)
	case "revokeAccess":
		path += "?subject=user:eve@x.org&project=" + project
	case "endSessions":
		path += "?user=u-nobody"
	}
	return path, body, header, true
}

// may is what the table says of a role in a scope, asked about a project: 0
// where it is allowed, else the status of the refusal.
func may(op documented, role domain.Role, scope domain.Scope, project string) int {
	list := []domain.Binding{{Scope: scope, Role: role}}
	what := op.Permission.Permission
	switch op.Permission.Project {
	case "*":
		project = ""
	case "each", "self":
		if op.ID == "makeLink" { // is for who is on the server's machine
			return http.StatusForbidden
		}
		if op.ID == "makeToken" && !domain.Allowed(list, domain.View, project) {
			return http.StatusForbidden // a token may no more than its maker
		}
		if domain.Anywhere(list, what) {
			return 0
		}
		return http.StatusForbidden
	case "run", "job", "delivery":
		if !domain.Allowed(list, domain.View, project) {
			return http.StatusNotFound
		}
	}
	if domain.Allowed(list, what, project) {
		return 0
	}
	return http.StatusForbidden
}

// refusal is the status with which a request was refused for lack of a right; 0
// where it was let through, whatever came of it.
func refusal(rec *httptest.ResponseRecorder) int {
	switch rec.Code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return rec.Code
	case http.StatusNotFound:
		var p client.Problem
		if json.Unmarshal(rec.Body.Bytes(), &p) == nil && (p.Detail == "there is no such run" || p.Detail == "there is no such delivery") {
			return rec.Code
		}
	}
	return 0
}

// TestEveryRouteForEveryRole asks every operation of the document as everybody:
// each role in everything, in our project and in a folder, and nobody; about our
// project and about theirs.
func TestEveryRouteForEveryRole(t *testing.T) {
	s := newStage(t)
	type caller struct {
		name  string
		role  domain.Role
		scope domain.Scope
	}
	callers := []caller{{"nothing", "", ""}}
	for _, role := range domain.Roles() {
		for i, scope := range []domain.Scope{"*", ours, "github/acme/*"} {
			callers = append(callers, caller{fmt.Sprint(role, i), role, scope})
		}
	}
	asked, allowed := 0, 0
	for _, c := range callers {
		if c.role != "" {
			s.grant(c.name, c.role, c.scope)
		}
		b := s.logIn(c.name)
		for _, op := range operations(t) {
			for _, project := range []string{ours, theirs} {
				path, body, header, known := s.request(op, project)
				if !known {
					t.Fatalf("the test does not know how to ask %s", op.ID)
				}
				got := refusal(b.ask(op.method, path, body, header...))
				want := may(op, c.role, c.scope, project)
				if got != want {
					t.Errorf("%s in %q: %s about %s: refused with %d, want %d", c.role, c.scope, op.ID, project, got, want)
				}
				if asked++; got == 0 {
					allowed++
				}
			}
		}
	}
	if allowed == 0 || allowed == asked {
		t.Errorf("%d of %d are allowed", allowed, asked)
	}
	t.Logf("%d requests, %d allowed", asked, allowed)
}

// TestNobodyIsLetInAnywhere: without anything shown, and with what is wrong.
func TestNobodyIsLetInAnywhere(t *testing.T) {
	s := newStage(t)
	_, secret := s.token(domain.Admin, "*") // of the machine, which is not believed here
	for _, op := range operations(t) {
		path, body, header, _ := s.request(op, ours)
		for name, shown := range map[string]string{
			"nothing": "", "a wrong token": "Bearer t0ken2", "a made-up API token": "Bearer " + domain.Secret([32]byte{7}),
			"another scheme": "Basic t0ken", "a token of local mode": "Bearer " + secret,
		} {
			if rec := s.ask(op.method, path, body, append(header, "Authorization", shown)...); rec.Code != http.StatusUnauthorized {
				t.Errorf("%s with %s: %d %s", op.ID, name, rec.Code, rec.Body)
			}
		}
	}
}

// TestCrossProjectIDsAreNotThere: what is of another project is answered as what
// never was, to the byte, whoever's token it is.
func TestCrossProjectIDsAreNotThere(t *testing.T) {
	s := newStage(t)
	s.grant("ana", domain.Admin, ours)
	b := s.logIn("ana")
	never := "01JZZZZZZZZZZZZZZZZZZZZZZZ"
	tried := 0
	for _, op := range operations(t) {
		ids := map[string][2]string{
			"run": {s.run[theirs], never}, "job": {s.run[theirs] + ".build", never + ".build"},
			"delivery": {s.delivery[theirs], "gone"},
		}
		pair, ok := ids[op.Permission.Project]
		if !ok {
			continue
		}
		var answers []string
		for _, id := range pair {
			rec := b.ask(op.method, strings.ReplaceAll(op.path, "{id}", id), "")
			status(t, rec, http.StatusNotFound)
			answers = append(answers, rec.Body.String()+rec.Header().Get("ETag"))
		}
		if answers[0] != answers[1] {
			t.Errorf("%s tells what is there: %s, %s", op.ID, answers[0], answers[1])
		}
		tried++
	}
	if tried < 10 {
		t.Errorf("%d operations have an id", tried)
	}
}
