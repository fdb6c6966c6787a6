package trigger_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

var update = flag.Bool("update", false, "write the golden files again")

const (
	headSHA  = "1111111111111111111111111111111111111111"
	movedSHA = "2222222222222222222222222222222222222222"
	mainSHA  = "3333333333333333333333333333333333333333"
	config   = "config as approved"
)

var (
	repository = trigger.Repository{Name: "acme/app", ID: "1"}
	forkOf     = trigger.Repository{Name: "mallory/app", ID: "2"}
	nameless   = trigger.Repository{} // its fork was deleted
)

// ways are the events of the table, with whatever they carry.
var ways = []struct {
	name   string
	pulled bool // it happened to a pull request
	h      trigger.Happening
}{
	{"push", false, trigger.Happening{Event: "push", Ref: "refs/heads/main", SHA: mainSHA}},
	{"create", false, trigger.Happening{Event: "create", Ref: "refs/heads/x", SHA: mainSHA}},
	{"release", false, trigger.Happening{Event: "release", SHA: mainSHA}},
	{"schedule", false, trigger.Happening{Event: "schedule", SHA: mainSHA}},
	{"cloudevent", false, trigger.Happening{Event: "cloudevent", SHA: mainSHA}},
	{"manual", false, trigger.Happening{Event: "manual", SHA: mainSHA}},
	{"workflow_dispatch", false, trigger.Happening{Event: "workflow_dispatch", SHA: mainSHA}},
	{"issues", false, trigger.Happening{Event: "issues", SHA: mainSHA}},
	{"fork", false, trigger.Happening{Event: "fork", SHA: mainSHA}},
	{"workflow_run", false, trigger.Happening{Event: "workflow_run", SHA: mainSHA}},
	{"comment on an issue", false, trigger.Happening{Event: "issue_comment", SHA: mainSHA, Comment: &trigger.Comment{Body: "/ok-to-test"}}},
	{"comment on an unread pull", false, trigger.Happening{Event: "issue_comment", SHA: mainSHA, Comment: &trigger.Comment{Body: "/test", OnPull: true}}},
	{"pull_request", true, trigger.Happening{Event: "pull_request", SHA: headSHA}},
	{"pull_request_target", true, trigger.Happening{Event: "pull_request_target", SHA: headSHA}},
	{"pull_request_review", true, trigger.Happening{Event: "pull_request_review", SHA: headSHA}},
	{"comment with a command", true, trigger.Happening{Event: "pull_request", SHA: headSHA, Comment: &trigger.Comment{Body: "/test", OnPull: true}}},
	{"issue_comment on a pull", true, trigger.Happening{Event: "issue_comment", SHA: mainSHA, Comment: &trigger.Comment{Body: "hi", OnPull: true}}},
}

// heads are where a pull request comes from.
var heads = []struct {
	name string
	from trigger.Repository
}{{"own branch", repository}, {"fork", forkOf}, {"deleted fork", nameless}}

func approval(change func(*trigger.Approval)) *trigger.Approval {
	a := &trigger.Approval{
		Forge: "github", Repository: "acme/app", Pull: 7, SHA: headSHA, Config: config,
		By: trigger.Actor{Login: "alice"}, Level: trigger.Write,
	}
	change(a)
	return a
}

// approvals are what may stand beside a fork's pull request; only the second
// holds.
var approvals = []struct {
	name string
	a    *trigger.Approval
}{
	{"not approved", nil},
	{"approved", approval(func(*trigger.Approval) {})},
	{"approved without the right", approval(func(a *trigger.Approval) { a.Level = trigger.Triage })},
	{"approved before the head moved", approval(func(a *trigger.Approval) { a.SHA = movedSHA })},
	{"approved before the config changed", approval(func(a *trigger.Approval) { a.Config = "another" })},
	{"approved without a config", approval(func(a *trigger.Approval) { a.Config = "" })},
	{"another pull approved", approval(func(a *trigger.Approval) { a.Pull = 8 })},
	{"another repository approved", approval(func(a *trigger.Approval) { a.Repository = "acme/lib" })},
}

