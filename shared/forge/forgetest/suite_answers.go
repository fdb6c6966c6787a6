package forgetest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/forge"
)

func tryFiles(t *testing.T, w *World) {
	ctx, head := t.Context(), w.Commits["third"]
	paths, err := w.Forge.Files(ctx, Repo, head, ".relevo")
	check(t, err)
	if want := []string{".relevo/a b#ü?%.yaml", ".relevo/build.yaml"}; !slices.Equal(paths, want) {
		t.Errorf("got %q, want %q: neither deeper ones nor folders", paths, want)
	}
	paths, err = w.Forge.Files(ctx, Repo, head, "many")
	check(t, err)
	if len(paths) != 131 {
		t.Errorf("%d files of 131, which are two pages", len(paths))
	}
	for _, folder := range []string{".github/workflows", "README.md", ".relevo/none"} {
		paths, err := w.Forge.Files(ctx, Repo, head, folder)
		if w.Kind == forge.Bitbucket && folder == "README.md" {
			err = nil // it answers with the file, which is no list
		}
		if err != nil || len(paths) != 0 {
			t.Errorf("%s: %q, %v", folder, paths, err)
		}
	}
	for name, want := range map[string]string{".relevo/build.yaml": "on: [push, pull_request]\n", ".relevo/a b#ü?%.yaml": "odd\n"} {
		content, err := w.Forge.File(ctx, Repo, head, name)
		check(t, err)
		if string(content) != want {
			t.Errorf("%s: %q", name, content)
		}
	}
	if content, err := w.Forge.File(ctx, Repo, w.Commits["first"], ".relevo/build.yaml"); err != nil || string(content) != "on: push\n" {
		t.Errorf("at the first commit: %q, %v", content, err)
	}
	none := strings.Repeat("ab", 20)
	_, err = w.Forge.File(ctx, Repo, head, "none.yaml")
	notFound(t, "a file", err)
	_, err = w.Forge.File(ctx, "octo/none", head, "README.md")
	notFound(t, "a repository", err)
	_, err = w.Forge.Files(ctx, "octo/none", head, ".relevo")
	notFound(t, "a folder of no repository", err)
	_, err = w.Forge.Files(ctx, Repo, none, ".relevo")
	notFound(t, "a folder of no commit", err)
	message, err := w.Forge.Message(ctx, Repo, head)
	if check(t, err); !strings.HasPrefix(message, "third commit") {
		t.Errorf("message %q", message)
	}
}

func notFound(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, forge.ErrNotFound) {
		t.Errorf("%s that is not there: %v", what, err)
	}
}

func tryChanges(t *testing.T, w *World) {
	ctx := t.Context()
	for _, c := range []struct {
		base, head string
		want       []string
	}{
		{"second", "third", []string{".relevo/build.yaml", "docs/guide.md", "docs/manual.md"}},
		{"third", "pull", []string{"README.md", "new.txt"}},
		// forced: what it takes away has changed too
		{"third", "second", []string{".relevo/build.yaml", "docs/guide.md", "docs/manual.md"}},
	} {
		paths, whole, err := w.Forge.Changed(ctx, Repo, w.Commits[c.base], w.Commits[c.head], 0)
		check(t, err)
		if w.Kind == forge.Gogs {
			if whole {
				t.Error("Gogs tells nothing, and it is whole")
			}
			continue
		}
		if !whole || !slices.Equal(paths, c.want) {
			t.Errorf("%s to %s: got %q, %v, want %q", c.base, c.head, paths, whole, c.want)
		}
	}
	paths, whole, err := w.Forge.Changed(ctx, Repo, "", "", 5)
	check(t, err)
	if want := []string{"README.md", "new.txt"}; w.Kind != forge.Gogs && (!whole || !slices.Equal(paths, want)) {
		t.Errorf("the pull request: got %q, %v", paths, whole)
	}
	if w.Kind == forge.Gogs {
		return
	}
	paths, whole, err = w.Forge.Changed(ctx, Repo, w.Commits["first"], w.Commits["second"], 0)
	check(t, err)
	if !whole || len(paths) != 130 {
		t.Errorf("%d paths of 130, whole %v", len(paths), whole)
	}
	_, whole, err = w.Forge.Changed(ctx, Repo, strings.Repeat("ab", 20), w.Commits["second"], 0)
	if notFound(t, "a commit", err); whole {
		t.Error("it is whole")
	}
}

