package forge_test

import (
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/forge"
)

// fuzz throws bodies at a forge's door: nothing panics, a body that was signed
// with another secret never passes, and what is read keeps its promises.
func fuzz(f *testing.F, kind string) {
	for _, s := range samples(f, kind) {
		f.Add(s.event(), s.body)
	}
	f.Add(ping[kind], []byte(`{}`))
	door, err := forge.New(forge.Settings{Kind: kind, URL: "http://forge.invalid", Secrets: []string{secret}})
	if err != nil {
		f.Fatal(err)
	}
	stranger, err := forge.New(forge.Settings{Kind: kind, URL: "http://forge.invalid", Secrets: []string{"another", "still another"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, event string, body []byte) {
		header := signed(kind, event, body)
		if err := door.Verify(header, body); err != nil {
			t.Fatal(err)
		}
		if err := stranger.Verify(header, body); !errors.Is(err, forge.ErrSignature) {
			t.Fatal(err)
		}
		h, err := door.Parse(header, body)
		if err != nil {
			if !errors.Is(err, forge.ErrBody) {
				t.Fatal(err)
			}
			return
		}
		promised(t, h)
		for _, one := range h.Also {
			promised(t, one)
		}
	})
}

// promised holds what readers of a happening rely on.
func promised(t *testing.T, h trigger.Happening) {
	t.Helper()
	if h.Event == "" || h.Forge == "" || h.Delivery == "" || len(h.Delivery) > 128 || !utf8.ValidString(h.Ref) {
		t.Errorf("%+v", h)
	}
	switch h.Event {
	case "push":
		if h.Ref == "" || h.Repository.Name == "" || h.Deleted != (h.SHA == "") || h.SHA == "" && h.Before == "" {
			t.Errorf("%+v", h)
		}
	case "pull_request":
		if h.Pull == nil || h.Pull.Number <= 0 || h.Pull.Base == "" || h.Repository.Name == "" || h.SHA != h.Pull.HeadSHA {
			t.Errorf("%+v", h)
		}
	case "issue_comment":
		if h.Comment == nil || h.Comment.OnPull != (h.Pull != nil) {
			t.Errorf("%+v", h)
		}
	}
}

func FuzzGitHub(f *testing.F)    { fuzz(f, forge.GitHub) }
func FuzzGitLab(f *testing.F)    { fuzz(f, forge.GitLab) }
func FuzzGitea(f *testing.F)     { fuzz(f, forge.Gitea) }
func FuzzBitbucket(f *testing.F) { fuzz(f, forge.Bitbucket) }
func FuzzStash(f *testing.F)     { fuzz(f, forge.Stash) }
func FuzzGogs(f *testing.F)      { fuzz(f, forge.Gogs) }
