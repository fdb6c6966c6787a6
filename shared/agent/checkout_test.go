package agent_test

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/agent/checkout/gittest"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

const password = "forge/p4ss+word"

// fetching is a checkout step; with are its inputs.
func fetching(with pipeline.Checkout) pipeline.StepSpec {
	return pipeline.StepSpec{ID: "source", Uses: "actions/checkout@v4", Checkout: &with}
}

// private serves a repository that wants a credential, which the plane has.
func private(t *testing.T, p *plane) (*gittest.Server, string) {
	server := gittest.New(t)
	sha := server.Repo("o/r").Commit("one", map[string]string{"a": "1", ".github/x": "y"})
	server.Want("relevo", password)
	p.git = &execution.Credential{Server: server.URL, User: "relevo", Password: password}
	return server, sha
}

func (w *worker) of(server *gittest.Server, sha string) *worker {
	w.launch.Clone, w.launch.HasSecrets = server.Clone("o/r"), true
	github, err := json.Marshal(map[string]any{"repository": "o/r", "ref": "refs/heads/main", "sha": sha})
	if err != nil {
		w.t.Fatal(err)
	}
	w.launch.Contexts["github"] = github
	return w
}

// TestCheckout: the steps find the commit, and the credential nowhere: not in
// their environment, in files, in processes, in the log.
func TestCheckout(t *testing.T) {
	p := newPlane(t)
	server, sha := private(t, p)
	// A process that earlier steps left looks at all command lines meanwhile.
	spy := sh(`(while [ ! -e "$RUNNER_TEMP/over" ]; do cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' >> "$RUNNER_TEMP/seen"; done) & `)
	look := sh(`
cat a; git log -1 --format='commit %H'; git status --porcelain
touch "$RUNNER_TEMP/over"; wait
grep -c 'git fetch' "$RUNNER_TEMP/seen" > /dev/null && echo watched
echo "$PASSWORD" > ../pattern
for place in . "$RUNNER_TEMP" "$HOME"; do grep -rlFf ../pattern "$place" && echo "FOUND in $place"; done
env | grep -v '^PASSWORD=' | grep -Ff ../pattern && echo FOUND in the environment
tr '\0' '\n' < /proc/$PPID/environ | grep -Ff ../pattern && echo FOUND with the agent
git config --list --show-origin | grep -i 'helper\|extraheader' || true
git ls-remote origin < /dev/null && echo FOUND a way in
echo "out $PASSWORD and $SHA"`)
	look.Env = []pipeline.EnvVar{
		{Name: "SHA", Value: template(at("steps", "source", "outputs", "commit"))},
		{Name: "PASSWORD", Value: expression.Text(password)},
		{Name: "GIT_TERMINAL_PROMPT", Value: expression.Text("0")},
	}
	w := newWorker(t, p, spy, fetching(pipeline.Checkout{}), look).of(server, sha)
	w.env = []string{"HOME=" + t.TempDir(), "GIT_TRACE_CURL=" + filepath.Join(w.dir, "trace"), "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_NOSYSTEM=1"}
	look.Shell = "sh"
	e := w.start().ending(events.Succeeded)
	log := p.log()
	for _, want := range []string{"==> Run actions/checkout@v4\n", "    git fetch ", "1commit " + sha + "\n", "watched\n", "==> HEAD is " + sha, "and " + sha} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in the log", want)
		}
	}
	if strings.Contains(log, "FOUND") || strings.Contains(log, password) || strings.Contains(log, "helper") {
		t.Errorf("the credential shows:\n%s", log)
	}
	// The step's own git writes a trace, since the image says so; the agent's not.
	trace, err := os.ReadFile(filepath.Join(w.dir, "trace"))
	if err != nil || !strings.Contains(string(trace), "GET /o/r.git/info/refs") || strings.Contains(string(trace), "Authorization") {
		t.Errorf("trace: %v\n%s", err, trace)
	}
	if len(e.Steps) != 3 || e.Steps[1].Exit != 0 || e.Steps[1].Outcome != "success" {
		t.Errorf("steps %+v", e.Steps)
	}
}

// TestCheckoutAsksAnew: a credential that is over when the checkout begins is not
// used; another is asked for.
func TestCheckoutAsksAnew(t *testing.T) {
	p := newPlane(t)
	server, sha := private(t, p)
	fresh := p.git
	p.git = &execution.Credential{Server: fresh.Server, User: fresh.User, Password: "0ld-and-over", Until: time.Now().Add(time.Minute)}
	flag := filepath.Join(t.TempDir(), "flag")
	w := newWorker(t, p, sh(`while [ ! -e `+flag+` ]; do sleep 0.01; done`), fetching(pipeline.Checkout{})).of(server, sha).start()
	w.until("the first step", func() bool { return len(p.steps) > 0 })
	p.mu.Lock()
	p.git = fresh
	p.mu.Unlock()
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.ending(events.Succeeded)
}