func tryRefs(t *testing.T, w *World) {
	for ref, want := range map[string]string{
		"main": "third", "refs/heads/main": "third", "feature/side": "side", "refs/heads/feature/side": "side",
		"refs/tags/light": "third", "refs/tags/v1/final": "second", w.Commits["side"][:12]: "side", w.Commits["side"]: "side",
	} {
		sha, err := w.Forge.Head(t.Context(), Repo, ref)
		if err != nil || sha != w.Commits[want] {
			t.Errorf("%s: got %s, %v, want %s, the %s", ref, sha, err, w.Commits[want], want)
		}
	}
	for _, ref := range []string{"none", "refs/tags/main", "refs/notes/x", "a&b", "a%2Fb", "a#b", "-x", "a..b", "a b", "", "abcdef0123"} {
		sha, err := w.Forge.Head(t.Context(), Repo, ref)
		if notFound(t, "ref "+ref, err); sha != "" {
			t.Errorf("%s: %s", ref, sha)
		}
	}
}

func tryPulls(t *testing.T, w *World) {
	p, err := w.Forge.Pull(t.Context(), Repo, 5)
	if w.Kind == forge.Gogs {
		if !errors.Is(err, forge.ErrUnsupported) {
			t.Error(err)
		}
		return
	}
	check(t, err)
	if p.Number != 5 || p.Title != "A fix" || p.Author.Login != w.Login("stranger") || p.Base != "main" || p.Head != "fix" ||
		p.HeadSHA != w.Commits["pull"] || p.From.Name != Fork || p.From.ID == "" || !p.Open || p.Merged || p.Draft {
		t.Errorf("%+v", p)
	}
	if labels := w.Kind != forge.Bitbucket && w.Kind != forge.Stash; labels && !slices.Equal(p.Labels, []string{"bug", "ok"}) {
		t.Errorf("labels %q", p.Labels)
	}
	p.From, p.Merged, p.Open, p.Draft = trigger.Repository{Name: "deleted/hello"}, true, false, true
	w.SetPull(Repo, p)
	p, err = w.Forge.Pull(t.Context(), Repo, 5)
	check(t, err)
	if !p.Merged || p.Open || !p.Draft || p.From.Name != "" && w.Kind != forge.Stash {
		t.Errorf("merged, from a fork that is gone: %+v", p)
	}
	for _, number := range []int{6, 0, -1} {
		_, err = w.Forge.Pull(t.Context(), Repo, number)
		notFound(t, "a pull request", err)
	}
}

func tryLevels(t *testing.T, w *World) {
	for login, want := range map[string]trigger.Level{
		"owner": trigger.Admin, "writer": trigger.Write, "triager": trigger.Triage, "reader": trigger.Read,
		"nobody": trigger.None, "unknown": trigger.None, "write": trigger.None,
	} {
		if want == trigger.Triage && w.Kind != forge.GitHub && w.Kind != forge.GitLab {
			want = trigger.Read // the others have no such
		}
		got, err := w.Forge.Level(t.Context(), Repo, w.Login(login))
		if err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", login, got, err, want)
		}
	}
	if w.Grant(Repo, Blocked, trigger.Admin); w.Kind == forge.GitLab {
		if got, err := w.Forge.Level(t.Context(), Repo, Blocked); err != nil || got != trigger.None {
			t.Errorf("a blocked account: %v, %v", got, err)
		}
	}
	for _, login := range []string{"", "..", "a/b", "a\nb"} {
		if got, err := w.Forge.Level(t.Context(), Repo, login); err == nil || got != trigger.None {
			t.Errorf("%q: %v, %v", login, got, err)
		}
	}
	if got, err := w.Forge.Level(t.Context(), Repo, `owner" OR user.uuid="`); err == nil && got != trigger.None {
		t.Errorf("got %v", got)
	}
}

