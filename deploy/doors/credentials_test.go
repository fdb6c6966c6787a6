package doors_test

import (
	"testing"

	"github.com/relevo-ci/relevo/deploy/doors"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/forge"
	"github.com/relevo-ci/relevo/shared/secrets"
)

// TestTokensAreTheForges: hosts that link no forge say of the settings what the
// forges say.
func TestTokensAreTheForges(t *testing.T) {
	var all []secrets.Token
	var served []forge.Forge
	for _, c := range []secrets.Token{
		{Forge: "github", URL: "https://api.github.com/", Token: "t1"},
		{Forge: "gitlab", URL: "https://gitlab.com/", Token: "t2"},
		{Forge: "gitea", URL: "http://gitea:3000/sub/", Token: "somebody:p3"},
		{Forge: "bitbucket", URL: "https://api.bitbucket.org/", Token: "u:p4"},
		{Forge: "stash", URL: "https://stash/", Token: "t5"},
		{Forge: "gogs", URL: "https://gogs:1/", Token: "t6"},
		{Forge: "github", URL: "https://ghe.example/api/v3/", Token: "t7"},
		{Forge: "gitlab", URL: "https://gitlab.example/", Token: ""},
	} {
		f, err := forge.New(forge.Settings{Kind: c.Forge, URL: c.URL, Token: c.Token})
		if err != nil {
			t.Fatal(err)
		}
		want, err := doors.Credentials([]forge.Forge{f})(t.Context(), c.Forge, "o/r")
		got, other := secrets.Tokens([]secrets.Token{c})(t.Context(), c.Forge, "o/r")
		if err != nil || other != nil || got != want || want.Host == "" {
			t.Errorf("%s: %+v, %v; the forge says %+v, %v", c.URL, got, other, want, err)
		}
		all, served = append(all, c), append(served, f)
	}
	for _, of := range []func() (secrets.Credential, error){
		func() (secrets.Credential, error) { return doors.Credentials(served)(t.Context(), "other", "o/r") },
		func() (secrets.Credential, error) { return secrets.Tokens(all)(t.Context(), "other", "o/r") },
	} {
		if c, err := of(); fn.KindOf(err) != fn.NotFound || c.Password != "" {
			t.Errorf("of a forge that is not there: %v, %v", c, err)
		}
	}
}
