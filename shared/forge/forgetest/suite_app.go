package forgetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/forge"
)

// appTries are what a client passes that is a GitHub App.
var appTries = map[string]func(*testing.T, *World){
	"tokens": tryTokens, "revoked": tryRevoked, "rights": tryRights, "renamed": tryRenamed, "scope": tryScope,
	"checks": tryChecks, "annotations": tryAnnotations, "lost answers": tryLostChecks, "a newer run": tryNewerCheck, "refused": tryRefused, "conclusions": tryConclusions,
}

// warm has the client take the tokens that it needs, so that what comes after is
// the next request.
func (w *World) warm(t *testing.T) {
	t.Helper()
	if !w.Forge.Checks() {
		return
	}
	_, err := w.Forge.File(t.Context(), Repo, w.Commits["first"], "README.md")
	check(t, err)
	_, err = w.Forge.Pull(t.Context(), Repo, 5)
	check(t, err)
	_, err = w.Forge.Level(t.Context(), Repo, w.Login("owner"))
	check(t, err)
	check(t, w.Forge.Tell(t.Context(), Repo, w.Commits["first"], trigger.Status{Context: "warm", State: trigger.Pending, Run: "01W"}))
}

// tryTokens: one token for each use, for one repository, with the one right that
// it takes, however many ask at once.
func tryTokens(t *testing.T, w *World) {
	w.Add("octo/other", w.Dir) // of the same installation
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			_, err := w.Forge.File(t.Context(), Repo, w.Commits["third"], "README.md")
			check(t, err)
		})
	}
	all.Wait()
	if n := len(w.Issued()); n != 1 {
		t.Errorf("%d tokens of one use", n)
	}
	w.warm(t)
	var got []string
	for _, i := range w.Issued() {
		got = append(got, fmt.Sprint(i.Repositories, i.Permissions))
	}
	slices.Sort(got)
	want := []string{
		"[octo/hello] map[checks:write]", "[octo/hello] map[contents:read]", "[octo/hello] map[metadata:read]", "[octo/hello] map[pull_requests:read]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("tokens %q", got)
	}
}

// tryRevoked: a token that GitHub does not take any more is not the end.
func tryRevoked(t *testing.T, w *World) {
	w.warm(t)
	w.Revoke()
	if content, err := w.Forge.File(t.Context(), Repo, w.Commits["third"], "README.md"); err != nil || string(content) != "hello\n" {
		t.Errorf("%q, %v", content, err)
	}
	w.Revoke()
	check(t, w.Forge.Tell(t.Context(), Repo, w.Commits["third"], trigger.Status{Context: "c", State: trigger.Succeeded, Run: "01R"}))
	if got := w.Checks(Repo, w.Commits["third"]); len(got) != 1 || got[0].Conclusion != "success" {
		t.Errorf("%+v", got)
	}
}

// tryRights: what the installation was not given is denied, and says so.
func tryRights(t *testing.T, w *World) {
	w.Allow("checks", "read")
	err := w.Forge.Tell(t.Context(), Repo, w.Commits["third"], trigger.Status{Context: "c", State: trigger.Failed})
	if !errors.Is(err, forge.ErrDenied) || !strings.Contains(err.Error(), "rights") {
		t.Errorf("%v", err)
	}
	w.Allow("checks", "write")
	check(t, w.Forge.Tell(t.Context(), Repo, w.Commits["third"], trigger.Status{Context: "c", State: trigger.Failed}))
	_, err = w.Forge.Credential(t.Context(), "octo/none")
	notFound(t, "an installation", err)
	if !strings.Contains(err.Error(), "not installed") {
		t.Error(err)
	}
}

// tryRenamed: who asks for a repository by its old name is sent on.
func tryRenamed(t *testing.T, w *World) {
	w.Rename(Repo, "octo/renamed")
	content, err := w.Forge.File(t.Context(), Repo, w.Commits["third"], "README.md")
	if err != nil || string(content) != "hello\n" {
		t.Errorf("%q, %v", content, err)
	}
}

