package checkout_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/relevo-ci/relevo/shared/agent/checkout"
	"github.com/relevo-ci/relevo/shared/agent/checkout/gittest"
	"github.com/relevo-ci/relevo/shared/domain/execution"
)

const password = "p4ss-of-the-forge"

// rig checks out of a server into a folder.
type rig struct {
	*testing.T
	server     *gittest.Server
	options    checkout.Options
	credential *execution.Credential
	commands   []string
	output     bytes.Buffer
	said       []string
	pauses     atomic.Int32
}

func newRig(t *testing.T, server *gittest.Server, repository string) *rig {
	t.Setenv("HOME", t.TempDir())
	r := &rig{T: t, server: server}
	r.options = checkout.Options{
		Source:    checkout.Source{Clone: server.Clone(repository), Repository: repository, Ref: "refs/heads/main"},
		Workspace: filepath.Join(t.TempDir(), "work"), Git: r,
		Say:   func(format string, args ...any) { r.said = append(r.said, fmt.Sprintf(format, args...)) },
		Pause: func(int) bool { r.pauses.Add(1); return true },
	}
	r.inputs(nil)
	return r
}

// private makes the server ask for a credential, and gives it to git.
func (r *rig) private() *rig {
	r.server.Want("relevo", password)
	r.credential = &execution.Credential{Server: r.server.URL, User: "relevo", Password: password}
	return r
}

func (r *rig) inputs(text map[string]string) {
	r.Helper()
	in, err := execution.ReadCheckout(text)
	if err != nil {
		r.Fatal(err)
	}
	r.options.Inputs = in
}

func (r *rig) Run(dir string, remote bool, args ...string) error {
	_, err := r.Output(dir, remote, args...)
	return err
}

func (r *rig) Output(dir string, remote bool, args ...string) (string, error) {
	r.commands = append(r.commands, strings.Join(args, " "))
	cmd := exec.Command("git", args...)
	var c *execution.Credential
	if remote {
		c = r.credential
	}
	cmd.Dir, cmd.Env = dir, checkout.Environ(os.Environ(), r.options.Clone, c)
	out, err := cmd.CombinedOutput()
	r.output.Write(out)
	if err != nil {
		return string(out), &checkout.Failure{Args: args, Err: err, Tail: string(out)}
	}
	return string(out), nil
}

func (r *rig) checkout() checkout.Result {
	r.Helper()
	done, err := checkout.Do(r.options)
	if err != nil {
		r.Fatalf("%v\n%s", err, &r.output)
	}
	return done
}

func (r *rig) file(path string) string {
	text, err := os.ReadFile(filepath.Join(r.options.Workspace, path))
	if err != nil {
		return "none"
	}
	return string(text)
}

func (r *rig) git(args ...string) string {
	r.Helper()
	return gittest.Run(r.T, r.options.Workspace, args...)
}

// TestTheExactCommit: the one that the run is of, not what its branch is at now.
func TestTheExactCommit(t *testing.T) {
	server := gittest.New(t)
	repo := server.Repo("o/r")
	repo.Commit("one", map[string]string{"a": "1"})
	sha := repo.Commit("two", map[string]string{"a": "2"})
	repo.Commit("three", map[string]string{"a": "3"})
	r := newRig(t, server, "o/r")
	r.options.SHA = sha
	if done := r.checkout(); done.Commit != sha || done.Ref != "refs/heads/main" {
		t.Errorf("%+v", done)
	}
	if r.file("a") != "2" || r.git("rev-parse", "HEAD") != sha || r.git("rev-list", "--count", "HEAD") != "1" {
		t.Errorf("a is %s; %s", r.file("a"), r.git("log", "--oneline"))
	}
	if got := r.git("status", "--porcelain", "--branch"); got != "## HEAD (no branch)" {
		t.Errorf("status %q", got)
	}
	if got := r.git("for-each-ref", "--format=%(refname)"); got != "refs/remotes/origin/main" {
		t.Errorf("refs %q", got)
	}
}