// tryStatuses sets what a run sets, some of it twice, and one for each state.
func tryStatuses(t *testing.T, w *World) {
	sha := w.Commits["third"]
	tell := func(context string, state trigger.State, description string) {
		t.Helper()
		err := w.Forge.Tell(t.Context(), Repo, sha, trigger.Status{Context: context, State: state, Description: description, Link: "https://relevo.example/run/01J"})
		if w.Kind != forge.Gogs {
			check(t, err)
		} else if !errors.Is(err, forge.ErrUnsupported) {
			t.Error(err)
		}
	}
	long := strings.Repeat("a long ü description ", 30)
	tell("relevo/build", trigger.Pending, "queued")
	tell("relevo/build", trigger.Pending, "queued")
	tell("relevo/build", trigger.Succeeded, long)
	tell("relevo/build", trigger.Succeeded, long)
	for _, state := range []trigger.State{trigger.Failed, trigger.Errored, trigger.Cancelled} {
		tell("relevo/"+string(state), state, "")
	}
	tell("relevo/"+strings.Repeat("a-long-name-", 15)+"1", trigger.Failed, "")
	tell("relevo/"+strings.Repeat("a-long-name-", 15)+"2", trigger.Failed, "")
	latest := map[string]Told{}
	order := []string{}
	for _, told := range w.Told(Repo, sha) {
		latest[told.Context] = told
		if told.Context == "relevo/build" {
			order = append(order, told.State)
		}
	}
	if w.Kind == forge.Gogs {
		return
	}
	words := map[string][]string{
		forge.GitHub: {"pending", "success", "failure", "error", "error"}, forge.Gitea: {"pending", "success", "failure", "error", "error"},
		forge.GitLab:    {"pending", "success", "failed", "canceled", "canceled"},
		forge.Bitbucket: {"INPROGRESS", "SUCCESSFUL", "FAILED", "STOPPED", "STOPPED"}, forge.Stash: {"INPROGRESS", "SUCCESSFUL", "FAILED", "UNKNOWN", "CANCELLED"},
	}[w.Kind]
	if w.Forge.Checks() {
		words = []string{"queued", "success", "failure", "cancelled", "cancelled"}
	}
	if got := slices.Compact(order); !slices.Equal(got, words[:2]) {
		t.Errorf("told in this order: %q", order)
	}
	for i, state := range []trigger.State{trigger.Failed, trigger.Errored, trigger.Cancelled} {
		if got := latest["relevo/"+string(state)]; got.State != words[i+2] || got.Link != "https://relevo.example/run/01J" {
			t.Errorf("%s: %+v", state, got)
		}
	}
	if len(latest) != 6 {
		t.Errorf("%d contexts of 6: long names must differ", len(latest))
	}
	if got := latest["relevo/build"]; !strings.HasPrefix(got.Description, "a long ü description") {
		t.Errorf("%+v", got)
	}
	if err := w.Forge.Tell(t.Context(), Repo, strings.Repeat("ab", 20), trigger.Status{Context: "c", State: trigger.Pending}); err == nil {
		t.Error("a status of a commit that is not there")
	}
	check(t, w.Forge.Tell(t.Context(), Repo, sha, trigger.Status{Context: "without link", State: trigger.Pending}))
}

// tryCredential clones with it, and not without.
func tryCredential(t *testing.T, w *World) {
	c, err := w.Forge.Credential(t.Context(), Repo)
	check(t, err)
	if c.Host != strings.TrimPrefix(w.URL, "http://") || c.User == "" || c.Password == "" {
		t.Fatalf("host %q, user %q", c.Host, c.User)
	}
	if c.Scoped != w.Forge.Checks() || c.Until.IsZero() == c.Scoped {
		t.Errorf("scoped %v, until %v", c.Scoped, c.Until)
	}
	clone := func(address string) (string, error) {
		to := filepath.Join(t.TempDir(), "clone")
		cmd := exec.Command("git", "clone", "-q", "--depth", "1", address, to)
		cmd.Env = append(cmd.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_GLOBAL="+os.DevNull)
		if out, err := cmd.CombinedOutput(); err != nil {
			return string(out), err
		}
		content, err := os.ReadFile(filepath.Join(to, "README.md"))
		return string(content), err
	}
	address := w.Clone(Repo)
	if text, err := clone(strings.Replace(address, "://", "://"+c.User+":"+c.Password+"@", 1)); err != nil || text != "hello\n" {
		t.Errorf("%s %v", text, err)
	}
	if text, err := clone(address); err == nil {
		t.Errorf("cloned without a credential: %s", text)
	}
}
