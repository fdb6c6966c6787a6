// Package forgetest is a fake forge of each kind, and the suite that every
// client of the port passes against it. The fake keeps its repositories in real
// bare git folders, serves them over HTTP, answers its API as the forge's
// documentation says, fails when it is told to, and records what it is told of
// commits, in order.
package forgetest

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/forge"
)

// A Server is a fake forge. Its methods may be called from several goroutines.
type Server struct {
	Kind  string // one of forge's
	URL   string // of the API and of git
	Token string // that every request needs; it reads and writes everything

	backend string // git's program for HTTP
	mu      sync.Mutex
	repos   map[string]*repository
	renamed map[string]*repository
	app     *App // GitHub's; nil: the token counts
	faults  []Fault
	stuck   chan struct{} // closed when the test ends
	asked   []string
	same    int
	// versions of an answer by its address: tags of different addresses are alike,
	// as the forges' own may be.
	versions map[string][]string
}

// A Fault is what one request gets instead of an answer.
type Fault struct {
	Status int
	Header map[string]string
	Body   string
	// Delay before the answer; it ends early with the test or the request.
	Delay time.Duration
	// Cut the answer's body short of its length.
	Cut bool
	// After the effect: the request is served, its answer lost.
	After bool
}

// A Told is one status that the forge was told, in its own words.
type Told struct {
	Context, State, Description, Link string
}

// New starts a fake forge, which ends with the test.
func New(t testing.TB, kind string) *Server {
	t.Helper()
	home, err := exec.CommandContext(t.Context(), "git", "--exec-path").Output()
	if err != nil {
		t.Fatal("forgetest: git: ", err)
	}
	s := &Server{
		Kind: kind, Token: "token-of-" + kind, repos: map[string]*repository{}, renamed: map[string]*repository{}, stuck: make(chan struct{}), versions: map[string][]string{},
		backend: strings.TrimSpace(string(home)) + "/git-http-backend",
	}
	if routes[kind] == nil {
		t.Fatalf("forgetest: there is no kind %q", kind)
	}
	server := httptest.NewServer(s)
	s.URL = server.URL
	t.Cleanup(func() {
		close(s.stuck)
		server.Close()
	})
	return s
}

// Settings are those of a client.
func (s *Server) Settings(secrets ...string) forge.Settings {
	settings := forge.Settings{Kind: s.Kind, URL: s.URL, Token: s.Token, Secrets: secrets}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.app != nil {
		settings.Token, settings.AppID, settings.AppKey = "", s.app.ID, s.app.Key
	}
	return settings
}

// Add makes a bare git folder a repository of the forge.
func (s *Server) Add(name, bare string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repos[name] = &repository{
		server: s, id: 100 + len(s.repos), name: name, dir: bare,
		levels: map[string]trigger.Level{}, pulls: map[int]trigger.Pull{}, told: map[string][]Told{},
	}
}

// Grant sets what an account may do.
func (s *Server) Grant(repository, login string, level trigger.Level) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repos[repository].levels[login] = level
}

// SetPull opens a pull request, or changes it.
func (s *Server) SetPull(repository string, p trigger.Pull) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repos[repository].pulls[p.Number] = p
}

// Told is what the forge was told of a commit, in order.
func (s *Server) Told(repository, sha string) []Told {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Told(nil), s.repos[repository].told[sha]...)
}

// Fail makes the next requests of the API fail, one each.
func (s *Server) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Asked are the requests of the API so far: "GET /path?query".
func (s *Server) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

// Unchanged counts the answers 304.
func (s *Server) Unchanged() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.same
}