// TestInputs are the words that files use.
func TestInputs(t *testing.T) {
	server := gittest.New(t)
	repo := server.Repo("o/r")
	first := repo.Commit("one", map[string]string{"a": "1", "docs/x": "x", "src/y": "y"})
	repo.Git("tag", "v1")
	repo.Git("tag", "--annotate", "--message", "m", "v1.0")
	second := repo.Commit("two", map[string]string{"a": "2"})
	repo.Git("push", "--quiet", "--tags")
	repo.Git("checkout", "--quiet", "-b", "feat/x", first)
	third := repo.Commit("three", map[string]string{"a": "3"})
	repo.Git("push", "--quiet", "origin", third+":refs/pull/7/head")
	server.Repo("o/other").Commit("of another", map[string]string{"b": "other"})
	for name, c := range map[string]struct {
		with  map[string]string
		files map[string]string
		more  func(r *rig) string // what is wrong
	}{
		"a branch":         {map[string]string{"ref": "feat/x"}, map[string]string{"a": "3"}, nil},
		"a full ref":       {map[string]string{"ref": "refs/heads/feat/x"}, map[string]string{"a": "3"}, nil},
		"a pull request":   {map[string]string{"ref": "refs/pull/7/head"}, map[string]string{"a": "3"}, nil},
		"a tag":            {map[string]string{"ref": "v1"}, map[string]string{"a": "1"}, nil},
		"an annotated tag": {map[string]string{"ref": "refs/tags/v1.0"}, map[string]string{"a": "1"}, nil},
		"a commit":         {map[string]string{"ref": strings.ToUpper(first)}, map[string]string{"a": "1"}, nil},
		"a path":           {map[string]string{"path": "./sub/folder"}, map[string]string{"sub/folder/a": "2", "a": "none"}, nil},
		"another":          {map[string]string{"repository": "o/other", "path": "b"}, map[string]string{"b/b": "other"}, nil},
		"depth": {map[string]string{"fetch-depth": "2"}, nil, func(r *rig) string {
			return expect(r.git("rev-list", "--count", "HEAD"), "2")
		}},
		"all": {map[string]string{"fetch-depth": "0"}, map[string]string{"a": "2"}, func(r *rig) string {
			return expect(r.git("for-each-ref", "--format=%(refname)"), "refs/remotes/origin/feat/x\nrefs/remotes/origin/main\nrefs/tags/v1\nrefs/tags/v1.0")
		}},
		"tags": {map[string]string{"fetch-tags": "true"}, nil, func(r *rig) string {
			return expect(r.git("tag", "--list"), "v1\nv1.0")
		}},
		"sparse": {map[string]string{"sparse-checkout": "docs\n"}, map[string]string{"docs/x": "x", "src/y": "none", "a": "2"}, nil},
		"patterns": {
			map[string]string{"sparse-checkout": "/src/*\n!/a", "sparse-checkout-cone-mode": "false"},
			map[string]string{"docs/x": "none", "src/y": "y", "a": "none"},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, server, "o/r").private()
			r.options.SHA = second
			r.inputs(c.with)
			r.checkout()
			for path, want := range c.files {
				if got := r.file(path); got != want {
					t.Errorf("%s: %q, want %q", path, got, want)
				}
			}
			if c.more != nil {
				if wrong := c.more(r); wrong != "" {
					t.Error(wrong)
				}
			}
			r.keepsNoCredential()
		})
	}
}

func expect(got, want string) string {
	if got == want {
		return ""
	}
	return fmt.Sprintf("%q, want %q", got, want)
}

// keepsNoCredential holds that it is in no file, command line or output.
func (r *rig) keepsNoCredential() {
	r.Helper()
	err := filepath.WalkDir(filepath.Dir(r.options.Workspace), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil || bytes.Contains(text, []byte(password)) {
				r.Errorf("%s holds the password, or cannot be read: %v", path, err)
			}
		}
		return err
	})
	if err != nil {
		r.Error(err)
	}
	if all := strings.Join(r.commands, "\n") + r.output.String() + strings.Join(r.said, ""); strings.Contains(all, password) {
		r.Error("the password is shown")
	}
}

