package trigger_test

import (
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

type (
	happening = trigger.Happening
	on        = []pipeline.Trigger
)

func pushed(ref string) happening { return happening{Event: "push", Ref: ref, SHA: "abc"} }

func pull(action, base string) happening {
	return happening{Event: "pull_request", Action: action, Ref: "refs/pull/7/merge", Pull: &trigger.Pull{Number: 7, Base: base, Head: "topic"}}
}

func whole(paths ...string) trigger.Changed { return trigger.Changed{Paths: paths, Whole: true} }

var (
	unknown = trigger.Changed{}
	cutOff  = trigger.Changed{Paths: []string{"docs/a.md"}}
)

// matching is what runs, and what does not with a part of the reason.
var matching = []struct {
	what    string
	h       happening
	on      on
	changed trigger.Changed
	why     string // empty: it runs
}{
	{"a push", pushed("refs/heads/main"), on{{Event: "push"}}, unknown, ""},
	{"a tag is pushed too", pushed("refs/tags/v1"), on{{Event: "push"}}, unknown, ""},
	{"another event", pushed("refs/heads/main"), on{{Event: "release"}, {Event: "schedule"}}, unknown, "not for push: it has release, schedule"},
	{"no events", pushed("refs/heads/main"), nil, unknown, "it has no events"},
	{"a branch", pushed("refs/heads/main"), on{{Event: "push", Branches: []string{"ma*"}}}, unknown, ""},
	{"another branch", pushed("refs/heads/topic"), on{{Event: "push", Branches: []string{"main", "v*"}}}, unknown, "the branch topic matches none of branches: main, v*"},
	{"an ignored branch", pushed("refs/heads/wip/x"), on{{Event: "push", BranchesIgnore: []string{"wip/**"}}}, unknown, "the branch wip/x is among branches-ignore"},
	{"not an ignored branch", pushed("refs/heads/main"), on{{Event: "push", BranchesIgnore: []string{"wip/**"}}}, unknown, ""},
	{"branches keep tags out", pushed("refs/tags/v1"), on{{Event: "push", Branches: []string{"**"}}}, unknown, "for branches, and v1 is a tag"},
	{"branches-ignore keeps tags out", pushed("refs/tags/v1"), on{{Event: "push", BranchesIgnore: []string{"x"}}}, unknown, "v1 is a tag"},
	{"tags keep branches out", pushed("refs/heads/v1"), on{{Event: "push", Tags: []string{"**"}}}, unknown, "for tags, and v1 is a branch"},
	{"a tag", pushed("refs/tags/v1"), on{{Event: "push", Branches: []string{"main"}, Tags: []string{"v*"}}}, unknown, ""},
	{"another tag", pushed("refs/tags/x1"), on{{Event: "push", Tags: []string{"v*"}}}, unknown, "the tag x1 matches none of tags: v*"},
	{"an ignored tag", pushed("refs/tags/v1"), on{{Event: "push", TagsIgnore: []string{"v*"}}}, unknown, "the tag v1 is among tags-ignore"},
	{"a branch that was deleted", happening{Event: "push", Ref: "refs/heads/main", Deleted: true}, on{{Event: "push"}}, unknown, "the branch main was deleted"},
	{"a tag that was deleted", happening{Event: "push", Ref: "refs/tags/v1", Deleted: true}, on{{Event: "push"}}, unknown, "the tag v1 was deleted"},
	{"the delete event", happening{Event: "delete", Ref: "refs/heads/main", Deleted: true}, on{{Event: "delete"}}, unknown, ""},

	{"paths", pushed("refs/heads/main"), on{{Event: "push", Paths: []string{"src/**"}}}, whole("docs/a.md", "src/a.go"), ""},
	{"other paths", pushed("refs/heads/main"), on{{Event: "push", Paths: []string{"src/**"}}}, whole("docs/a.md", "b"), "none of the 2 changed files matches paths: src/**"},
	{"paths left out again", pushed("refs/heads/main"), on{{Event: "push", Paths: []string{"src/**", "!src/docs/**"}}}, whole("src/docs/a.md"), "none of the 1 changed files"},
	{"no paths at all", pushed("refs/heads/main"), on{{Event: "push", Paths: []string{"src/**"}}}, whole(), "none of the 0 changed files"},
	{"paths that are not known", pushed("refs/heads/main"), on{{Event: "push", Paths: []string{"src/**"}}}, unknown, ""},
	{"paths cut off", pushed("refs/heads/main"), on{{Event: "push", Paths: []string{"src/**"}}}, cutOff, ""},
	{"ignored paths alone", pushed("refs/heads/main"), on{{Event: "push", PathsIgnore: []string{"docs/**"}}}, whole("docs/a.md", "docs/b/c"), "all of the 2 changed files are among paths-ignore: docs/**"},
	{"ignored paths and another", pushed("refs/heads/main"), on{{Event: "push", PathsIgnore: []string{"docs/**"}}}, whole("docs/a.md", "x"), ""},
	{"ignored paths cut off", pushed("refs/heads/main"), on{{Event: "push", PathsIgnore: []string{"docs/**"}}}, cutOff, ""},
	{"nothing changed, nothing ignored", pushed("refs/heads/main"), on{{Event: "push", PathsIgnore: []string{"docs/**"}}}, whole(), ""},
	{"branch and paths", pushed("refs/heads/x"), on{{Event: "push", Branches: []string{"main"}, Paths: []string{"src/**"}}}, whole("src/a"), "the branch x"},
	{"a tag has no paths", pushed("refs/tags/v1"), on{{Event: "push", Paths: []string{"src/**"}}}, whole("docs/a.md"), ""},

	{"a pull request opened", pull("opened", "main"), on{{Event: "pull_request"}}, unknown, ""},
	{"pushed to", pull("synchronize", "main"), on{{Event: "pull_request"}}, unknown, ""},
	{"opened again", pull("reopened", "main"), on{{Event: "pull_request"}}, unknown, ""},
	{"labelled, by default", pull("labeled", "main"), on{{Event: "pull_request"}}, unknown, "the type labeled of pull_request is none of opened, synchronize, reopened"},
	{"closed, by default", pull("closed", "main"), on{{Event: "pull_request"}}, unknown, "the type closed"},
	{"ready, by default", pull("ready_for_review", "main"), on{{Event: "pull_request"}}, unknown, "the type ready_for_review"},
	{"labelled, as asked for", pull("labeled", "main"), on{{Event: "pull_request", Types: []string{"labeled"}}}, unknown, ""},
	{"opened, not asked for", pull("opened", "main"), on{{Event: "pull_request", Types: []string{"labeled"}}}, unknown, "none of labeled"},
	{"the base counts", pull("opened", "main"), on{{Event: "pull_request", Branches: []string{"main"}}}, unknown, ""},
	{"the head does not", pull("opened", "main"), on{{Event: "pull_request", Branches: []string{"topic"}}}, unknown, "the base branch main matches none of branches: topic"},
	{"its paths", pull("opened", "main"), on{{Event: "pull_request", Paths: []string{"*.go"}}}, whole("a.md"), "none of the 1 changed files"},

	{"any type of others", happening{Event: "release", Action: "prereleased"}, on{{Event: "release"}}, unknown, ""},
	{"a type of others", happening{Event: "release", Action: "created"}, on{{Event: "release", Types: []string{"published"}}}, unknown, "the type created of release is none of published"},
	{"a type is wanted", happening{Event: "release"}, on{{Event: "release", Types: []string{"published"}}}, unknown, "this release has no type"},
	{"a dispatch by its name", happening{Event: "repository_dispatch", Action: "deploy"}, on{{Event: "repository_dispatch", Types: []string{"deploy"}}}, unknown, ""},
	{"a CloudEvent by its type", happening{Event: "cloudevent", Action: "com.x"}, on{{Event: "cloudevent", Types: []string{"com.x"}}}, unknown, ""},
	{"one of two triggers", happening{Event: "cloudevent", Action: "b"}, on{{Event: "cloudevent", Types: []string{"a"}}, {Event: "cloudevent", Types: []string{"b"}}}, unknown, ""},
	{"none of two triggers", happening{Event: "cloudevent", Action: "c"}, on{{Event: "cloudevent", Types: []string{"a"}}, {Event: "cloudevent", Types: []string{"b"}}}, unknown, "none of a; the type c"},
	{"a merge group", happening{Event: "merge_group", Action: "checks_requested", Ref: "refs/heads/gh-readonly-queue/rel/1/pr-7-abc"}, on{{Event: "merge_group", Branches: []string{"rel/*"}}}, unknown, ""},
	{"another merge group", happening{Event: "merge_group", Action: "checks_requested", Ref: "refs/heads/gh-readonly-queue/main/pr-7-abc"}, on{{Event: "merge_group", Branches: []string{"rel/*"}}}, unknown, "the branch main"},
	{"a tick", happening{Event: "schedule", Action: "0 5 * * *"}, on{{Event: "schedule", Times: []pipeline.Time{{Cron: "0 4 * * *"}, {Cron: "0 5 * * *"}}}}, unknown, ""},
	{"a tick of what is gone", happening{Event: "schedule", Action: "0 6 * * *"}, on{{Event: "schedule", Times: []pipeline.Time{{Cron: "0 4 * * *"}}}}, unknown, `the schedule has no "0 6 * * *" any more`},

	{"skip ci", happening{Event: "push", Ref: "refs/heads/main", Message: "Fix\n\n[skip ci]"}, on{{Event: "push"}}, unknown, "the commit's message says [skip ci]"},
	{"skip ci of a pull request", happening{Event: "pull_request", Action: "opened", Message: "Fix [No CI]"}, on{{Event: "pull_request"}}, unknown, "says [no ci]"},
	{"a release is not skipped", happening{Event: "release", Message: "[skip ci]"}, on{{Event: "release"}}, unknown, ""},
}

func TestMatch(t *testing.T) {
	for _, c := range matching {
		t.Run(c.what, func(t *testing.T) {
			got := trigger.Match(c.h, c.on, c.changed)
			if got.Run != (c.why == "") || !strings.Contains(got.Why, c.why) || got.Why == "" {
				t.Errorf("%+v, want %q", got, c.why)
			}
		})
	}
}

// TestNeedsPaths: asking the forge for what changed is of use only where the
// answer decides.
func TestNeedsPaths(t *testing.T) {
	for _, c := range matching {
		if trigger.NeedsPaths(c.h, c.on) {
			continue
		}
		for _, changed := range []trigger.Changed{unknown, whole(), whole("src/a", "docs/b"), whole("docs/a")} {
			if got, other := trigger.Match(c.h, c.on, c.changed), trigger.Match(c.h, c.on, changed); got.Run != other.Run {
				t.Errorf("%s: what changed decides, %+v or %+v", c.what, got, other)
			}
		}
	}
	filtered := on{{Event: "push", Branches: []string{"main"}, Paths: []string{"a"}}}
	if !trigger.NeedsPaths(pushed("refs/heads/main"), filtered) || trigger.NeedsPaths(pushed("refs/heads/x"), filtered) {
		t.Error("what changed matters on main alone")
	}
}

func TestSkipMark(t *testing.T) {
	for message, want := range map[string]string{
		"":                                  "",
		"Fix the parser":                    "",
		"[skip ci] Fix":                     "[skip ci]",
		"Fix [ci skip]":                     "[ci skip]",
		"Fix\n\n[no ci]":                    "[no ci]",
		"Fix [skip actions] it":             "[skip actions]",
		"Fix [ACTIONS SKIP]":                "[actions skip]",
		"Fix skip ci":                       "",
		"Fix [skip-ci]":                     "",
		"Fix\n\n\nskip-checks: true":        "skip-checks: true",
		"Fix\n\n\nskip-checks:true\n":       "skip-checks: true",
		"Fix\n\nskip-checks: true\nA: b":    "skip-checks: true",
		"Fix\r\n\r\n\r\nskip-checks: true":  "skip-checks: true",
		"Fix\n\nskip-checks: false":         "",
		"Fix\nskip-checks: true":            "",
		"skip-checks: true":                 "",
		"Fix\n\nskip-checks: true\n\nbecau": "",
	} {
		if got := trigger.SkipMark(message); got != want {
			t.Errorf("%q: %q, want %q", message, got, want)
		}
	}
}

// TestNeedsMessage: only what can say [skip ci] and did not tell its message.
func TestNeedsMessage(t *testing.T) {
	for h, want := range map[string]bool{"push": true, "pull_request": true, "release": false} {
		if trigger.NeedsMessage(happening{Event: h}) != want {
			t.Errorf("%s: want %v", h, want)
		}
	}
	if trigger.NeedsMessage(happening{Event: "push", Message: "x"}) || trigger.NeedsMessage(happening{Event: "push", Deleted: true}) {
		t.Error("there is nothing to ask for")
	}
}
