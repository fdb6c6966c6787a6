package secrets

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/shared/fn"
)

// Token is what the settings have of a forge.
type Token struct {
	Forge string // github, gitlab …
	URL   string // of its API
	Token string // of a user's, or "user:password"
	// Take takes a token that reads one repository, can do nothing else, and ends;
	// it goes before Token. Nil: there are none such. Where there is none for the
	// repository: fn.Denied or fn.NotFound.
	Take func(ctx context.Context, repository string) (token string, until time.Time, err error)
}

// logins are who git says that it is, over HTTP, where a forge wants a name
// beside the token; and where it serves git, if that is not where the API is.
var logins = map[string]struct{ user, api, web string }{
	"github":    {"x-access-token", "api.github.com", "github.com"},
	"gitlab":    {"oauth2", "", ""},
	"gitea":     {"x-access-token", "", ""},
	"bitbucket": {"x-token-auth", "api.bitbucket.org", "bitbucket.org"},
	"stash":     {"x-token-auth", "", ""},
}

// Tokens are a Source's Forge without a forge: of the settings alone, for hosts
// that link no forge's client. A forge says the same of itself.
func Tokens(all []Token) func(ctx context.Context, forge, repository string) (Credential, error) {
	return func(ctx context.Context, forge, repository string) (Credential, error) {
		for _, t := range all {
			if t.Forge != forge {
				continue
			}
			if t.Take == nil {
				return t.credential(), nil
			}
			token, until, err := t.Take(ctx, repository)
			if err != nil {
				return Credential{}, err
			}
			t.Token = token
			c := t.credential()
			c.Scoped, c.Until = true, until
			return c, nil
		}
		return Credential{}, fn.Faultf(fn.NotFound, "this installation has no forge %s", forge)
	}
}

func (t Token) credential() Credential {
	l := logins[t.Forge]
	c := Credential{User: l.user, Password: t.Token}
	if u, err := url.Parse(t.URL); err == nil {
		c.Host = u.Host
	}
	if c.Host == l.api && l.web != "" {
		c.Host = l.web
	}
	switch user, password, both := strings.Cut(t.Token, ":"); {
	case t.Token == "":
		c.User = ""
	case t.Forge == "gogs": // it takes a token where others take the user's name
		c.User, c.Password = t.Token, "x-oauth-basic"
	case both:
		c.User, c.Password = user, password
	}
	return c
}
