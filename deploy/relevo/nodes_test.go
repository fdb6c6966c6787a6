package main

import (
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/functions/api"
)

// TestShare: what strangers' jobs may take is taken from the others, and only
// where they are kept apart.
func TestShare(t *testing.T) {
	for name, c := range map[string]struct {
		m         machine
		untrusted int
		want      int
		why       string
	}{
		"not wanted":    {machine{api: &api.API{}, provider: "process", parallel: 4}, 0, 0, ""},
		"of docker":     {machine{api: &api.API{}, provider: "docker", parallel: 4}, 1, 1, ""},
		"of processes":  {machine{api: &api.API{}, provider: "process", parallel: 4}, 1, 0, "--provider docker"},
		"all of it":     {machine{api: &api.API{}, provider: "docker", parallel: 4}, 4, 0, "leaves nothing"},
		"one's own run": {machine{provider: "process", parallel: 4}, 1, 0, ""},
	} {
		err := c.m.share(c.untrusted)
		if (err == nil) != (c.why == "") || err != nil && !strings.Contains(err.Error(), c.why) || c.m.untrusted != c.want {
			t.Errorf("%s: %d, %v", name, c.m.untrusted, err)
		}
	}
	m := machine{parallel: 4}
	all, own, theirs := m.part(4), m.part(3), m.part(1)
	if own.Slots != 3 || theirs.Slots != 1 || own.CPU+theirs.CPU > all.CPU || own.Memory+theirs.Memory > all.Memory || theirs.CPU == 0 || theirs.Memory == 0 {
		t.Errorf("of %+v there are %+v and %+v", all, own, theirs)
	}
}