var actors = []struct {
	name  string
	level trigger.Level
}{{"stranger", trigger.None}, {"reader", trigger.Read}, {"triager", trigger.Triage}, {"writer", trigger.Write}, {"admin", trigger.Admin}}

// cell is one question of the table.
type cell struct {
	name string
	q    trigger.Question
}

// row gives the cells of all actors.
func row(name string, h trigger.Happening, a *trigger.Approval, rerun bool) []cell {
	cells := make([]cell, len(actors))
	for i, actor := range actors {
		h := h
		h.Pull = copied(h.Pull)
		h.Forge, h.Repository, h.Actor = "github", repository, trigger.Actor{Login: actor.name}
		cells[i] = cell{name + " | " + actor.name, trigger.Question{Happening: h, Level: actor.level, Approval: a, Config: config, Rerun: rerun}}
	}
	return cells
}

// rows is the whole table: event × fork × approval × re-run, and each by actor.
func rows() (list [][]cell) {
	for _, w := range ways {
		for _, rerun := range []bool{false, true} {
			again := map[bool]string{false: "first", true: "re-run"}[rerun]
			if !w.pulled {
				list = append(list, row(w.name+" | - | - | "+again, w.h, nil, rerun))
				continue
			}
			for _, head := range heads {
				h := w.h
				h.Pull = &trigger.Pull{Number: 7, Base: "main", HeadSHA: headSHA, From: head.from, Open: true, Author: trigger.Actor{Login: "mallory"}}
				for _, a := range approvals {
					if head.name == "own branch" && a.a != nil {
						continue // nobody approves those
					}
					list = append(list, row(strings.Join([]string{w.name, head.name, a.name, again}, " | "), h, a.a, rerun))
				}
				if rerun && head.name == "fork" {
					h.Pull.HeadSHA = movedSHA // what ran is not the head any more
					list = append(list,
						row(w.name+" | fork | approved, then the head moved | re-run", h, approvals[1].a, true),
						row(w.name+" | fork | the new head approved | re-run of the old", h, approvals[3].a, true))
				}
			}
		}
	}
	return list
}

func told(g trigger.Grant) string {
	switch {
	case !g.Start:
		return "nothing"
	case g.Untrusted:
		return "untrusted, files of " + string(g.Files)
	case g.Secrets:
		return "secrets, files of " + string(g.Files)
	}
	return "trusted, no secrets"
}

