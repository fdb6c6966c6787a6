package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/functions/api"
	"github.com/relevo-ci/relevo/shared/client"
	domain "github.com/relevo-ci/relevo/shared/domain/access"
	"github.com/relevo-ci/relevo/shared/limit"
)

// enter follows a login of the fake provider to its end.
func (b *browser) enter(name, back string) *httptest.ResponseRecorder {
	b.w.t.Helper()
	rec := status(b.w.t, b.ask(http.MethodGet, "/login?to="+url.QueryEscape(back), ""), http.StatusFound)
	to, err := url.Parse(rec.Header().Get("Location"))
	if err != nil || to.Host != "id.example" {
		b.w.t.Fatalf("sent to %s, %v", to, err)
	}
	return b.ask(http.MethodGet, "/login/callback?"+url.Values{"code": {name}, "state": {to.Query().Get("state")}}.Encode(), "")
}

func TestLogin(t *testing.T) {
	w := newWorld(t, withLogin)
	w.grant("ana", domain.Viewer, "*")
	b := w.browser()
	rec := status(t, b.enter("ana", "/runs?state=FAILED"), http.StatusSeeOther)
	if to := rec.Header().Get("Location"); to != "/runs?state=FAILED" {
		t.Errorf("sent to %s", to)
	}
	for _, c := range rec.Result().Cookies() {
		if c.Name == "__Host-relevo" && (!c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 12*3600) {
			t.Errorf("cookie %v", c)
		}
		if c.Name == "relevo-login" && c.MaxAge >= 0 {
			t.Errorf("the login's cookie stays: %v", c)
		}
	}
	me := decode[client.Me](t, b.ask(http.MethodGet, "/v1/me", ""), http.StatusOK)
	if me.Name != "ana@x.org" || me.Via != "session" || me.Forgery != domain.Forgery(b.secret) || len(me.Roles) != 1 || me.Roles[0].Role != "viewer" {
		t.Errorf("me %+v", me)
	}
	status(t, b.ask(http.MethodPost, "/logout", ""), http.StatusSeeOther)
	if len(b.cookies) != 0 {
		t.Errorf("cookies %v", b.cookies)
	}
}

// TestSessionFixation: a session that somebody else put into the browser is worth
// nothing after a login, nor is the one before it.
func TestSessionFixation(t *testing.T) {
	w := newWorld(t, withLogin)
	w.grant("ana", domain.Viewer, "*")
	b := w.browser()
	b.cookies["__Host-relevo"] = "planted"
	status(t, b.enter("ana", "/"), http.StatusSeeOther)
	first := b.cookies["__Host-relevo"]
	if first == "planted" || len(first) < 40 {
		t.Fatalf("the session is %q", first)
	}
	status(t, b.enter("ana", "/"), http.StatusSeeOther)
	second := b.cookies["__Host-relevo"]
	if second == first {
		t.Error("a login keeps the session's secret")
	}
	for _, old := range []string{"planted", first} {
		refused(t, w.ask(http.MethodGet, "/v1/me", "", "Host", b.host, "Cookie", "__Host-relevo="+old), http.StatusUnauthorized)
	}
	status(t, b.ask(http.MethodGet, "/v1/me", ""), http.StatusOK)
}