// ServeHTTP serves git's paths to git and the others as the API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if name, isGit := gitPath(r.URL.Path); isGit {
		s.serveGit(w, r, name)
		return
	}
	s.mu.Lock()
	s.asked = append(s.asked, r.Method+" "+r.URL.RequestURI())
	var fault Fault
	if len(s.faults) > 0 {
		fault, s.faults = s.faults[0], s.faults[1:]
	}
	s.mu.Unlock()
	if fault.Delay > 0 {
		select {
		case <-time.After(fault.Delay):
		case <-s.stuck:
		case <-r.Context().Done():
		}
	}
	if fault.After || fault.Status == 0 {
		a := s.answer(r)
		if !fault.After {
			s.write(w, r, a, fault.Cut)
			return
		}
	}
	for name, value := range fault.Header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(fault.Status)
	_, _ = io.WriteString(w, fault.Body)
}

// A request is a parsed one: its path unescaped, name by name.
type request struct {
	method string
	path   []string
	query  url.Values
	accept string
	body   []byte
	base   string // of the addresses in answers
}

// bind decodes the body into v.
func (q request) bind(v any) bool { return json.Unmarshal(q.body, v) == nil }

// An answer is a status with a body: JSON, or bytes as they are.
type answer struct {
	status int
	body   any
	header map[string]string
}

func found(body any) answer { return answer{status: http.StatusOK, body: body} }

func said(status int, message string) answer {
	return answer{status: status, body: map[string]any{"message": message}}
}

var missing = said(http.StatusNotFound, "Not Found")

// routes answer a kind's API; they run with the server locked.
var routes = map[string]func(*Server, request) answer{
	forge.GitHub: (*Server).github, forge.GitLab: (*Server).gitlab, forge.Gitea: (*Server).gitea,
	forge.Bitbucket: (*Server).bitbucket, forge.Stash: (*Server).stash, forge.Gogs: (*Server).gogs,
}

func (s *Server) answer(r *http.Request) answer {
	s.mu.Lock()
	app := s.app
	s.mu.Unlock()
	if app == nil && !s.allowed(r.Header) {
		return said(http.StatusUnauthorized, "Bad credentials")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return said(http.StatusBadRequest, err.Error())
	}
	q := request{method: r.Method, query: r.URL.Query(), accept: r.Header.Get("Accept"), body: body, base: s.URL}
	for name := range strings.SplitSeq(strings.Trim(r.URL.EscapedPath(), "/"), "/") {
		plain, err := url.PathUnescape(name)
		if err != nil {
			return said(http.StatusBadRequest, err.Error())
		}
		q.path = append(q.path, plain)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, moved := s.renamedTo(&q, r.URL.RawQuery); moved {
		return a
	}
	if app != nil {
		if a, done := app.serve(s, q, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")); done {
			return a
		}
	}
	return routes[s.Kind](s, q)
}

// allowed is each forge's way to present a token.
func (s *Server) allowed(h http.Header) bool {
	switch s.Kind {
	case forge.GitLab:
		return h.Get("Private-Token") == s.Token
	case forge.Gitea, forge.Gogs:
		return h.Get("Authorization") == "token "+s.Token
	}
	return h.Get("Authorization") == "Bearer "+s.Token
}

// tag numbers the versions of an answer.
func (s *Server) tag(address string, body []byte) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := fmt.Sprintf("%x", sha256.Sum256(body))
	n := slices.Index(s.versions[address], sum)
	if n < 0 {
		n = len(s.versions[address])
		s.versions[address] = append(s.versions[address], sum)
	}
	return fmt.Sprintf(`W/"%d"`, n+1)
}

func (s *Server) write(w http.ResponseWriter, r *http.Request, a answer, cut bool) {
	body, raw := a.body.([]byte)
	if !raw && a.body != nil {
		var err error
		if body, err = json.Marshal(a.body); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	w.Header().Set("X-RateLimit-Remaining", "4999")
	if r.Method == http.MethodGet && a.status == http.StatusOK {
		tag := s.tag(r.URL.String()+r.Header.Get("Accept"), body)
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			s.mu.Lock()
			s.same++
			s.mu.Unlock()
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(a.status)
	if cut {
		body = body[:len(body)/2]
	}
	_, _ = io.Copy(w, bytes.NewReader(body))
}
