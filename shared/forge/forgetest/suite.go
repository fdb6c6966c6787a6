package forgetest

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/forge"
)

// Repo is the name of the suite's repository, Fork that of its fork's.
const (
	Repo = "octo/hello"
	Fork = "stranger/hello"
)

// A World is a fake forge with a repository that has something of everything,
// and a client of it.
type World struct {
	*Server
	Forge forge.Forge
	// Commits by the names that the world gives them: first, second, third (main),
	// side (a branch with a slash in its name), pull (the fork's).
	Commits map[string]string
	Dir     string // of the bare folder, to push to
}

// NewWorld makes one. Open makes the client of the settings.
func NewWorld(t testing.TB, kind string, open func(forge.Settings) (forge.Forge, error)) *World {
	t.Helper()
	dir, commits := history(t)
	return world(t, kind, false, open, dir, commits)
}

// history makes the bare folder of a world.
func history(t testing.TB) (dir string, commits map[string]string) {
	t.Helper()
	work := t.TempDir()
	dir = filepath.Join(t.TempDir(), "hello.git")
	commits = map[string]string{}
	git := func(args ...string) string {
		t.Helper()
		c := exec.Command("git", append([]string{"-C", work, "-c", "user.name=A U Thor", "-c", "user.email=author@example.com", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"}, args...)...)
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("forgetest: git %q: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	commit := func(name string, files map[string]string) {
		t.Helper()
		for path, content := range files {
			full := filepath.Join(work, path)
			if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(full, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		git("add", "-A")
		git("commit", "-qm", name+" commit\n\nof several lines")
		commits[name] = git("rev-parse", "HEAD")
	}
	git("init", "-q", "-b", "main")
	commit("first", map[string]string{
		"README.md": "hello\n", ".relevo/build.yaml": "on: push\n", ".relevo/deep/inner.yaml": "deep\n", ".relevo/a b#ü?%.yaml": "odd\n",
		"docs/guide.md": strings.Repeat("a page of the guide\n", 20), "many/placeholder": "",
	})
	many := map[string]string{}
	for i := range 130 {
		many[fmt.Sprintf("many/f%03d.txt", i)] = strconv.Itoa(i)
	}
	commit("second", many)
	git("tag", "-a", "-m", "annotated", "v1/final", "HEAD")
	git("mv", "docs/guide.md", "docs/manual.md")
	commit("third", map[string]string{".relevo/build.yaml": "on: [push, pull_request]\n"})
	git("tag", "light")
	git("checkout", "-q", "-b", "feature/side", commits["first"])
	commit("side", map[string]string{"side.txt": "side\n"})
	git("checkout", "-q", "-b", "fix", commits["third"])
	commit("pull", map[string]string{"README.md": "hello, you\n", "new.txt": "new\n"})
	git("clone", "-q", "--bare", work, dir)
	git("--git-dir", dir, "symbolic-ref", "HEAD", "refs/heads/main")
	return dir, commits
}

func world(t testing.TB, kind string, app bool, open func(forge.Settings) (forge.Forge, error), dir string, commits map[string]string) *World {
	t.Helper()
	w := &World{Server: New(t, kind), Commits: commits, Dir: dir}
	w.Add(Repo, w.Dir)
	w.Add(Fork, w.Dir)
	w.SetPull(Repo, trigger.Pull{
		Number: 5, Title: "A fix", Author: trigger.Actor{Login: w.Login("stranger"), Name: "stranger"}, Base: "main", Head: "fix", HeadSHA: w.Commits["pull"],
		From: trigger.Repository{Name: Fork}, Labels: []string{"bug", "ok"}, Open: true,
	})
	for login, level := range map[string]trigger.Level{"owner": trigger.Admin, "writer": trigger.Write, "triager": trigger.Triage, "reader": trigger.Read, "nobody": trigger.None} {
		w.Grant(Repo, w.Login(login), level)
	}
	if app {
		w.Install()
	}
	var err error
	if w.Forge, err = open(w.Settings("secret")); err != nil {
		t.Fatal(err)
	}
	return w
}

// Login is an account as the kind names it.
func (s *Server) Login(name string) string {
	if s.Kind == forge.Bitbucket {
		return Account(name)
	}
	return name
}

// tries are what every client passes.
var tries = map[string]func(*testing.T, *World){
	"files": tryFiles, "changes": tryChanges, "refs": tryRefs, "pulls": tryPulls, "levels": tryLevels,
	"statuses": tryStatuses, "credential": tryCredential, "deliveries": tryDeliveries, "names": tryNames,
	"later": tryLater, "denied": tryDenied, "hostile answers": tryHostile, "unchanged": tryUnchanged, "redirects": tryRedirects,
}

// Run tries a client against a fake forge of each kind, and against GitHub as an
// App.
func Run(t *testing.T, open func(forge.Settings) (forge.Forge, error)) {
	dir, commits := history(t) // nobody in the suite changes it
	run := func(t *testing.T, kind string, app bool, tries map[string]func(*testing.T, *World)) {
		for name, try := range tries {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				try(t, world(t, kind, app, open, dir, commits))
			})
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(routes)) {
		t.Run(kind, func(t *testing.T) { run(t, kind, false, tries) })
	}
	t.Run("github as an App", func(t *testing.T) {
		run(t, forge.GitHub, true, tries)
		run(t, forge.GitHub, true, appTries)
	})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