// TestAgain: a second checkout of the repository brings it up to date, and takes
// away what steps left; clean: false leaves it.
func TestAgain(t *testing.T) {
	server := gittest.New(t)
	repo := server.Repo("o/r")
	r := newRig(t, server, "o/r")
	r.options.SHA = repo.Commit("one", map[string]string{"a": "1"})
	r.checkout()
	r.options.SHA = repo.Commit("two", map[string]string{"b": "2"})
	for file, text := range map[string]string{"a": "changed", "made": "x", ".git/index.lock": "", ".git/shallow.lock": ""} {
		if err := os.WriteFile(filepath.Join(r.options.Workspace, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.inputs(map[string]string{"fetch-depth": "0"})
	r.checkout()
	if r.file("a") != "1" || r.file("b") != "2" || r.file("made") != "none" || r.git("rev-list", "--count", "HEAD") != "2" {
		t.Errorf("a %s, b %s, made %s", r.file("a"), r.file("b"), r.file("made"))
	}
	if err := os.WriteFile(filepath.Join(r.options.Workspace, "made"), []byte("y"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.inputs(map[string]string{"clean": "false"})
	r.checkout()
	if r.file("made") != "y" {
		t.Error("what was made is gone")
	}
	server.Repo("o/other").Commit("x", map[string]string{"c": "3"})
	r.inputs(map[string]string{"repository": "o/other"})
	if _, err := checkout.Do(r.options); err == nil || !strings.Contains(err.Error(), "holds another repository") || r.file("b") != "2" {
		t.Errorf("another repository over it: %v", err)
	}
}

// TestFoldersWithFiles: a folder that is no repository yet keeps what it holds.
func TestFoldersWithFiles(t *testing.T) {
	server := gittest.New(t)
	r := newRig(t, server, "o/r")
	r.options.SHA = server.Repo("o/r").Commit("one", map[string]string{"a": "1"})
	if err := os.MkdirAll(r.options.Workspace, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"a", "kept"} {
		if err := os.WriteFile(filepath.Join(r.options.Workspace, file), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.checkout()
	if r.file("a") != "1" || r.file("kept") != "mine" {
		t.Errorf("a %q, kept %q", r.file("a"), r.file("kept"))
	}
}

// TestSubmodules: they come with the credential from the same server, named by
// address or by SSH; from another one without.
func TestSubmodules(t *testing.T) {
	server, elsewhere := gittest.New(t), gittest.New(t)
	inner := server.Repo("o/inner")
	inner.Commit("inner", map[string]string{"i": "inner"})
	public := elsewhere.Repo("p/public")
	public.Commit("public", map[string]string{"p": "public"})
	middle := server.Repo("o/middle")
	middle.Git("submodule", "add", "--quiet", inner.Git("remote", "get-url", "origin"), "inner")
	middle.Git("config", "--file", ".gitmodules", "submodule.inner.url", "git@127.0.0.1:o/inner.git")
	middle.Commit("middle", map[string]string{"m": "middle"})
	repo := server.Repo("o/r")
	repo.Git("submodule", "add", "--quiet", middle.Git("remote", "get-url", "origin"), "middle")
	repo.Git("submodule", "add", "--quiet", public.Git("remote", "get-url", "origin"), "public")
	repo.Git("config", "--file", ".gitmodules", "submodule.middle.url", "../middle.git")
	repo.Git("config", "--file", ".gitmodules", "submodule.public.url", elsewhere.Clone("p/public"))
	sha := repo.Commit("all", map[string]string{"a": "1"})
	for mode, want := range map[string][3]string{
		"false": {"none", "none", "none"}, "true": {"middle", "public", "none"}, "recursive": {"middle", "public", "inner"},
	} {
		r := newRig(t, server, "o/r").private()
		r.options.SHA = sha
		r.inputs(map[string]string{"submodules": mode})
		r.checkout()
		if got := [3]string{r.file("middle/m"), r.file("public/p"), r.file("middle/inner/i")}; got != want {
			t.Errorf("%s: %q, want %q", mode, got, want)
		}
		r.keepsNoCredential()
	}
	for _, q := range elsewhere.Asked() {
		if q.User != "" || q.Header.Get("Authorization") != "" {
			t.Errorf("another server was shown the credential: %v", q)
		}
	}
}

// TestRedirects: a server that sends git elsewhere, at once or once it knows who
// asks, does not send the credential with it, whether the other one wants one or
// not.
func TestRedirects(t *testing.T) {
	for _, c := range []struct{ knows, wants, works bool }{{false, false, true}, {false, true, false}, {true, false, false}, {true, true, false}} {
		elsewhere := gittest.New(t)
		sha := elsewhere.Repo("o/r").Commit("one", map[string]string{"a": "1"})
		if c.wants {
			elsewhere.Want("relevo", "another")
		}
		server := gittest.New(t)
		r := newRig(t, server, "o/r").private()
		server.Answer(func(w http.ResponseWriter, q *http.Request) bool {
			if c.knows && q.Header.Get("Authorization") == "" {
				return false
			}
			http.Redirect(w, q, elsewhere.URL+q.URL.String(), http.StatusFound)
			return true
		})
		r.options.SHA = sha
		if _, err := checkout.Do(r.options); (err == nil) != c.works {
			t.Errorf("%+v: %v\n%s", c, err, &r.output)
		}
		if len(elsewhere.Asked()) == 0 {
			t.Error("git was not sent elsewhere")
		}
		for _, q := range elsewhere.Asked() {
			if q.Header.Get("Authorization") != "" {
				t.Errorf("%+v: the other server was shown %q", c, q.User)
			}
		}
	}
}

// TestAServerWithoutCommitsByID: the branch is fetched as a whole.
func TestAServerWithoutCommitsByID(t *testing.T) {
	server := gittest.New(t)
	repo := server.Repo("o/r")
	sha := repo.Commit("one", map[string]string{"a": "1"})
	repo.Commit("two", map[string]string{"a": "2"})
	server.Answer(func(_ http.ResponseWriter, q *http.Request) bool {
		q.Header.Del("Git-Protocol") // it is old: version 0
		return false
	})
	for _, ref := range []string{"refs/heads/main", "refs/heads/gone", ""} {
		r := newRig(t, server, "o/r")
		r.options.SHA, r.options.Source.Ref = sha, ref
		if done := r.checkout(); done.Commit != sha || r.file("a") != "1" {
			t.Errorf("%s: %+v, a is %s", ref, done, r.file("a"))
		}
	}
}

// TestWhoseFault: the network's and the server's is not the author's, and is
// tried a few times; what is not there is not.
func TestWhoseFault(t *testing.T) {
	answer := func(status int) func(*rig) {
		return func(r *rig) {
			r.server.Answer(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(status); return true })
		}
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for name, c := range map[string]struct {
		set     func(*rig)
		trouble bool
		pauses  int32
		text    string
	}{
		"502":       {answer(502), true, 2, "cannot be reached"},
		"429":       {answer(429), true, 2, "cannot be reached"},
		"no server": {func(r *rig) { r.options.Clone = gone.URL + "/o/r.git" }, true, 2, "cannot be reached"},
		"404":       {answer(404), false, 0, "this run has no credential: none was set up"},
		"401":       {func(r *rig) { r.server.Want("somebody", "") }, false, 0, "it is not public or not there"},
		"wrong password": {
			func(r *rig) { r.private(); r.server.Want("relevo", "changed"); r.options.NoCredential = "" },
			false, 0, "the credential of this installation may not read it",
		},
		"no commit": {func(r *rig) { r.options.SHA = strings.Repeat("1", 40) }, false, 0, "git fetch"},
		"no branch": {func(r *rig) { r.inputs(map[string]string{"ref": "nope"}) }, false, 0, `no branch or tag "nope"`},
		"at last": {func(r *rig) {
			r.server.Answer(func(w http.ResponseWriter, _ *http.Request) bool {
				if r.pauses.Load() < 2 {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
				return r.pauses.Load() < 2
			})
		}, false, 2, ""},
		"ended meanwhile": {func(r *rig) { answer(502)(r); r.options.Pause = func(int) bool { return false } }, true, 0, "cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			server := gittest.New(t)
			r := newRig(t, server, "o/r")
			r.options.SHA = server.Repo("o/r").Commit("one", map[string]string{"a": "1"})
			r.options.NoCredential = "none was set up"
			c.set(r)
			_, err := checkout.Do(r.options)
			if (err == nil) != (c.text == "") || err != nil && !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v, want %q\n%s", err, c.text, &r.output)
			}
			if errors.Is(err, checkout.ErrTrouble) != c.trouble || r.pauses.Load() != c.pauses {
				t.Errorf("trouble %v, %d pauses", errors.Is(err, checkout.ErrTrouble), r.pauses.Load())
			}
		})
	}
}
