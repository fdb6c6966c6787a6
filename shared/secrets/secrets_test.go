package secrets_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/secrets"
)

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFolder reads what Kubernetes mounts: links to files in a folder that a
// rotation replaces.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"..2030/TOKEN": "t0ken\n", "..2030/key": "-----\nabc\n-----\r\n\n", "not.a.name": "x", ".hidden": "x", "1st": "x",
		"EMPTY": "", "github/o/r/TOKEN": "of o/r", "github/o/r/MORE": "more", "github/o/r/sub/x": "x", "gitlab/o/r/TOKEN": "other",
	})
	for link, to := range map[string]string{"..data": "..2030", "TOKEN": "..data/TOKEN", "key": "..data/key"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	common := map[string]string{"TOKEN": "t0ken", "KEY": "-----\nabc\n-----", "EMPTY": ""}
	own := map[string]string{"TOKEN": "of o/r", "KEY": "-----\nabc\n-----", "EMPTY": "", "MORE": "more"}
	for _, c := range []struct {
		forge, repository string
		want              map[string]string
	}{
		{"", "", common},
		{"github", "o/r", own},
		{"github", "o/other", common},
		{"", "o/r", common},
		{"github", "../gitlab/o/r", common},
		{"github", "/", common},
		{"..", "x", common},
	} {
		got, err := secrets.Folder{Path: dir}.Values(t.Context(), events.Trigger{Forge: c.forge, Repository: c.repository})
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s %s: %q, %v", c.forge, c.repository, got, err)
		}
	}
	for _, none := range []string{"", filepath.Join(dir, "none")} {
		if got, err := (secrets.Folder{Path: none}).Values(t.Context(), events.Trigger{}); len(got) != 0 || err != nil {
			t.Errorf("%q: %q, %v", none, got, err)
		}
	}
}

// TestFolderRefuses what is no secret of its: a link that leads out of it, and a
// file that is too large.
func TestFolderRefuses(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "shadow")
	write(t, filepath.Dir(outside), map[string]string{"shadow": "root"})
	for name, spoil := range map[string]func(dir string) error{
		"a link out": func(dir string) error { return os.Symlink(outside, filepath.Join(dir, "X")) },
		"too large":  func(dir string) error { write(t, dir, map[string]string{"X": strings.Repeat("x", 65<<10)}); return nil },
		"no folder": func(dir string) error {
			return errors.Join(os.Remove(dir), os.WriteFile(dir, []byte("x"), 0o600))
		},
	} {
		dir := filepath.Join(t.TempDir(), "d")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := spoil(dir); err != nil {
			t.Fatal(err)
		}
		if got, err := (secrets.Folder{Path: dir}).Values(t.Context(), events.Trigger{}); err == nil || len(got) != 0 {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestCredential: for the server that has the repository, and for a fork's run
// only one that can do no more than read it.
func TestCredential(t *testing.T) {
	given := secrets.Credential{Host: "forge:8443", User: "u", Password: "pw"}
	for name, c := range map[string]struct {
		clone  string
		scoped bool
		spoil  func(*secrets.Credential)
		want   execution.Credential
		kind   fn.Kind
	}{
		"a trusted run":      {"https://forge:8443/o/r.git", false, nil, execution.Credential{Server: "https://forge:8443", User: "u", Password: "pw"}, 0},
		"letters":            {"https://Forge:8443/o/r.git", false, nil, execution.Credential{Server: "https://Forge:8443", User: "u", Password: "pw"}, 0},
		"a fork":             {"https://forge:8443/o/r.git", true, nil, execution.Credential{}, fn.Denied},
		"a fork, scoped":     {"https://forge:8443/o/r.git", true, func(c *secrets.Credential) { c.Scoped = true }, execution.Credential{Server: "https://forge:8443", User: "u", Password: "pw"}, 0},
		"another host":       {"https://elsewhere:8443/o/r.git", false, nil, execution.Credential{}, fn.Denied},
		"another port":       {"https://forge/o/r.git", false, nil, execution.Credential{}, fn.Denied},
		"a host in its name": {"https://forge:8443@elsewhere/o/r.git", false, nil, execution.Credential{}, fn.Denied},
		"no address":         {"", false, nil, execution.Credential{}, fn.Denied},
		"no token":           {"https://forge:8443/o/r.git", false, func(c *secrets.Credential) { c.Password = "" }, execution.Credential{}, fn.NotFound},
	} {
		s := secrets.Source{Forge: func(_ context.Context, forge, repository string) (secrets.Credential, error) {
			if forge != "github" || repository != "o/r" {
				t.Errorf("asked for %s of %s", repository, forge)
			}
			g := given
			if c.spoil != nil {
				c.spoil(&g)
			}
			return g, nil
		}}
		got, err := s.Credential(t.Context(), events.Trigger{Forge: "github", Repository: "o/r", Clone: c.clone}, c.scoped)
		if got != c.want || (err == nil) != (c.want.Password != "") || err != nil && fn.KindOf(err) != c.kind {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := (secrets.Source{}).Credential(t.Context(), events.Trigger{Forge: "github"}, false); fn.KindOf(err) != fn.NotFound {
		t.Errorf("without forges: %v", err)
	}
}
