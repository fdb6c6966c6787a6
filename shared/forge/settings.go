package forge

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/drone/go-scm/scm"
	"github.com/drone/go-scm/scm/driver/bitbucket"
	"github.com/drone/go-scm/scm/driver/gitea"
	"github.com/drone/go-scm/scm/driver/github"
	"github.com/drone/go-scm/scm/driver/gitlab"
	"github.com/drone/go-scm/scm/driver/gogs"
	"github.com/drone/go-scm/scm/driver/stash"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// The kinds of forges. Forgejo is a Gitea; Stash is Bitbucket Data Center.
const (
	GitHub    = "github"
	GitLab    = "gitlab"
	Gitea     = "gitea"
	Bitbucket = "bitbucket"
	Stash     = "stash"
	Gogs      = "gogs"
)

// Settings of one forge.
type Settings struct {
	// Name in addresses and events; empty: the kind.
	Name string
	// Kind is one of the constants.
	Kind string
	// URL of the API, http or https, the only host that is asked: the public one
	// where it is empty and the forge has such. GitHub Enterprise Server's ends in
	// /api/v3, the others' are the forge's own address.
	URL string
	// Token for the API and for git. On Bitbucket "user:password" is an app
	// password, on Bitbucket Data Center that of an account.
	Token string
	// AppID and AppKey (PEM) are a GitHub App's, which goes before the token. It
	// tells by check runs.
	AppID, AppKey string
	// Secrets of the webhooks; each of them is live. Without any, no delivery is
	// taken.
	Secrets []string
	// Client to ask with; its Timeout is that of a request, and of all of the
	// answer. Nil: 10 s.
	Client *http.Client
}

// A kind is what is particular to a forge.
type kind struct {
	home   string // address of the API, where there is a public one
	web    string // host that serves git, where it is not the API's
	client func(address string) (*scm.Client, error)
	mark   mark
	names  headers
	read   func(event string, body []byte) (trigger.Happening, error)
	calls  func(*client) calls
	login  func(token string) (user, password string) // for git over HTTP
	// authorize sets the API's credential.
	authorize func(h http.Header, token string)
}

var kinds = map[string]kind{
	GitHub: {
		home: "https://api.github.com/", web: "github.com", client: github.New, mark: mark{header: "X-Hub-Signature-256", prefix: "sha256="},
		names: headers{event: []string{"X-GitHub-Event"}, delivery: []string{"X-GitHub-Delivery"}},
		read:  readGitHub, calls: func(c *client) calls { return githubCalls{c} },
		login: userOf("x-access-token"), authorize: bearer,
	},
	GitLab: {
		home: "https://gitlab.com/", client: gitlab.New, mark: mark{header: "X-Gitlab-Token", plain: true},
		// X-Gitlab-Event-UUID is shared by the events that one causes.
		names: headers{event: []string{"X-Gitlab-Event"}, delivery: []string{"Idempotency-Key"}},
		read:  readGitLab, calls: func(c *client) calls { return gitlabCalls{c} },
		login: userOf("oauth2"), authorize: func(h http.Header, token string) { h.Set("Private-Token", token) },
	},
	Gitea: {
		client: gitea.New, mark: mark{header: "X-Gitea-Signature"},
		names: headers{event: []string{"X-Gitea-Event", "X-Forgejo-Event"}, delivery: []string{"X-Gitea-Delivery", "X-Forgejo-Delivery"}},
		read:  readGitea, calls: func(c *client) calls { return giteaCalls{c} },
		login: userOf("x-access-token"), authorize: tokenWord,
	},
	Bitbucket: {
		home: "https://api.bitbucket.org/", web: "bitbucket.org", client: bitbucket.New, mark: mark{header: "X-Hub-Signature", prefix: "sha256="},
		names: headers{event: []string{"X-Event-Key"}, delivery: []string{"X-Request-UUID"}},
		read:  readBitbucket, calls: func(c *client) calls { return bitbucketCalls{c} },
		login: userOf("x-token-auth"), authorize: bearer,
	},
	Stash: {
		client: stash.New, mark: mark{header: "X-Hub-Signature", prefix: "sha256="},
		names: headers{event: []string{"X-Event-Key"}, delivery: []string{"X-Request-Id"}},
		read:  readStash, calls: func(c *client) calls { return stashCalls{c} },
		login: userOf("x-token-auth"), authorize: bearer,
	},
	Gogs: {
		client: gogs.New, mark: mark{header: "X-Gogs-Signature"},
		names: headers{event: []string{"X-Gogs-Event"}, delivery: []string{"X-Gogs-Delivery"}},
		read:  readGogs, calls: func(c *client) calls { return gogsCalls{c} },
		// Gogs takes a token where others take the user's name.
		login: func(token string) (user, password string) { return token, "x-oauth-basic" }, authorize: tokenWord,
	},
}

// New makes the forge of the settings. It asks nothing yet.
func New(s Settings) (Forge, error) {
	k, ok := kinds[s.Kind]
	if !ok {
		return nil, fmt.Errorf("forge: make %s: there is no kind %q", s.Name, s.Kind)
	}
	if s.Name == "" {
		s.Name = s.Kind
	}
	address := s.URL
	if address == "" {
		address = k.home
	}
	base, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("forge: make %s: %w", s.Name, err)
	}
	if base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, fmt.Errorf("forge: make %s: the address %q is not http://host or https://host", s.Name, base.Redacted())
	}
	api, err := k.client(base.String())
	if err != nil {
		return nil, fmt.Errorf("forge: make %s: %w", s.Name, err)
	}
	c := &client{kind: s.Kind, api: api, base: base}
	if s.Token != "" {
		c.user, c.password = k.login(s.Token)
	}
	var with credentials = fixed{s.Token, k.authorize}
	if s.AppID != "" {
		if c.app, err = openApp(s, base); err != nil {
			return nil, fmt.Errorf("forge: make %s: %w", s.Name, err)
		}
		with = installed{c.app}
	}
	c.host = base.Host
	if address == k.home && k.web != "" {
		c.host = k.web
	}
	api.Client = gated(s.Client, base, with)
	secrets := slices.DeleteFunc(slices.Clone(s.Secrets), func(secret string) bool { return secret == "" })
	return served{door: door{name: s.Name, kind: k, secrets: secrets}, checked: checked{name: s.Name, calls: k.calls(c), client: c}}, nil
}

// served is both halves of the port.
type served struct {
	door
	checked
}

// userOf is for forges that take any user with a token.
func userOf(user string) func(string) (string, string) {
	return func(token string) (string, string) {
		if u, p, both := strings.Cut(token, ":"); both {
			return u, p
		}
		return user, token
	}
}

func bearer(h http.Header, token string) {
	if user, password, both := strings.Cut(token, ":"); both {
		basic := &http.Request{Header: h}
		basic.SetBasicAuth(user, password)
		return
	}
	h.Set("Authorization", "Bearer "+token)
}

func tokenWord(h http.Header, token string) { h.Set("Authorization", "token "+token) }