// TestCSRF: what changes something takes the page's own word and its origin; what
// only looks does not.
func TestCSRF(t *testing.T) {
	w := newWorld(t, withLogin)
	w.grant("ana", domain.Developer, "*")
	b := w.logIn("ana")
	cookie := "__Host-relevo=" + b.secret
	right := domain.Forgery(b.secret)
	for name, c := range map[string]struct {
		header []string
		want   int
	}{
		"a page of ours":             {[]string{api.HeaderForgery, right, "Sec-Fetch-Site", "same-origin"}, http.StatusCreated},
		"without the word":           {[]string{"Sec-Fetch-Site", "same-origin"}, http.StatusForbidden},
		"with a wrong one":           {[]string{api.HeaderForgery, domain.Forgery("other"), "Sec-Fetch-Site", "same-origin"}, http.StatusForbidden},
		"another site's form":        {[]string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, http.StatusForbidden},
		"another site with the word": {[]string{api.HeaderForgery, right, "Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
		"another port of this host":  {[]string{api.HeaderForgery, right, "Sec-Fetch-Site", "same-site"}, http.StatusForbidden},
		"an old browser elsewhere":   {[]string{api.HeaderForgery, right, "Origin", "https://evil.example"}, http.StatusForbidden},
	} {
		rec := w.ask(http.MethodPost, "/v1/pipelines", hello, append([]string{"Cookie", cookie}, c.header...)...)
		if rec.Code != c.want {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
	status(t, w.ask(http.MethodGet, "/v1/pipelines", "", "Cookie", cookie), http.StatusOK)
	refused(t, w.ask(http.MethodPost, "/logout", "", "Cookie", cookie), http.StatusForbidden)
	refused(t, w.ask(http.MethodPost, "/logout", "", "Cookie", cookie, api.HeaderForgery, right, "Sec-Fetch-Site", "cross-site"), http.StatusForbidden)
	// A connection that stays open, of another page in the same browser.
	refused(t, w.ask(http.MethodGet, "/v1/events", "", "Cookie", cookie, "Upgrade", "websocket", "Connection", "Upgrade", "Origin", "https://evil.example"), http.StatusForbidden)
	status(t, b.ask(http.MethodGet, "/v1/me", ""), http.StatusOK)
}

func TestEndedSessions(t *testing.T) {
	w := newWorld(t, withLogin, func(w *world) { w.now = time.Now() })
	w.grant("ana", domain.Viewer, "*")
	w.grant("root", domain.Admin, "*")
	ana, root := w.logIn("ana"), w.logIn("root")
	me := decode[client.Me](t, ana.ask(http.MethodGet, "/v1/me", ""), http.StatusOK)
	w.now = w.now.Add(time.Second)
	status(t, root.ask(http.MethodDelete, "/v1/sessions?user="+me.ID, ""), http.StatusNoContent)
	refused(t, ana.ask(http.MethodGet, "/v1/me", ""), http.StatusUnauthorized)
	w.now = w.now.Add(13 * time.Hour)
	refused(t, root.ask(http.MethodGet, "/v1/me", ""), http.StatusUnauthorized)
}

// TestRevokedRolesCountAtOnce: the very next request is judged without them.
func TestRevokedRolesCountAtOnce(t *testing.T) {
	w := newWorld(t, withLogin)
	w.grant("ana", domain.Operator, "*")
	w.grant("root", domain.Admin, "*")
	ana, root := w.logIn("ana"), w.logIn("root")
	made := decode[client.MadeToken](t, ana.ask(http.MethodPost, "/v1/tokens", `{"name": "t", "role": "operator", "projects": ["*"]}`), http.StatusCreated)
	token := []string{"Authorization", "Bearer " + made.Secret}
	status(t, w.ask(http.MethodGet, "/v1/audit", "", token...), http.StatusOK)
	status(t, root.ask(http.MethodDelete, "/v1/access?subject=user:ana@x.org&project=*", ""), http.StatusNoContent)
	refused(t, ana.ask(http.MethodGet, "/v1/audit", ""), http.StatusForbidden)
	refused(t, w.ask(http.MethodGet, "/v1/audit", "", token...), http.StatusForbidden) // it may no more than its maker
}

// TestOneTimeLink: in local mode a page gets in by the link alone, and by each
// link once.
func TestOneTimeLink(t *testing.T) {
	w := newWorld(t, knowing)
	link := decode[client.Link](t, w.ask(http.MethodPost, "/v1/links", "", "Host", "127.0.0.1:8470"), http.StatusCreated)
	path, ok := strings.CutPrefix(link.URL, "http://127.0.0.1:8470")
	if !ok || !strings.HasPrefix(path, "/login/once?code=") {
		t.Fatalf("link %s", link.URL)
	}
	b := w.browser()
	refused(t, b.ask(http.MethodGet, "/v1/me", ""), http.StatusUnauthorized)
	status(t, w.ask(http.MethodHead, path, ""), http.StatusMethodNotAllowed) // of what only looks at links
	refused(t, w.ask(http.MethodGet, path, "", "Sec-Fetch-Site", "cross-site"), http.StatusForbidden)
	rec := status(t, b.ask(http.MethodGet, path+"&to=//evil.example", "", "Sec-Fetch-Site", "none"), http.StatusSeeOther)
	if to := rec.Header().Get("Location"); to != "/" {
		t.Errorf("sent to %s", to)
	}
	if me := decode[client.Me](t, b.ask(http.MethodGet, "/v1/me", ""), http.StatusOK); me.ID != domain.Local || me.Via != "session" {
		t.Errorf("me %+v", me)
	}
	status(t, b.ask(http.MethodPost, "/v1/pipelines", hello), http.StatusCreated)
	refused(t, w.browser().ask(http.MethodGet, path, ""), http.StatusForbidden)
	// From afar it is of no use, nor is the session.
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/me", nil)
	r.RemoteAddr, r.Host = "192.0.2.1:1234", b.host
	r.Header.Set("Cookie", "relevo-8080="+b.secret)
	far := httptest.NewRecorder()
	w.http.ServeHTTP(far, r)
	refused(t, far, http.StatusForbidden)
	// A program on this machine needs none.
	status(t, w.ask(http.MethodGet, "/v1/me", ""), http.StatusOK)
}

// TestBruteForceOfLinks: guessing is slowed, and a session or an API token makes
// no links.
func TestBruteForceOfLinks(t *testing.T) {
	w := newWorld(t, knowing, func(w *world) {
		w.api.Access.Limits, w.api.Access.Strangers = &limit.Memory{}, limit.Bound{Rate: 1, Burst: 10}
	})
	codes := map[int]int{}
	for i := range 200 {
		codes[w.ask(http.MethodGet, fmt.Sprintf("/login/once?code=%026d", i), "").Code]++
	}
	if codes[http.StatusForbidden] > 15 || codes[http.StatusForbidden]+codes[http.StatusTooManyRequests] != 200 {
		t.Errorf("answers %v", codes)
	}
	_, secret := w.token(domain.Admin, "*")
	refused(t, w.ask(http.MethodPost, "/v1/links", "", "Authorization", "Bearer "+secret), http.StatusForbidden)
}

// TestOpenRedirect: a login ends on this server.
func TestOpenRedirect(t *testing.T) {
	for _, to := range []string{
		"", "runs", "//evil.example", "///evil.example", `/\evil.example`, `\\evil.example`, "https://evil.example", "https:evil.example",
		"javascript:alert(1)", "/%5cevil.example", "/%2f/evil.example", "/a\nb", "/\tevil", "http:///x", "/login", "/login/once?code=1", "/" + strings.Repeat("a", 2000),
		"//evil.example/%2e%2e", "/%09/evil.example", "?x", "#x", "/\u0000",
	} {
		if got := api.Local(to); got != "/" {
			t.Errorf("%q leads to %q", to, got)
		}
	}
	for _, to := range []string{"/", "/runs", "/runs/01J?attempt=1#L5", "/queue?q=https%3A%2F%2Fx", "/loginx"} {
		if got := api.Local(to); got != to {
			t.Errorf("%q leads to %q", to, got)
		}
	}
	w := newWorld(t, withLogin)
	w.grant("eve", domain.Viewer, "*")
	if to := w.browser().enter("eve", "//evil.example").Header().Get("Location"); to != "/" {
		t.Errorf("sent to %s", to)
	}
}

func FuzzLocal(f *testing.F) {
	for _, s := range []string{"/", "//x", `/\x`, "/%2f/x", "https://x", "/a?b#c"} {
		f.Add(s)
	}
	here, err := url.Parse("https://relevo.example/login/callback")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		to, err := here.Parse(api.Local(s))
		if err != nil || to.Host != here.Host || to.Scheme != here.Scheme || strings.HasPrefix(to.Path, "//") || strings.ContainsAny(to.Path, "\\\n\t") {
			t.Errorf("%q leads to %v, %v", s, to, err)
		}
	})
}

func TestLoginsThatFail(t *testing.T) {
	w := newWorld(t, withLogin)
	b := w.browser()
	status(t, b.ask(http.MethodGet, "/login", ""), http.StatusFound)
	refused(t, b.ask(http.MethodGet, "/login/callback?code=ana&state=other", ""), http.StatusBadRequest)
	refused(t, b.ask(http.MethodGet, "/login/callback?code=ana&state=%2F", ""), http.StatusBadRequest) // the cookie went with the first
	status(t, b.ask(http.MethodGet, "/login", ""), http.StatusFound)
	refused(t, b.ask(http.MethodGet, "/login/callback?state=%2F&error=access_denied", ""), http.StatusForbidden)
	status(t, b.ask(http.MethodGet, "/login", ""), http.StatusFound)
	p := refused(t, b.ask(http.MethodGet, "/login/callback?code=down&state=%2F", ""), http.StatusBadGateway)
	if strings.Contains(p.Detail, "tcp") {
		t.Errorf("it tells what is none of theirs: %s", p.Detail)
	}
	if len(b.cookies) != 0 {
		t.Errorf("cookies %v", b.cookies)
	}
}
