package console_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestPages looks at each page of one scene: what there is to read, how it looks, and
// whether everybody can use it.
func TestPages(t *testing.T) {
	s := stage(t)
	t.Run("ReadsWithoutScripts", func(t *testing.T) { readsWithoutScripts(t, s) }) // while there is a queue
	t.Run("Accessible", func(t *testing.T) { accessible(t, s) })
	t.Run("Screens", func(t *testing.T) { screens(t, s) })
}

// accessible holds each page, in dark and light, against axe-core: no fault that is
// serious or worse.
func accessible(t *testing.T, s scene) {
	t.Helper()
	axe, err := os.ReadFile(filepath.Join("testdata", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatalf("%v: run test/setup", err)
	}
	b := open(t, s.server)
	b.allow = []string{"404 (Not Found)"}
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 360} {
			b.dress(width, 900, scheme)
			for name, path := range s.pages() {
				b.visit(path)
				if name == "log" {
					b.reads(".log-pane", "compile package")
				}
				b.do(chromedp.Evaluate(string(axe), nil))
				if n := eval[int](b, "axe.run(document).then(r => r.passes.length)"); n < 10 {
					t.Fatalf("%s: axe-core looked at %d rules only", name, n)
				}
				found := eval[[]string](b, `axe.run(document, {resultTypes: ['violations']}).then(r => r.violations
					.filter(v => v.impact === 'serious' || v.impact === 'critical')
					.map(v => v.impact + ' ' + v.id + ': ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 160) + ' ' + n.any.map(a => a.message).join('; ').slice(0, 200)).join(' | ')))`)
				for _, f := range found {
					t.Errorf("%s, %s, %d wide: %s", name, scheme, width, f)
				}
			}
		}
	}
}

// TestStranger sees nothing, and is told what to do.
func TestStranger(t *testing.T) {
	s := start(t, "", "127.0.0.1:0")
	b := blank(t, s)
	b.allow = []string{"401 (Unauthorized)"}
	b.visit("/")
	b.reads("main", "relevo login")
}

// TestSignOut ends the session: what follows asks who one is, and the link that let one
// in does not do so again. Each is a page that says what to do.
func TestSignOut(t *testing.T) {
	s := start(t, "", "127.0.0.1:0")
	link := s.link
	b := open(t, s)
	b.allow = []string{"401 (Unauthorized)", "403 (Forbidden)"}
	b.visit("/access")
	b.do(chromedp.Click(`form[action="/logout"] button`, chromedp.NodeVisible))
	b.reads("h1", "Sign in to continue")
	if n := eval[int](b, `document.querySelectorAll('main a[href^="/login"]').length`); n > 0 {
		t.Error("it leads to a login that is not there")
	}
	b.do(chromedp.Navigate(link), chromedp.WaitVisible("h1"))
	b.reads("main", "The link was used already")
	b.reads("main", "it works once")
}

// readsWithoutScripts: what there is to read stands in the pages themselves.
func readsWithoutScripts(t *testing.T, s scene) {
	t.Helper()
	c := s.let()
	for path, want := range map[string]string{
		"/": "Release", "/runs/" + s.run: "Go live?", "/jobs/" + s.run + ".build": "compile package", "/queue": "queued",
		"/capacity": "local", "/events": "job.completed", "/triggers": "com.example.ticket.closed", "/access": "admin",
		"/runs/" + s.run + "?view=waterfall": "Waiting for capacity", "/run": "Run pipeline", "/jobs/" + s.run + ".approve/approve": "Approve job “Go live?”?", "/capacity?last=6h": "As of", "/?branch=main": "Branch: main",
	} {
		res, err := c.Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		raw := read(t, res)
		if res.StatusCode != http.StatusOK || !strings.Contains(raw, want) {
			t.Errorf("%s: %d, and %q is not there", path, res.StatusCode, want)
		}
		if strings.Contains(raw, "<script>") || strings.Contains(raw, " style=") || strings.Contains(raw, " onclick") {
			t.Errorf("%s has something inline", path)
		}
		csp := res.Header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(csp, part) {
				t.Errorf("%s: the policy lacks %s: %s", path, part, csp)
			}
		}
	}
}

// tricks are names that have broken other pages.
var tricks = []string{
	`<script>document.title='owned'</script>`,
	`"><img src=x onerror="document.title='owned'">`,
	`{{constructor.constructor('document.title="owned"')()}}`,
	`'; DROP TABLE runs; --`,
	"\u202egnissap\u202c",
	"Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324\u031e\u0349\u035aalgo",
	strings.Repeat("W", 400),
	"javascript:document.title='owned'",
}

// TestInert: names and logs of others are text, whatever they hold.
func TestInert(t *testing.T) {
	s := start(t, "", "127.0.0.1:0")
	var jobs, echo strings.Builder
	for i, trick := range tricks {
		fmt.Fprintf(&jobs, "  j%d:\n    name: %q\n    steps: [{name: %q, run: 'true'}]\n", i, trick, trick)
		fmt.Fprintf(&echo, "          %s\n", trick)
	}
	source := fmt.Sprintf("name: %q\njobs:\n%s  say:\n    steps:\n      - run: |\n          cat <<'END'\n%s          END\n"+
		"          printf '\\033]0;owned\\007\\033[2J\\033[31m<b>red</b>\\033[0m\\033]8;;javascript:alert(1)\\007link\\033]8;;\\007\\000nul\\n'\n"+
		"          printf '::group::<img src=x onerror=document.title=1>\\n::error file=<i>::<script>document.title=1</script>\\n'\n", tricks[0], jobs.String(), echo.String())
	of := push
	of.Actor, of.Ref, of.Repository = tricks[1], "refs/heads/"+tricks[0], "acme/"+tricks[1]
	run := s.submit(source, of)
	s.ended(run)
	b := open(t, s)
	for _, width := range []int64{1280, 360} {
		b.dress(width, 900, "light")
		for _, path := range []string{"/", "/?q=" + "%3Cscript%3Edocument.title%3D1%3C/script%3E", "/runs/" + run, "/jobs/" + run + ".say", "/jobs/" + run + ".j0", "/events?run=" + run, "/jobs/" + run + ".j1/cancel", "/access"} {
			b.visit(path)
			if strings.HasSuffix(path, ".say") {
				b.reads(".log-pane", "DROP TABLE")
				b.reads(".log-pane", "<b>red</b>")
			}
			if title := eval[string](b, "document.title"); strings.HasPrefix(title, "owned") || title == "1" {
				t.Errorf("%s: a script of others ran: %s", path, title)
			}
			if n := eval[int](b, "document.querySelectorAll('main script, main img, main b > script, [onerror], a[href^=\"javascript:\"]').length"); n > 0 {
				t.Errorf("%s: %d things were made of text", path, n)
			}
			if wide := eval[int64](b, "document.documentElement.scrollWidth"); wide > width {
				t.Errorf("%s is %d wide in a window of %d", path, wide, width)
			}
			if text := eval[string](b, "document.body.innerText"); strings.ContainsRune(text, '\u202e') {
				t.Errorf("%s: text is turned round", path)
			}
		}
	}
}