// tryScope: git's credential reads its repository, and does nothing else.
func tryScope(t *testing.T, w *World) {
	w.Add("octo/other", w.Dir)
	c, err := w.Forge.Credential(t.Context(), Repo)
	check(t, err)
	if left := time.Until(c.Until); !c.Scoped || left > time.Hour || left <= 0 {
		t.Errorf("%v, until %v", c.Scoped, c.Until)
	}
	if last := w.Issued(); len(last) != 1 || fmt.Sprint(last[0].Repositories, last[0].Permissions) != "[octo/hello] map[contents:read]" {
		t.Errorf("%+v", last)
	}
	git := func(args ...string) error {
		cmd := exec.Command("git", args...)
		cmd.Env = append(cmd.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_GLOBAL="+os.DevNull)
		return cmd.Run()
	}
	with := func(repository string) string {
		return strings.Replace(w.Clone(repository), "://", "://"+c.User+":"+c.Password+"@", 1)
	}
	to := filepath.Join(t.TempDir(), "clone")
	check(t, git("clone", "-q", with(Repo), to))
	if git("-C", to, "push", "-q", with(Repo), "HEAD:refs/heads/stolen") == nil {
		t.Error("it pushes")
	}
	for _, other := range []string{Fork, "octo/other"} {
		if git("ls-remote", "-q", with(other)) == nil {
			t.Error("it reads " + other)
		}
	}
	w.Revoke()
	if git("ls-remote", "-q", with(Repo)) == nil {
		t.Error("it reads though it was revoked")
	}
}

func tryChecks(t *testing.T, w *World) {
	sha := w.Commits["third"]
	s := trigger.Status{Context: "relevo/build", State: trigger.Pending, Description: "is queued", Link: "https://relevo.example/run/01J", Run: "01J"}
	tell := func() {
		t.Helper()
		for range 2 { // twice is once
			check(t, w.Forge.Tell(t.Context(), Repo, sha, s))
		}
	}
	tell()
	s.Running, s.Description = true, "is running"
	tell()
	s.State, s.Running, s.Verdict, s.Description = trigger.Failed, false, events.Failed, "failed: make"
	tell()
	late := s
	late.State = trigger.Pending
	check(t, w.Forge.Tell(t.Context(), Repo, sha, late)) // it takes nothing back
	all := w.Checks(Repo, sha)
	if len(all) != 1 {
		t.Fatalf("%d check runs: %+v", len(all), all)
	}
	got := all[0]
	if strings.Join(got.Heard, " ") != "queued in_progress failure" || got.Name != s.Context || got.ExternalID != "01J" || got.Link != s.Link ||
		got.Title != "failed: make" || !strings.Contains(got.Summary, s.Link) {
		t.Errorf("%+v", got)
	}
}

// tryAnnotations: all of them, once each, 50 at a time, in order; those without a
// file as text that is no markup.
func tryAnnotations(t *testing.T, w *World) {
	sha := w.Commits["third"]
	s := trigger.Status{Context: "relevo/build", State: trigger.Failed, Verdict: events.Failed, Run: "01J"}
	for i := range 120 {
		s.Annotations = append(s.Annotations, events.Annotation{
			Level: []string{"error", "warning", "notice"}[i%3], Message: fmt.Sprint("number ", i), File: "src/a.go", Line: i, Column: 3, Title: "odd",
		})
	}
	s.Annotations = append(
		s.Annotations, events.Annotation{Level: "error", Message: "# no\nfile\r@octo [x](y)\r\n"},
		events.Annotation{Level: "error", Message: "lines", File: "b", Line: 2, EndLine: 4, Column: 7, EndColumn: 9},
		events.Annotation{Level: "error", Message: "back", File: "b", Line: 4, EndLine: 2, Column: 7},
	)
	w.warm(t)
	before := len(w.Asked())
	// The answer to the second request of annotations is lost.
	w.Fail(Fault{}, Fault{}, Fault{Status: 502, After: true})
	if err := w.Forge.Tell(t.Context(), Repo, sha, s); !errors.Is(err, forge.ErrLater) {
		t.Errorf("%v", err)
	}
	if got := w.Checks(Repo, sha); len(got) != 1 || got[0].Status != "in_progress" || len(got[0].Annotations) != 100 {
		t.Errorf("it is %+v", got)
	}
	check(t, w.Forge.Tell(t.Context(), Repo, sha, s))
	asked := len(w.Asked()) - before
	check(t, w.Forge.Tell(t.Context(), Repo, sha, s))
	all := w.Checks(Repo, sha)
	if len(all) != 1 || len(all[0].Annotations) != 122 || all[0].Conclusion != "failure" || asked != 5 || len(w.Asked())-before != 6 {
		t.Fatalf("%d requests; %+v", asked, all)
	}
	for i, a := range all[0].Annotations[:120] {
		want := Annotation{"src/a.go", max(i, 1), max(i, 1), 3, 3, []string{"failure", "warning", "notice"}[i%3], "odd", fmt.Sprint("number ", i)}
		if a != want {
			t.Errorf("%d is %+v", i, a)
		}
	}
	if last := all[0].Annotations[120:]; last[0] != (Annotation{"b", 2, 4, 0, 0, "failure", "", "lines"}) || last[1] != (Annotation{"b", 4, 4, 7, 7, "failure", "", "back"}) {
		t.Errorf("%+v", last)
	}
	if all[0].Text != "    error: # no\n    file\n    @octo [x](y)\n" {
		t.Errorf("text %q", all[0].Text)
	}
}

// tryRefused: what GitHub does not take of annotations loses no verdict, nor what
// points at no file; what a run says of its end is no markup.
func tryRefused(t *testing.T, w *World) {
	sha := w.Commits["third"]
	s := trigger.Status{Context: "c", State: trigger.Failed, Verdict: events.Failed, Run: "01J", Description: "failed: <b>\r![x](y)", Link: "https://relevo.example"}
	s.Annotations = []events.Annotation{{Level: "error", Message: "m", File: "no\x00path", Line: 1}, {Level: "notice", Message: "stays"}}
	for _, begun := range []bool{false, true} {
		s.Context = fmt.Sprint("begun ", begun)
		if begun {
			check(t, w.Forge.Tell(t.Context(), Repo, sha, trigger.Status{Context: s.Context, State: trigger.Pending, Run: "01J"}))
		}
		check(t, w.Forge.Tell(t.Context(), Repo, sha, s))
	}
	for _, c := range w.Checks(Repo, sha) {
		if c.Conclusion != "failure" || len(c.Annotations) > 0 || !strings.Contains(c.Text, "notice: stays\n    notice: GitHub does not take") {
			t.Errorf("%+v", c)
		}
		if c.Summary != "    failed: <b>\n    ![x](y)\n\n\n[The run](https://relevo.example)" {
			t.Errorf("summary %q", c.Summary)
		}
	}
	if n := len(w.Checks(Repo, sha)); n != 2 {
		t.Errorf("%d check runs", n)
	}
}

// tryLostChecks: whatever answer is lost, there is one check run, and each state
// once.
func tryLostChecks(t *testing.T, w *World) {
	w.warm(t)
	for lost := range 4 {
		sha := w.Commits[[]string{"third", "second", "side", "pull"}[lost]]
		for _, s := range []trigger.Status{
			{Context: "c", State: trigger.Pending, Run: "01J"},
			{Context: "c", State: trigger.Pending, Running: true, Run: "01J"},
			{Context: "c", State: trigger.Succeeded, Run: "01J"},
		} {
			w.Fail(append(make([]Fault, lost%2), Fault{Status: 502, After: lost < 2})...)
			if err := w.Forge.Tell(t.Context(), Repo, sha, s); !errors.Is(err, forge.ErrLater) {
				t.Errorf("%v", err)
			}
			check(t, w.Forge.Tell(t.Context(), Repo, sha, s))
		}
		if got := w.Checks(Repo, sha); len(got) != 1 || strings.Join(got[0].Heard, " ") != "queued in_progress success" {
			t.Errorf("%d: %+v", lost, got)
		}
	}
}

// tryNewerCheck: a newer run of the context has its own check run, and the older
// one's ends.
func tryNewerCheck(t *testing.T, w *World) {
	sha := w.Commits["third"]
	for _, run := range []events.RunID{"01A", "01B"} {
		check(t, w.Forge.Tell(t.Context(), Repo, sha, trigger.Status{Context: "c", State: trigger.Pending, Run: run}))
		check(t, w.Forge.Tell(t.Context(), Repo, sha, trigger.Status{Context: "other", State: trigger.Succeeded, Run: run}))
	}
	var got []string
	for _, c := range w.Checks(Repo, sha) {
		got = append(got, c.Name+" "+c.ExternalID+" "+strings.Join(c.Heard, ">"))
	}
	if want := []string{"c 01A queued>cancelled", "other 01A success", "c 01B queued", "other 01B success"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// tryConclusions: what is not the author's fault neither blames nor passes.
func tryConclusions(t *testing.T, w *World) {
	for verdict, want := range map[events.Verdict]string{
		events.Succeeded: "success", events.Failed: "failure", events.Timeout: "timed_out", events.Cancelled: "cancelled",
		events.Rejected: "action_required", events.Infra: "cancelled",
	} {
		s := trigger.Status{Context: string(verdict), Run: "01J", Verdict: verdict}
		s.State, s.Description = trigger.EndOf(verdict, "so it is")
		check(t, w.Forge.Tell(t.Context(), Repo, w.Commits["third"], s))
		for _, c := range w.Checks(Repo, w.Commits["third"]) {
			if c.Name == s.Context && (c.Conclusion != want || strings.Contains(c.Summary, "platform's failure") != (verdict == events.Infra)) {
				t.Errorf("%s: %+v", verdict, c)
			}
		}
	}
	if n := len(w.Checks(Repo, w.Commits["third"])); n != 6 {
		t.Errorf("%d check runs", n)
	}
}
