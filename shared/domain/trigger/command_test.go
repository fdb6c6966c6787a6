package trigger_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

func written(commands []trigger.Command) string {
	list := make([]string, len(commands))
	for i, c := range commands {
		list[i] = strings.TrimSpace(fmt.Sprintf("%s %s", c.Verb, c.Name))
	}
	return strings.Join(list, ", ")
}

func TestCommands(t *testing.T) {
	for body, want := range map[string]string{
		"":                           "",
		"looks good":                 "",
		"/test":                      "test",
		"/test ":                     "test",
		"/test build and deploy":     "test build and deploy",
		"/TEST":                      "test",
		"/retest":                    "retest",
		"/ok-to-test":                "ok-to-test",
		"/cancel":                    "cancel",
		"  /retest":                  "retest",
		"/retest please":             "",
		"/ok-to-test abc":            "",
		"/tests":                     "",
		"/test/x":                    "",
		"test":                       "",
		"please /test":               "",
		"`/test`":                    "",
		"> /test":                    "",
		"- /test":                    "",
		"Thanks!\r\n\r\n/ok-to-test": "ok-to-test",
		"/retest\n/cancel":           "retest, cancel",
		"    /test":                  "", // a block of code
		"\t/test":                    "",
		"```\n/test\n```":            "",
		"```\n/test\n```\n/retest":   "retest",
		"```sh\n/test\n````\n/cancel\n```\n/retest": "cancel", // closed by the four, opened by the last
		"````\n```\n/test\n````\n/retest":           "retest",
		"~~~ text\n/test\n~~~\n/cancel":             "cancel",
		"~~~\n```\n/test\n~~~":                      "",
		"```\n/test":                                "", // never closed
		"``` a`b\n/test":                            "test",
		"<!-- \n/test\n-->\n/retest":                "retest",
		"<!-- note -->\n/test":                      "test",
	} {
		if got := written(trigger.Commands(body)); got != want {
			t.Errorf("%q: %q, want %q", body, got, want)
		}
	}
}

// TestOrdered: only a new comment on a pull request orders anything.
func TestOrdered(t *testing.T) {
	comment := func(action string, onPull bool) trigger.Happening {
		return trigger.Happening{Event: "issue_comment", Action: action, Comment: &trigger.Comment{Body: "/test", OnPull: onPull}}
	}
	for _, c := range []struct {
		h    trigger.Happening
		want int
	}{
		{comment("created", true), 1},
		{comment("edited", true), 0},
		{comment("deleted", true), 0},
		{comment("created", false), 0},
		{trigger.Happening{Event: "push", Message: "/test"}, 0},
	} {
		if got := trigger.Ordered(c.h); len(got) != c.want {
			t.Errorf("%s %s: %v", c.h.Event, c.h.Action, got)
		}
	}
}

func TestRefusesCommand(t *testing.T) {
	open := &trigger.Pull{Number: 7, Open: true}
	for _, c := range []struct {
		verb  trigger.Verb
		level trigger.Level
		pull  *trigger.Pull
		why   string
	}{
		{trigger.Test, trigger.None, open, "/test takes the right to write to o/r, which mallory does not have"},
		{trigger.Retest, trigger.Read, open, "takes the right"},
		{trigger.OKTest, trigger.Triage, open, "takes the right"},
		{trigger.Stop, trigger.None, open, "takes the right"},
		{trigger.Test, trigger.Write, open, ""},
		{trigger.OKTest, trigger.Admin, open, ""},
		{trigger.Test, trigger.Write, nil, "is for pull requests"},
		{trigger.Test, trigger.Write, &trigger.Pull{Number: 7}, "#7 is closed"},
		{trigger.Stop, trigger.Write, &trigger.Pull{Number: 7}, ""},
	} {
		h := trigger.Happening{Repository: trigger.Repository{Name: "o/r"}, Actor: trigger.Actor{Login: "mallory"}, Pull: c.pull}
		got := trigger.RefusesCommand(trigger.Command{Verb: c.verb}, h, c.level)
		if (got == "") != (c.why == "") || !strings.Contains(got, c.why) {
			t.Errorf("/%s of level %d: %q, want %q", c.verb, c.level, got, c.why)
		}
	}
}

func FuzzCommands(f *testing.F) {
	f.Add("```\n/test\n```\n/retest")
	f.Add("<!--\n/cancel -->\n\t/test")
	f.Fuzz(func(t *testing.T, body string) {
		for _, c := range trigger.Commands(body) {
			if !strings.Contains(strings.ToLower(body), "/"+string(c.Verb)) || strings.Contains(c.Name, "\n") {
				t.Errorf("%q has no %+v", body, c)
			}
		}
	})
}
