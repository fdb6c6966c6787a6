package oidc_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/relevo-ci/relevo/shared/client"
)

// browser is a tab of somebody's. It fails the test where it is led to another
// host than the server's and the provider's.
type browser struct {
	t      *testing.T
	ctx    context.Context
	server *server

	mu    sync.Mutex
	asked []string // of other hosts
}

func open(t *testing.T, s *server) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.WindowSize(1280, 900), chromedp.Flag("lang", "en-GB"))
	alloc, cancel := chromedp.NewExecAllocator(context.Background(), options...) //nolint:usetesting // it ends with the clean-up, which still asks it
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(alloc, chromedp.WithErrorf(func(string, ...any) {}))
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx, server: s}
	chromedp.ListenTarget(ctx, func(event any) {
		e, ok := event.(*network.EventRequestWillBeSent)
		if !ok {
			return
		}
		u, err := url.Parse(e.Request.URL)
		if err == nil && (u.Scheme != "http" && u.Scheme != "https" || u.Host == s.host || "http://"+u.Host == s.provider.URL) {
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.asked = append(b.asked, e.Request.URL)
	})
	if err := chromedp.Run(ctx, network.Enable()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.asked) > 0 {
			t.Errorf("led to %q", b.asked)
		}
	})
	return b
}

// do does all of it within a minute.
func (b *browser) do(actions ...chromedp.Action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		b.t.Fatalf("browser: %v, at %s\n%s", err, b.at(), b.text("body"))
	}
}

// eval gives what an expression is.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	var v T
	b.do(chromedp.Evaluate(expression, &v, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	return v
}

func (b *browser) visit(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.server.URL+path), chromedp.WaitReady("body"))
}

// at is where the browser is.
func (b *browser) at() string {
	var s string
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	_ = chromedp.Run(ctx, chromedp.Location(&s))
	return s
}

// text is what people read of the first that fits a selector.
func (b *browser) text(selector string) string {
	var s string
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	if chromedp.Run(ctx, chromedp.Evaluate(fmt.Sprintf("(document.querySelector(%q)||{innerText:''}).innerText", selector), &s)) != nil {
		return ""
	}
	return strings.Join(strings.Fields(s), " ")
}

// reads waits until what fits a selector says something.
func (b *browser) reads(selector, want string) {
	b.t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(b.text(selector), want) {
		select {
		case <-deadline.C:
			b.t.Fatalf("at %s %s does not say %q but %.300q", b.at(), selector, want, b.text("body"))
		case <-tick.C:
		}
	}
}

// enter is what a person does at the provider's page.
func (b *browser) enter(name string) {
	b.t.Helper()
	b.do(chromedp.WaitVisible(`input[name=username]`))
	if at := b.at(); !strings.HasPrefix(at, b.server.provider.URL+"/") {
		b.t.Fatalf("asked for a password at %s", at)
	}
	b.do(
		chromedp.SendKeys(`input[name=username]`, name), chromedp.SendKeys(`input[name=password]`, password),
		chromedp.Click(`button[type=submit], input[type=submit]`), chromedp.WaitNotPresent(`input[name=username]`),
	)
}

// session is the cookie of the server's session; empty: there is none.
func (b *browser) session() string {
	b.t.Helper()
	var value string
	b.do(chromedp.ActionFunc(func(ctx context.Context) error {
		cookies, err := network.GetCookies().WithURLs([]string{b.server.URL}).Do(ctx)
		for _, c := range cookies {
			if c.Name == b.server.cookie() {
				value = c.Value
				if !c.HTTPOnly || c.SameSite != network.CookieSameSiteLax {
					b.t.Errorf("a cookie that scripts or other sites may use: %+v", c)
				}
			}
		}
		return err
	}))
	return value
}

// cookie is the name of the session's.
func (s *server) cookie() string { return "relevo-" + s.host[strings.LastIndex(s.host, ":")+1:] }

// known is who a cookie is believed to be, without the browser; empty: nobody.
func (s *server) known(t *testing.T, session string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/v1/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: s.cookie(), Value: session})
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusUnauthorized {
		return ""
	}
	var me client.Me
	if err := json.NewDecoder(res.Body).Decode(&me); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%d, %v", res.StatusCode, err)
	}
	return me.Name
}

// who is who the browser is believed to be.
func (b *browser) who() string {
	b.t.Helper()
	return b.server.known(b.t, b.session())
}
