package console_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is a tab that is looked over the shoulder: it must ask no other host,
// and nothing may break the page's policy or fail in its scripts.
type browser struct {
	t      *testing.T
	ctx    context.Context
	server *server

	mu     sync.Mutex
	faults []string
	allow  []string // parts of what may be said all the same
}

// open starts a browser that was let in.
func open(t *testing.T, s *server) *browser {
	t.Helper()
	b := blank(t, s)
	b.do(chromedp.Navigate(s.entry()), chromedp.WaitVisible("h1"))
	return b
}

// blank starts a browser that nobody knows.
func blank(t *testing.T, s *server) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.WindowSize(1280, 900), chromedp.Flag("hide-scrollbars", true), chromedp.Flag("lang", "en-GB"))
	alloc, cancel := chromedp.NewExecAllocator(context.Background(), options...) //nolint:usetesting // it ends with the clean-up, which still asks it
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(alloc, chromedp.WithErrorf(func(string, ...any) {}))
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx, server: s}
	chromedp.ListenTarget(ctx, b.hear)
	b.do(network.Enable(), log.Enable(), runtime.Enable())
	t.Cleanup(b.clean)
	return b
}

// hear notes what must not be.
func (b *browser) hear(event any) {
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(e.Request.URL)
		if err != nil || (u.Scheme == "http" || u.Scheme == "https") && !strings.HasPrefix(e.Request.URL, b.server.URL+"/") {
			b.fault("asked another host: " + e.Request.URL)
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.LevelError || strings.Contains(e.Entry.Text, "Content Security Policy") {
			b.fault(fmt.Sprintf("the console says: %s (%s)", e.Entry.Text, e.Entry.URL))
		}
	case *runtime.EventExceptionThrown:
		b.fault("a script failed: " + e.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError {
			var parts []string
			for _, a := range e.Args {
				parts = append(parts, string(a.Value)+a.Description)
			}
			b.fault("a script complains: " + strings.Join(parts, " "))
		}
	}
}

func (b *browser) fault(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, text)
}

// clean fails the test for what was noted.
func (b *browser) clean() {
	b.mu.Lock()
	defer b.mu.Unlock()
next:
	for _, f := range b.faults {
		for _, a := range b.allow {
			if strings.Contains(f, a) {
				continue next
			}
		}
		b.t.Error(f)
	}
}

// do does all of it within a minute.
func (b *browser) do(actions ...chromedp.Action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	if chromedp.FromContext(b.ctx).Target == nil { // the first one starts the browser, which lives on
		ctx = b.ctx
	}
	if err := chromedp.Run(ctx, actions...); err != nil {
		b.t.Fatalf("browser: %v\n%s", err, b.text("body"))
	}
}

// visit opens a page of the console.
func (b *browser) visit(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.server.URL+path), chromedp.WaitReady("main"))
}

// eval gives what an expression is.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	var v T
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	if err := chromedp.Run(ctx, chromedp.Evaluate(expression, &v, func(p *runtime.EvaluateParams) *runtime.EvaluateParams {
		return p.WithAwaitPromise(true)
	})); err != nil {
		b.t.Fatalf("evaluate %.80s: %v", expression, err)
	}
	return v
}

// text is what people read of the first that fits a selector.
func (b *browser) text(selector string) string {
	var s string
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	if chromedp.Run(ctx, chromedp.Evaluate(fmt.Sprintf("(document.querySelector(%q)||{innerText:''}).innerText", selector), &s)) != nil {
		return ""
	}
	return words(s)
}

// reads waits until what fits a selector says something.
func (b *browser) reads(selector, want string) {
	b.t.Helper()
	defer func() {
		if b.t.Failed() {
			b.t.Logf("%s says %.300q", selector, b.text(selector))
		}
	}()
	until(b.t, fmt.Sprintf("%s says %q", selector, want), func() bool { return strings.Contains(b.text(selector), want) })
}

// dress sets the size of the window, and dark or light.
func (b *browser) dress(width, height int64, scheme string) {
	b.t.Helper()
	b.do(
		emulation.SetDeviceMetricsOverride(width, height, 1, width < 600),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}),
	)
}