// TestTrustTable holds every cell against the golden table, and against what
// must hold whatever the table says.
func TestTrustTable(t *testing.T) {
	path := filepath.Join("testdata", "trust.golden")
	var made strings.Builder
	made.WriteString("event | head | approval | run | " + "stranger | reader | triager | writer | admin\n")
	golden, _ := os.ReadFile(path)
	lines := strings.Split(string(golden), "\n")
	cells := 0
	for i, cs := range rows() {
		name, _, _ := strings.Cut(cs[0].name, " | stranger")
		made.WriteString(name)
		for j, c := range cs {
			cells++
			got := told(trigger.Trust(c.q))
			made.WriteString(" | " + got)
			t.Run(c.name, func(t *testing.T) {
				holds(t, c.q)
				if want := goldenOf(lines, i+1, j); !*update && (want != got || !strings.HasPrefix(lines[i+1], name)) {
					t.Errorf("%s, want %s", got, want)
				}
			})
		}
		made.WriteString("\n")
	}
	t.Logf("%d cells", cells)
	if *update {
		if err := os.WriteFile(path, []byte(made.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if made.String() != string(golden) {
		t.Error("the table is another one: see -update")
	}
}

// goldenOf is the verdict of a line for an actor.
func goldenOf(lines []string, line, actor int) string {
	if line >= len(lines) {
		return ""
	}
	columns := strings.Split(lines[line], " | ")
	if len(columns) < 4+len(actors) {
		return ""
	}
	return columns[4+actor]
}

// holds checks what no table may break.
func holds(t *testing.T, q trigger.Question) {
	t.Helper()
	g := trigger.Trust(q)
	h := q.Happening
	if g.Why == "" {
		t.Error("no reason is given")
	}
	if !g.Start && (g.Secrets || g.Untrusted || g.Files != "") {
		t.Errorf("what does not start has something: %+v", g)
	}
	if g.Start && g.Untrusted == g.Secrets {
		t.Errorf("%+v", g)
	}
	if (h.Comment != nil || q.Rerun) && q.Level < trigger.Write && g.Start {
		t.Error("a stranger starts it")
	}
	if h.Fork() {
		a := q.Approval
		approved := a != nil && a.Level >= trigger.Write && a.SHA == h.Pull.HeadSHA && a.SHA == h.SHA && a.Config == q.Config && a.Pull == 7 && a.Repository == repository.Name
		if g.Secrets && !approved {
			t.Error("a fork has secrets, and nobody with the right approved this commit and these files")
		}
		if g.Untrusted && g.Files != trigger.Base {
			t.Error("a stranger's pipeline file counts")
		}
	}
	for what, spoof := range spoofs {
		s := q
		s.Happening.Pull = copied(h.Pull)
		spoof(&s.Happening)
		if other := trigger.Trust(s); told(other) != told(g) {
			t.Errorf("%s makes %s of %s", what, told(other), told(g))
		}
	}
}

func copied(p *trigger.Pull) *trigger.Pull {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}

// spoofs are what somebody may write into commits, titles and names.
var spoofs = map[string]func(*trigger.Happening){
	"the author that a commit names": func(h *trigger.Happening) {
		h.Message = "Fix\n\nAuthor: alice\nCo-authored-by: alice <alice@acme>\nSigned-off-by: alice\n\n/ok-to-test"
	},
	"a display name": func(h *trigger.Happening) { h.Actor.Name = "alice" },
	"a pull request's title and author": func(h *trigger.Happening) {
		if h.Pull != nil {
			h.Pull.Title, h.Pull.Author, h.Pull.Labels = "/ok-to-test", trigger.Actor{Login: "alice", ID: "1"}, []string{"ok-to-test"}
		}
	},
	"the fork's branch": func(h *trigger.Happening) {
		if h.Pull != nil {
			h.Pull.Head = "main"
		}
	},
}

func TestOfPull(t *testing.T) {
	now := trigger.Pull{Number: 7, Base: "main", HeadSHA: headSHA, From: forkOf, Open: true}
	h := trigger.Happening{
		Forge: "github", Event: "issue_comment", Action: "created", Repository: repository, SHA: mainSHA,
		Actor: trigger.Actor{Login: "alice"}, Comment: &trigger.Comment{Body: "/test", OnPull: true},
	}.OfPull(now)
	if h.Event != "pull_request" || h.Action != "synchronize" || h.SHA != headSHA || h.Ref != "refs/pull/7/merge" || h.Actor.Login != "alice" || !h.Fork() {
		t.Errorf("%+v", h)
	}
	if !trigger.Match(h, on{{Event: "pull_request", Branches: []string{"main"}}}, unknown).Run {
		t.Error("a command starts nothing")
	}
}

func TestApprove(t *testing.T) {
	clock := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	ask := func(head string, written time.Time) trigger.Happening {
		return trigger.Happening{
			Forge: "github", Event: "issue_comment", Action: "created", Repository: repository, At: written,
			Actor: trigger.Actor{Login: "alice"}, Comment: &trigger.Comment{Body: "/ok-to-test", OnPull: true},
			Pull: &trigger.Pull{Number: 7, HeadSHA: head, From: forkOf, Open: true},
		}
	}
	closed := ask(headSHA, clock)
	closed.Pull.Open = false
	for _, c := range []struct {
		what   string
		seen   string
		since  time.Time
		h      trigger.Happening
		level  trigger.Level
		config string
		why    string
	}{
		{"the head as it was seen", headSHA, clock.Add(-time.Hour), ask(headSHA, clock), trigger.Write, config, ""},
		{"a head never seen before", "", time.Time{}, ask(headSHA, clock), trigger.Write, config, ""},
		{"a forge without times", headSHA, clock.Add(-time.Hour), ask(headSHA, time.Time{}), trigger.Admin, config, ""},
		{"a stranger", headSHA, clock.Add(-time.Hour), ask(headSHA, clock), trigger.Read, config, "takes the right to write"},
		{"a triager", headSHA, clock.Add(-time.Hour), ask(headSHA, clock), trigger.Triage, config, "takes the right to write"},
		{"pushed after the comment", headSHA, clock.Add(time.Second), ask(headSHA, clock), trigger.Write, config, "was pushed after that was written"},
		{"moved since anybody saw it", headSHA, clock.Add(-time.Hour), ask(movedSHA, clock), trigger.Write, config, "has just moved to 22222222"},
		{"a closed pull request", headSHA, clock.Add(-time.Hour), closed, trigger.Write, config, "#7 is closed"},
		{"files that are not known", headSHA, clock.Add(-time.Hour), ask(headSHA, clock), trigger.Write, "", "are not known"},
		{"an abbreviated head", "", time.Time{}, ask(headSHA[:12], clock), trigger.Write, config, "are not known"},
	} {
		t.Run(c.what, func(t *testing.T) {
			r := trigger.Review{Head: c.seen, Since: c.since}
			why := r.Approve(c.h, c.level, c.config, clock.Add(time.Minute))
			if (why == "") != (c.why == "") || !strings.Contains(why, c.why) || (r.Approval != nil) != (c.why == "") {
				t.Fatalf("%q, %+v", why, r.Approval)
			}
			q := trigger.Question{Happening: c.h.OfPull(*c.h.Pull), Level: c.level, Approval: r.Approval, Config: config}
			if got := trigger.Trust(q); got.Secrets != (c.why == "") {
				t.Errorf("%+v", got)
			}
			if moved := r.See(movedSHA, clock.Add(time.Hour)); moved && r.Approval != nil {
				t.Error("the approval outlives its head")
			}
		})
	}
}

// TestSeeIsNotTakenBack: a delivery that comes late tells of no older head.
func TestSeeIsNotTakenBack(t *testing.T) {
	clock := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	var r trigger.Review
	if !r.See(headSHA, clock) || r.See(headSHA, clock.Add(time.Hour)) || r.See(movedSHA, clock.Add(-time.Hour)) || r.See("", clock.Add(time.Hour)) {
		t.Errorf("%+v", r)
	}
	if r.Head != headSHA || !r.Since.Equal(clock) {
		t.Errorf("%+v", r)
	}
}

func TestConfigHash(t *testing.T) {
	files := func(list ...string) map[string][]byte {
		m := map[string][]byte{}
		for i := 0; i < len(list); i += 2 {
			m[list[i]] = []byte(list[i+1])
		}
		return m
	}
	same := trigger.ConfigHash(files("a", "1", "b", "2"))
	if again := trigger.ConfigHash(files("b", "2", "a", "1")); again != same {
		t.Error("the order of the files counts")
	}
	seen := map[string]string{same: "a1 b2"}
	for _, other := range [][]string{{}, {"a", "1"}, {"a", "1", "b", "3"}, {"a", "2", "b", "1"}, {"a", "1", "c", "2"}, {"a", "1", "b", "2", "c", ""}, {"ab", "12"}, {"a\nb", "12"}} {
		h := trigger.ConfigHash(files(other...))
		if before, ok := seen[h]; ok {
			t.Errorf("%v has the hash of %s", other, before)
		}
		seen[h] = fmt.Sprint(other)
	}
}
