// Package gittest serves real git repositories over HTTP, by the git-http-backend
// that comes with git, as a forge does: with a credential or without, slow,
// elsewhere, in trouble.
package gittest

import (
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Server has repositories by name. Its methods may be called at any time.
type Server struct {
	URL  string // http://127.0.0.1:port
	Root string // of the bare repositories

	t              testing.TB
	mu             sync.Mutex
	user, password string
	answer         func(w http.ResponseWriter, r *http.Request) bool
	// asked are the requests' paths, with the user that each showed.
	asked []Request
}

// Request is one that came.
type Request struct {
	Path, User, Password string
	Header               http.Header
}

// New starts a server that ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, Root: t.TempDir()}
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatalf("git is needed, make setup installs it: %v", err)
	}
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + s.Root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "HOME=" + s.Root},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		s.mu.Lock()
		s.asked = append(s.asked, Request{r.URL.Path, user, password, r.Header.Clone()})
		answer, known := s.answer, s.user == "" || user == s.user && password == s.password
		s.mu.Unlock()
		switch {
		case answer != nil && answer(w, r):
		case !known:
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
		default:
			backend.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// Want has it ask for a credential from now on; for none where user is empty.
func (s *Server) Want(user, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.user, s.password = user, password
}

// Answer has f answer in place of git, where it says that it did.
func (s *Server) Answer(f func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

// Asked are the requests so far.
func (s *Server) Asked() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// Clone is the address of a repository.
func (s *Server) Clone(name string) string { return s.URL + "/" + name + ".git" }

// Repo is a repository with a working folder that is pushed from.
type Repo struct {
	Dir string // working folder
	t   testing.TB
}

// Repo makes a repository: owner/name.
func (s *Server) Repo(name string) *Repo {
	s.t.Helper()
	bare := filepath.Join(s.Root, filepath.FromSlash(name)+".git")
	if err := os.MkdirAll(bare, 0o755); err != nil {
		s.t.Fatal(err)
	}
	r := &Repo{s.t.TempDir(), s.t}
	Run(s.t, bare, "init", "--quiet", "--bare", "--initial-branch=main")
	r.Git("init", "--quiet", "--initial-branch=main")
	r.Git("remote", "add", "origin", bare)
	return r
}

// Commit writes files by path and pushes the branch; it gives the commit's id.
func (r *Repo) Commit(message string, files map[string]string) string {
	r.t.Helper()
	for path, text := range files {
		file := filepath.Join(r.Dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			r.t.Fatal(err)
		}
	}
	r.Git("add", "--all")
	r.Git("commit", "--quiet", "--allow-empty", "--message", message)
	r.Git("push", "--quiet", "--force", "origin", "HEAD")
	return r.Git("rev-parse", "HEAD")
}

// Git runs git in the working folder and gives what it prints.
func (r *Repo) Git(args ...string) string {
	r.t.Helper()
	return Run(r.t, r.Dir, args...)
}

// Run runs git in a folder, as somebody who has no settings of their own, and
// gives what it prints.
func Run(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull,
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=protocol.file.allow", "GIT_CONFIG_VALUE_0=always")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}
