package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/functions/api"
	"github.com/relevo-ci/relevo/shared/access"
	domain "github.com/relevo-ci/relevo/shared/domain/access"
	"github.com/relevo-ci/relevo/shared/state"
)

// knowing makes a world know people, tokens and sessions, in local mode.
func knowing(w *world) {
	policy, err := access.NewPolicy()
	if err != nil {
		w.t.Fatal(err)
	}
	w.api.Access = &api.Access{
		Store: &state.Access{Committer: w.runs.Committer}, Audit: &state.Audit{Committer: w.runs.Committer},
		Allowed: policy.Allowed,
	}
}

// withLogin is knowing, with a provider: local mode is over.
func withLogin(w *world) {
	knowing(w)
	w.api.Access.Login = &idp{}
	w.api.Access.Public = "https://relevo.example"
}

// idp lets in whom the code names; its login page is elsewhere. That ours
// is a real client of a real provider, test/oidc shows.
type idp struct{ began []string }

func (p *idp) Begin(_ context.Context, back string) (string, string, error) {
	p.began = append(p.began, back)
	return "https://id.example/auth?" + url.Values{"state": {back}}.Encode(), "kept " + back, nil
}

func (p *idp) Finish(_ context.Context, keep string, answer url.Values) (domain.Claims, string, error) {
	back, ok := strings.CutPrefix(keep, "kept ")
	switch code := answer.Get("code"); {
	case !ok || answer.Get("state") != back:
		return domain.Claims{}, "", fmt.Errorf("%w: state", domain.ErrAgain)
	case code == "":
		return domain.Claims{}, "", fmt.Errorf("%w: no code", domain.ErrRefused)
	case code == "down":
		return domain.Claims{}, "", errors.New("dial tcp: connection refused")
	default:
		return claims(code), back, nil
	}
}

func claims(name string) domain.Claims {
	return domain.Claims{Issuer: "https://id.example", Subject: name, Email: name + "@x.org", Verified: true, Groups: []string{"all"}}
}

// browser is one person's: it keeps cookies, and sends what pages send.
type browser struct {
	w       *world
	host    string
	secret  string // of its session
	cookies map[string]string
}

func (w *world) browser() *browser {
	return &browser{w: w, host: "localhost:8080", cookies: map[string]string{}}
}

// ask does a request as a page of this server does, with cookies.
func (b *browser) ask(method, path, body string, header ...string) *httptest.ResponseRecorder {
	var pairs []string
	for name, value := range b.cookies {
		pairs = append(pairs, name+"="+value)
	}
	all := []string{"Host", b.host, "Cookie", strings.Join(pairs, "; "), "Sec-Fetch-Site", "same-origin"}
	if b.secret != "" {
		all = append(all, api.HeaderForgery, domain.Forgery(b.secret))
	}
	rec := b.w.ask(method, path, body, append(all, header...)...)
	for _, c := range rec.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
		if strings.HasPrefix(c.Name, "relevo-8") || c.Name == "__Host-relevo" {
			b.secret = b.cookies[c.Name]
		}
	}
	return rec
}

// logIn opens a session of somebody, as a login would.
func (w *world) logIn(name string) *browser {
	w.t.Helper()
	user, err := w.api.Access.Store.LogIn(w.t.Context(), claims(name))
	if err != nil {
		w.t.Fatal(err)
	}
	b := w.browser()
	b.secret = "the secret of " + name + "'s session"
	b.secret = strings.ReplaceAll(strings.ReplaceAll(b.secret, " ", "-"), "'", "")
	if _, _, err := w.api.Access.Store.Open(w.t.Context(), b.secret, user.ID); err != nil {
		w.t.Fatal(err)
	}
	b.cookies["relevo-8080"] = b.secret
	if w.api.Access.Public != "" {
		b.cookies = map[string]string{"__Host-relevo": b.secret}
	}
	return b
}

// grant gives a role.
func (w *world) grant(name string, role domain.Role, scope domain.Scope) {
	w.t.Helper()
	_, err := w.api.Access.Store.Grant(w.t.Context(), domain.Grant{
		Subject: domain.UserSubject(name + "@x.org"), Binding: domain.Binding{Scope: scope, Role: role},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// token makes one as whoever runs the server; it may what is asked for.
func (w *world) token(role domain.Role, scopes ...domain.Scope) (id, secret string) {
	w.t.Helper()
	var random [domain.SecretBytes]byte
	copy(random[:], fmt.Sprint(role, scopes, time.Now().UnixNano()))
	secret = domain.Secret(random)
	made, _, err := w.api.Access.Store.MakeToken(w.t.Context(), secret,
		domain.Token{Name: "test", Maker: domain.Local, Role: role, Scopes: scopes}, 0, domain.All(domain.Admin))
	if err != nil {
		w.t.Fatal(err)
	}
	return made.ID, secret
}

func status(t *testing.T, rec *httptest.ResponseRecorder, want int) *httptest.ResponseRecorder {
	t.Helper()
	if rec.Code != want {
		t.Fatalf("status %d, want %d: %s", rec.Code, want, rec.Body)
	}
	return rec
}

// in is a submission of a project.
func in(project string) string {
	return fmt.Sprintf(`{"project": %q, "source": "jobs:\n  build:\n    steps:\n    - run: echo hello\n"}`, project)
}
