package api_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/client"
)

func TestLocalModeServesThisMachineAlone(t *testing.T) {
	w := newWorld(t, func(w *world) { w.api.Hosts = []string{"ci.internal"} })
	for _, host := range []string{"localhost", "LOCALHOST:80", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "::1", "ci.internal:80"} {
		if rec := w.ask(http.MethodGet, "/v1/nodes", "", "Host", host); rec.Code != http.StatusOK {
			t.Errorf("host %s: %d", host, rec.Code)
		}
	}
	// DNS rebinding: a page's own name was made to point here.
	for _, host := range []string{"evil.example", "localhost.evil.example", "evil.example:127.0.0.1", "10.0.0.1", "", "0.0.0.0"} {
		refused(t, w.ask(http.MethodGet, "/v1/nodes", "", "Host", host), http.StatusMisdirectedRequest)
	}
	for _, from := range []string{"192.0.2.1:1234", "10.0.0.1:80", "nonsense", "[2001:db8::1]:80"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/nodes", nil)
		r.RemoteAddr, r.Host = from, "localhost"
		rec := httptest.NewRecorder()
		w.http.ServeHTTP(rec, r)
		refused(t, rec, http.StatusForbidden)
	}
	// A page of another origin that posts to localhost by its right name.
	refused(t, w.ask(http.MethodPost, "/v1/pipelines", hello, "Origin", "https://evil.example"), http.StatusForbidden)
	refused(t, w.ask(http.MethodPost, "/v1/pipelines", hello, "Sec-Fetch-Site", "cross-site"), http.StatusForbidden)
	if rec := w.ask(http.MethodPost, "/v1/pipelines", hello, "Origin", "http://localhost:8080"); rec.Code != http.StatusCreated {
		t.Errorf("our own page: %d", rec.Code)
	}
}

func TestToken(t *testing.T) {
	w := newWorld(t, func(w *world) { w.api.Token = "s3cret-token" })
	for _, shown := range []string{"", "Bearer", "Bearer ", "Bearer s3cret-toke", "Bearer s3cret-token2", "Basic s3cret-token", "s3cret-token"} {
		rec := w.ask(http.MethodGet, "/v1/nodes", "", "Authorization", shown)
		refused(t, rec, http.StatusUnauthorized)
		if !strings.HasPrefix(rec.Header().Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("headers %v", rec.Header())
		}
		if strings.Contains(rec.Body.String(), "s3cret") {
			t.Errorf("the token in %s", rec.Body)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/nodes", nil)
	r.RemoteAddr, r.Host = "192.0.2.1:1234", "relevo.example"
	r.Header.Set("Authorization", "bearer s3cret-token")
	rec := httptest.NewRecorder()
	w.http.ServeHTTP(rec, r)
	if rec.Code != http.StatusOK {
		t.Errorf("with the token, from afar: %d %s", rec.Code, rec.Body)
	}
	if rec := w.ask(http.MethodGet, "/healthz", "", "Host", "any"); rec.Code != http.StatusOK {
		t.Errorf("health: %d", rec.Code)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	w := newWorld(t)
	p := refused(t, w.ask(http.MethodPost, "/v1/pipelines", submission(strings.Repeat("#", 5<<20))), http.StatusRequestEntityTooLarge)
	if p.Detail == "" {
		t.Errorf("problem %+v", p)
	}
	// Within the bound of bodies, beyond that of pipeline files.
	refused(t, w.ask(http.MethodPost, "/v1/pipelines", submission(strings.Repeat("#", 2<<20))), http.StatusUnprocessableEntity)
}

func TestErrorsEchoNoValues(t *testing.T) {
	w := newWorld(t)
	for name, body := range map[string]string{
		"no JSON":       `{"source": "hunter2`,
		"wrong type":    `{"source": ["hunter2"]}`,
		"unknown key":   `{"source": "jobs: {}", "password": "hunter2"}`,
		"unknown value": `{"source": "x", "trigger": {"event": "hunter2 "}}`,
	} {
		rec := w.ask(http.MethodPost, "/v1/pipelines", body)
		if rec.Code != http.StatusUnprocessableEntity && rec.Code != http.StatusBadRequest {
			t.Errorf("%s: %d", name, rec.Code)
		}
		p := refused(t, rec, rec.Code)
		if len(p.Errors) == 0 || strings.Contains(rec.Body.String(), "hunter2") {
			t.Errorf("%s: %s", name, rec.Body)
		}
	}
	rec := w.ask(http.MethodPost, "/v1/pipelines", "source=hunter2", "Content-Type", "text/plain")
	if refused(t, rec, http.StatusUnsupportedMediaType); strings.Contains(rec.Body.String(), "hunter2") {
		t.Errorf("as a form: %s", rec.Body)
	}
}

func TestUnixSocket(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "api.sock")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: w.http}}
	s.Start()
	defer s.Close()
	c, err := client.New("unix://"+path, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Nodes(t.Context()); err != nil {
		t.Error(err)
	}
}