// TestCheckoutAsked: with inputs that expressions give.
func TestCheckoutWithInputs(t *testing.T) {
	p := newPlane(t)
	server, sha := private(t, p)
	other := fetching(pipeline.Checkout{Repository: ptr(expression.Text("o/other")), Path: ptr(template("sub/", at("matrix", "go")))})
	server.Repo("o/other").Commit("x", map[string]string{"b": "other"})
	newWorker(t, p, fetching(pipeline.Checkout{Ref: ptr(template(at("github", "sha")))}), other, sh(`cat sub/1.26/b`)).of(server, sha).start().ending(events.Succeeded)
	if log := p.log(); !strings.Contains(log, "other") {
		t.Error(log)
	}
}

// TestCheckoutFails: whose fault it is, and what the log says.
func TestCheckoutFails(t *testing.T) {
	bin := t.TempDir()
	for _, name := range []string{"sh", "cat"} {
		path, err := exec.LookPath(name)
		if err == nil {
			err = os.Symlink(path, filepath.Join(bin, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		set  func(*worker, *gittest.Server)
		with pipeline.Checkout
		want events.Verdict
		text string
	}{
		"no git": {func(w *worker, _ *gittest.Server) {
			w.env, w.launch.Image = []string{"PATH=" + bin}, "busybox:1"
		}, pipeline.Checkout{}, events.Failed, "the image busybox:1 has no git: name an image with git"},
		"bad input":     {func(*worker, *gittest.Server) {}, pipeline.Checkout{Path: ptr(template("../", at("matrix", "go")))}, events.Failed, "not below the workspace"},
		"no credential": {func(w *worker, _ *gittest.Server) { w.plane.git = nil }, pipeline.Checkout{}, events.Failed, "it is not public or not there"},
		"no forge": {func(_ *worker, s *gittest.Server) {
			s.Answer(func(rw http.ResponseWriter, _ *http.Request) bool { rw.WriteHeader(http.StatusBadGateway); return true })
		}, pipeline.Checkout{}, events.Infra, "cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlane(t)
			server, sha := private(t, p)
			w := newWorker(t, p, fetching(c.with)).of(server, sha)
			c.set(w, server)
			e := w.start().ending(c.want)
			if !strings.Contains(e.Reason, c.text) || !strings.Contains(p.log(), c.text) {
				t.Errorf("%s; log:\n%s", e.Reason, p.log())
			}
		})
	}
}

// TestCheckoutIsEnded: by the step's time and by a cancel, while a server does
// not answer.
func TestCheckoutIsEnded(t *testing.T) {
	for name, want := range map[string]events.Verdict{"late": events.Timeout, "cancelled": events.Cancelled} {
		t.Run(name, func(t *testing.T) {
			p := newPlane(t)
			server, sha := private(t, p)
			var asked atomic.Bool
			server.Answer(func(_ http.ResponseWriter, r *http.Request) bool {
				asked.Store(true)
				<-r.Context().Done()
				return true
			})
			step := fetching(pipeline.Checkout{})
			if want == events.Timeout {
				step.TimeoutMinutes = 0.005
			}
			w := newWorker(t, p, step).of(server, sha).start()
			if want == events.Cancelled {
				w.until("the fetch", asked.Load)
				p.mu.Lock()
				p.cancel = "nobody wants it"
				p.mu.Unlock()
			}
			if e := w.ending(want); e.Steps[0].Outcome == "success" {
				t.Errorf("%+v", e.Steps)
			}
		})
	}
}

// TestALocalCheckout: relevo run in a project's folder.
func TestALocalCheckout(t *testing.T) {
	w := newWorker(t, newPlane(t), fetching(pipeline.Checkout{}), sh("cat mine"))
	w.launch.InPlace = true
	if err := os.MkdirAll(w.launch.Workspace, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.launch.Workspace, "mine"), []byte("as it is\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.start().ending(events.Succeeded)
	if log := w.plane.log(); !strings.Contains(log, "nothing is checked out\n") || !strings.Contains(log, "as it is\n") {
		t.Error(log)
	}
}

// TestAnnotationsOfACheckoutBelow: a file of the run's repository is known by its
// path there, wherever in the workspace that is; one of another is not.
func TestAnnotationsOfACheckoutBelow(t *testing.T) {
	p := newPlane(t)
	server, sha := private(t, p)
	server.Repo("o/other").Commit("one", map[string]string{"b": "1"})
	own := fetching(pipeline.Checkout{Path: ptr(expression.Text("deep/own"))})
	other := fetching(pipeline.Checkout{Repository: ptr(expression.Text("o/other")), Path: ptr(expression.Text("other"))})
	own.ID, other.ID = "own", "other"
	w := newWorker(t, p, own, other, sh(`
echo "::error file=deep/own/a,line=1::m"
echo "::error file=$PWD/deep/own/a,line=2::m"
echo "::error file=other/b,line=3::m"`)).of(server, sha)
	e := w.start().ending(events.Succeeded)
	var files []string
	for _, a := range e.Steps[2].Annotations {
		files = append(files, a.File)
	}
	if got := strings.Join(files, " "); got != "a a other/b" {
		t.Errorf("files %q", got)
	}
}
