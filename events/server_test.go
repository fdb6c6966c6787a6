package events_test

import (
	"testing"

	"github.com/relevo-ci/relevo/events"
)

func TestServer(t *testing.T) {
	for clone, want := range map[string]string{
		"https://github.com/o/r.git":               "https://github.com",
		"https://github.com/O/R":                   "https://github.com",
		"https://example.com/gitea/o/r.git/":       "https://example.com/gitea",
		"https://stash:7990/scm/o/r.git":           "https://stash:7990/scm",
		"https://bitbucket.org/somewhere/else.git": "https://bitbucket.org",
		"git@github.com:o/r.git":                   "",
		"":                                         "",
	} {
		if got := (events.Trigger{Repository: "o/r", Clone: clone}).Server(); got != want {
			t.Errorf("%s: %q, want %q", clone, got, want)
		}
	}
}

func TestBranches(t *testing.T) {
	const payload = `{"pull_request":{"base":{"ref":"main"},"head":{"ref":"fix"}}}`
	for _, c := range []struct {
		trigger    events.Trigger
		base, head string
	}{
		{events.Trigger{}, "", ""},
		{events.Trigger{Payload: []byte(payload)}, "main", "fix"},
		{events.Trigger{Payload: []byte(payload), Base: "release", Head: "other"}, "release", "other"},
		{events.Trigger{Payload: []byte(`[]`)}, "", ""},
	} {
		if base, head := c.trigger.Branches(); base != c.base || head != c.head {
			t.Errorf("%+v: %q, %q", c.trigger, base, head)
		}
	}
}
