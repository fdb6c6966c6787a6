package trigger_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// TestAgain: what is run again never has what the first run had not, nor what
// that had by an approval that does not hold any more.
func TestAgain(t *testing.T) {
	approved := &trigger.Approval{
		Forge: "github", Repository: repository.Name, Pull: 7, SHA: headSHA, Config: config, By: trigger.Actor{Login: "ann"}, Level: trigger.Write,
	}
	of := func(change func(a *trigger.Approval)) *trigger.Approval {
		a := *approved
		change(&a)
		return &a
	}
	push := events.Trigger{Forge: "github", Event: "push", Repository: repository.Name, SHA: headSHA}
	own := events.Trigger{Forge: "github", Event: "pull_request", Repository: repository.Name, SHA: headSHA, PullRequest: 7}
	target, fork, stranger, comment := own, own, own, push
	target.Event, target.Fork = "pull_request_target", true
	fork.Fork = true
	stranger.Fork, stranger.Untrusted = true, true
	comment.Event, comment.Untrusted = "issues", true
	for name, c := range map[string]struct {
		first  events.Trigger
		review trigger.Review
		level  trigger.Level
		want   string // secrets, untrusted, or why not
	}{
		"a push":                        {push, trigger.Review{}, trigger.Admin, "secrets"},
		"a push, by a reader":           {push, trigger.Review{}, trigger.Read, "may not run it again"},
		"of an own branch":              {own, trigger.Review{}, trigger.Write, "secrets"},
		"of an own branch, by a reader": {own, trigger.Review{}, trigger.Triage, "may not run it again"},
		"of a fork":                     {stranger, trigger.Review{Head: headSHA}, trigger.Admin, "untrusted"},
		"of a fork, by its author":      {stranger, trigger.Review{Head: headSHA}, trigger.Read, "may not run it again"},
		"of a fork, approved since":     {stranger, trigger.Review{Head: headSHA, Approval: approved}, trigger.Admin, "untrusted"},
		"of a fork, the head moved":     {stranger, trigger.Review{Head: movedSHA}, trigger.Admin, "moved on"},
		"approved":                      {fork, trigger.Review{Head: headSHA, Approval: approved}, trigger.Admin, "secrets"},
		"approved target":               {target, trigger.Review{Head: headSHA, Approval: approved}, trigger.Admin, "secrets"},
		"approved, by a reader":         {fork, trigger.Review{Head: headSHA, Approval: approved}, trigger.Read, "may not run it again"},
		"approved, the head moved":      {fork, trigger.Review{Head: movedSHA}, trigger.Admin, "moved on"},
		"approved, moved, and kept":     {fork, trigger.Review{Head: movedSHA, Approval: approved}, trigger.Admin, "moved on"},
		"the approval is void":          {fork, trigger.Review{Head: headSHA}, trigger.Admin, "nobody approved it: comment /ok-to-test on pull request 7"},
		"the approval is forgotten":     {fork, trigger.Review{}, trigger.Admin, "nobody approved it"},
		"by one who might not":          {fork, trigger.Review{Head: headSHA, Approval: of(func(a *trigger.Approval) { a.Level = trigger.Read })}, trigger.Admin, "may not write"},
		"of another pull request":       {fork, trigger.Review{Head: headSHA, Approval: of(func(a *trigger.Approval) { a.Pull = 8 })}, trigger.Admin, "another pull request"},
		"of another commit":             {fork, trigger.Review{Head: headSHA, Approval: of(func(a *trigger.Approval) { a.SHA = movedSHA })}, trigger.Admin, "was approved"},
		"unmarked, but reviewed":        {own, trigger.Review{Head: headSHA}, trigger.Admin, "nobody approved it"},
		"an issue of a stranger's":      {comment, trigger.Review{}, trigger.Admin, "untrusted"},
	} {
		g := trigger.Again(c.first, c.review, trigger.Actor{Login: "op"}, c.level)
		got := g.Why
		switch {
		case g.Start && g.Secrets && !g.Untrusted:
			got = "secrets"
		case g.Start && g.Untrusted && !g.Secrets:
			got = "untrusted"
		case g.Start || g.Secrets || g.Untrusted:
			t.Errorf("%s: %+v", name, g)
		}
		if !strings.Contains(got, c.want) || got == "" {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestRunsOfAPull: the newest of each file count, and no more are kept than
// there is room for.
func TestRunsOfAPull(t *testing.T) {
	var r trigger.Review
	note := func(run, file string) bool {
		return r.Ran(trigger.PullRun{Run: events.RunID(run), File: file, SHA: headSHA})
	}
	if !note("1", "a") || !note("2", "b") || !note("3", "a") || note("2", "b") || r.Ran() {
		t.Errorf("noted %+v", r.Runs)
	}
	if l := r.Latest(); len(l) != 2 || l[0].Run != "2" || l[1].Run != "3" {
		t.Errorf("the latest are %+v", l)
	}
	for i := range 200 {
		note(fmt.Sprintf("n%d", i), "c")
	}
	if n := len(r.Runs); n != 100 || r.Runs[n-1].Run != "n199" {
		t.Errorf("%d are kept, the last %s", n, r.Runs[n-1].Run)
	}
}

func TestContexts(t *testing.T) {
	long := strings.Repeat("ü", 120)
	deep := ".relevo/" + strings.Repeat("x", 80) + ".yaml"
	all := []trigger.Named{
		{".relevo/a.yaml", "build"},
		{".relevo/b.yaml", " build "},
		{".relevo/c.yaml", "other  one"},
		{".relevo/d.yaml", long},
		{".relevo/e.yaml", long + "x"},
		{deep, "build"},
		{".relevo/f.yaml", "build (.relevo/g.yaml)"},
		{".relevo/g.yaml", "build"},
	}
	for _, pull := range []bool{false, true} {
		got := trigger.Contexts(all, pull)
		end := map[bool]string{false: "", true: " (pull_request)"}[pull]
		for file, want := range map[string]string{
			".relevo/a.yaml": "relevo/build", ".relevo/b.yaml": "relevo/build (.relevo/b.yaml)", ".relevo/c.yaml": "relevo/other one",
		} {
			if got[file] != want+end {
				t.Errorf("%s: %q, want %q", file, got[file], want+end)
			}
		}
		of := map[string]string{}
		for file, c := range got {
			if n := utf8.RuneCountInString(c); n > 100 {
				t.Errorf("%s has %d characters", c, n)
			}
			if other, twice := of[c]; twice {
				t.Errorf("%s is of %s and of %s", c, file, other)
			}
			of[c] = file
		}
		if less := trigger.Contexts(all[:2], pull); less[".relevo/b.yaml"] != got[".relevo/b.yaml"] {
			t.Error("further pipelines change the names of these")
		}
	}
}
