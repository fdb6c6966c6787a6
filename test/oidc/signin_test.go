package oidc_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

const (
	viewer    = "test-user2@zitadel.ch"
	developer = "test-user@zitadel.ch"
)

// TestABrowserSignsIn: from a page that it may not see to the provider and back
// there, then as far as the role goes, and out again.
func TestABrowserSignsIn(t *testing.T) {
	s := up(t)
	run := s.waits(t)
	b := open(t, s)
	page := "/runs/" + run + "?view=list#jobs"
	b.visit(page)
	b.reads("main", "401")
	if b.session() != "" {
		t.Error("a session before anybody signed in")
	}
	b.do(chromedp.Click(`main a[href^="/login"]`))
	b.enter("test-user2")
	b.reads("main h1", "Release")
	if want := s.URL + strings.TrimSuffix(page, "#jobs"); b.at() != want { // a fragment is the browser's own
		t.Errorf("landed at %s, not %s", b.at(), want)
	}
	b.reads("header .me", "test-user2")
	if b.who() != viewer {
		t.Errorf("known as %q", b.who())
	}
	secret := b.session()
	if seen := eval[string](b, "document.cookie"); strings.Contains(seen, secret) {
		t.Errorf("scripts see %q", seen)
	}

	// With all that the page itself knows, a viewer still cancels nothing.
	b.visit("/runs/" + run)
	for path, body := range map[string]string{"/v1/pipelines/" + run + "/cancel": "{}", "/v1/pipelines": `{"source": "jobs: {a: {steps: [{run: echo}]}}"}`} {
		status := eval[int](b, fmt.Sprintf(`(async () => {
			const me = await (await fetch("/v1/me")).json()
			const res = await fetch(%q, {method: "POST", body: %q, headers: {"Content-Type": "application/json", "X-Relevo-Csrf": me.csrf}})
			return res.status
		})()`, path, body))
		if status != http.StatusForbidden {
			t.Errorf("%s is answered %d", path, status)
		}
	}
	b.visit("/access")
	b.reads("main", "test-user2")
	b.do(chromedp.Click(`form[action="/logout"] button`))
	b.reads("main", "401")
	if b.session() != "" {
		t.Error("the cookie stays")
	}
	if who := s.known(t, secret); who != "" {
		t.Errorf("the old cookie is still %s's", who)
	}
	b.visit(page)
	b.reads("main", "401")
}

// TestABrowserIsNotLedAway: wherever a link to the login says that it should end,
// it ends on this server.
func TestABrowserIsNotLedAway(t *testing.T) {
	s := up(t)
	b := open(t, s)
	for _, to := range []string{"//evil.example", `/\evil.example`, "https://evil.example/", "/%2f/evil.example"} {
		query := url.Values{"to": {to}, "next": {to}, "back": {to}}.Encode()
		b.visit("/login?" + query)
		b.enter("test-user2")
		b.reads("header .me", "test-user2")
		if b.at() != s.URL+"/" {
			t.Errorf("%s led to %s", to, b.at())
		}
	}
}

// TestASessionThatSomebodyElsePlanted: who signs in gets a session of their own;
// the one that was put into the browser before is over for everybody.
func TestASessionThatSomebodyElsePlanted(t *testing.T) {
	s := up(t)
	evil := open(t, s)
	evil.visit("/login?to=/queue")
	evil.enter("test-user@localhost")
	evil.reads("header .me", "test-user@")
	planted := evil.session()
	if who := s.known(t, planted); who != developer {
		t.Fatalf("the attacker is %q", who)
	}
	b := open(t, s)
	b.do(network.SetCookie(s.cookie(), planted).WithURL(s.URL).WithPath("/").WithHTTPOnly(true).WithSameSite(network.CookieSameSiteLax))
	b.visit("/login?to=/queue")
	b.enter("test-user2")
	b.reads("header .me", "test-user2")
	if mine := b.session(); mine == planted || b.who() != viewer {
		t.Errorf("the session is the planted one (%t), of %s", mine == planted, b.who())
	}
	if who := s.known(t, planted); who != "" {
		t.Errorf("the planted session is still %s's", who)
	}
	// A made-up one is nobody's, before and after.
	b.do(network.SetCookie(s.cookie(), "made-up").WithURL(s.URL).WithPath("/").WithHTTPOnly(true).WithSameSite(network.CookieSameSiteLax))
	b.visit("/")
	b.reads("main", "401")
	if b.who() != "" {
		t.Errorf("a made-up session is %s's", b.who())
	}
}

// TestALoginThatSomebodyElseBegan: the end of an attacker's login, opened in
// another browser, signs nobody in there.
func TestALoginThatSomebodyElseBegan(t *testing.T) {
	s := up(t)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	var end string
	attacker := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), s.URL+"/login/callback") {
			end = r.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}}
	res, err := attacker.Get(s.URL + "/login")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	form := url.Values{"username": {"test-user@localhost"}, "password": {password}, "id": {res.Request.URL.Query().Get("authRequestID")}}
	if res, err = attacker.PostForm(res.Request.URL.String(), form); err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if end == "" {
		t.Fatalf("the attacker's login does not come to its end: %d at %s", res.StatusCode, res.Request.URL)
	}
	b := open(t, s)
	b.do(chromedp.Navigate(end), chromedp.WaitReady("body"))
	b.reads("body", "none of this browser's")
	if b.session() != "" {
		t.Error("the victim is signed in")
	}
	// Nor does a login of the victim's own that is under way end as the attacker's.
	b.visit("/login?to=/queue")
	b.do(chromedp.WaitVisible(`input[name=username]`), chromedp.Navigate(end), chromedp.WaitReady("body"))
	b.reads("body", "none of this browser's")
	if b.session() != "" {
		t.Error("the victim is signed in as the attacker")
	}
}
