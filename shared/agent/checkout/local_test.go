package checkout_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/agent/checkout"
	"github.com/relevo-ci/relevo/shared/agent/checkout/gittest"
)

// TestStartedByHand: the folder is what is built. Nothing in it is touched.
func TestStartedByHand(t *testing.T) {
	server := gittest.New(t)
	repo := server.Repo("o/r")
	first := repo.Commit("one", map[string]string{"a": "1"})
	second := repo.Commit("two", map[string]string{"a": "2"})
	work := func(r *rig) {
		r.options.Workspace = repo.Dir
		if err := os.WriteFile(filepath.Join(repo.Dir, "a"), []byte("changed"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name    string
		with    map[string]string
		set     func(*rig)
		files   map[string]string
		commit  string
		said    string
		refused string
	}{
		{"as it is", nil, work, map[string]string{"a": "changed"}, second, "nothing is checked out", ""},
		{"another ref", map[string]string{"ref": "v1"}, work, map[string]string{"a": "changed"}, second, "may not be v1", ""},
		{"a copy", map[string]string{"path": "copy"}, work, map[string]string{"a": "changed", "copy/a": "2"}, second, "the folder's own repository", ""},
		{"an old copy", map[string]string{"path": "old", "ref": first}, work, map[string]string{"old/a": "1"}, first, "", ""},
		{"no such commit", map[string]string{"path": "none", "ref": "nope"}, work, nil, "", "", `no commit "nope"`},
		{"another repository", map[string]string{"repository": "o/x"}, work, nil, "", "", "not started by a forge"},
		{"an empty folder", nil, func(*rig) {}, nil, "", "", "its folder is empty"},
		{"no repository", map[string]string{"path": "x"}, func(*rig) {}, nil, "", "", "no git repository"},
		{"a forge's run in a shared folder", nil, func(r *rig) {
			work(r)
			r.options.InPlace, r.options.Clone = true, server.Clone("o/r")
		}, map[string]string{"a": "changed"}, "", "", "jobs share the folder"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, server, "o/r")
			r.options.Clone, r.options.SHA = "", second
			r.inputs(c.with)
			c.set(r)
			done, err := checkout.Do(r.options)
			if (err == nil) != (c.refused == "") || err != nil && !strings.Contains(err.Error(), c.refused) {
				t.Fatalf("%v, want %q\n%s", err, c.refused, &r.output)
			}
			if done.Commit != c.commit || !strings.Contains(strings.Join(r.said, "\n"), c.said) {
				t.Errorf("%+v, said %q", done, r.said)
			}
			for path, want := range c.files {
				if got := r.file(path); got != want {
					t.Errorf("%s: %q, want %q", path, got, want)
				}
			}
		})
	}
}

// TestAddresses that are none of HTTP, or hold a name.
func TestAddresses(t *testing.T) {
	server := gittest.New(t)
	sha := server.Repo("o/r").Commit("one", map[string]string{"a": "1"})
	for clone, works := range map[string]bool{
		server.Clone("o/r"): true, strings.Replace(server.Clone("o/r"), "//", "//somebody@", 1): true,
		"ext::sh -c id": false, "git@forge:o/r.git": false, "/etc": false, "file:///etc": false, "ssh://forge/o/r": false,
	} {
		r := newRig(t, server, "o/r").private()
		r.options.Clone, r.options.SHA = clone, sha
		if _, err := checkout.Do(r.options); (err == nil) != works {
			t.Errorf("%s: %v\n%s", clone, err, &r.output)
		}
		if works && r.git("remote", "get-url", "origin") != server.Clone("o/r") {
			t.Errorf("%s: origin is %s", clone, r.git("remote", "get-url", "origin"))
		}
	}
}
