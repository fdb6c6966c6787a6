package console_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

func read(t *testing.T, res *http.Response) string {
	t.Helper()
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// stay marks the page: a page that was loaded again has no mark.
func (b *browser) stay() { b.do(chromedp.Evaluate("window.stays = true", nil)) }

func (b *browser) stayed() {
	b.t.Helper()
	if !eval[bool](b, "window.stays === true") {
		b.t.Error("the page was loaded again")
	}
}

const waits = `name: Slow
jobs:
  first: {steps: [{run: "until test -e %s; do sleep 0.1; done; echo through"}]}
  second: {needs: first, steps: [{run: echo done}]}
`

// TestLive: a run shows up, goes on and ends in front of people's eyes, over a
// restart of the server as well.
func TestLive(t *testing.T) {
	s := start(t, "", "127.0.0.1:0")
	gate := t.TempDir() + "/gate"
	b := open(t, s)
	b.reads("main", "No runs yet")
	b.stay()
	run := s.submit(fmt.Sprintf(waits, gate), push)
	b.reads(".runs", "Slow")
	b.reads(".runs", "Running")
	b.stayed()

	b.visit("/runs/" + run)
	b.stay()
	b.reads("#job-first", "Running")
	b.reads("#job-second", "Needs first")
	address := strings.TrimPrefix(s.URL, "http://")
	s.stop()
	b.allow = []string{"ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE", "Failed to load resource", "htmx:sendError", "htmx:responseError"}
	start(t, s.dir, address)
	touch(t, gate)
	b.reads(".fact-state", "Succeeded")
	b.reads("#job-second", "Succeeded")
	b.stayed()
}

// press follows a link of the page and answers what it asks.
func (b *browser) press(link, reason, button string) {
	b.t.Helper()
	b.do(chromedp.Click(link, chromedp.NodeVisible), chromedp.WaitVisible("dialog[open] .ask-form"))
	if reason != "" {
		b.do(chromedp.SendKeys("dialog #reason", reason))
	}
	b.do(chromedp.Click(button, chromedp.NodeVisible))
}

const asks = `name: Ask
jobs:
  gate: {name: Go on?, await: {approval: true, timeout: 600}}
  after: {needs: gate, steps: [{run: exit 1}]}
`

// TestActions approves, runs again, refuses and cancels.
func TestActions(t *testing.T) {
	s := start(t, "", "127.0.0.1:0")
	b := open(t, s)
	run := s.submit(asks, push)
	b.visit("/runs/" + run)
	b.reads(".callout", "waiting for approval")
	b.press(`.callout a[href$="/approve"]`, "fine by me", "dialog .primary")
	b.reads(".fact-state", "Failed") // what comes after it fails
	b.reads("#job-gate", "Succeeded")

	b.press(`a[href$="/retry"]`, "", "dialog .primary")
	until(t, "the page of the new run", func() bool {
		at := eval[string](b, "location.pathname")
		return strings.HasPrefix(at, "/runs/") && at != "/runs/"+run
	})
	b.reads(".callout", "waiting for approval")
	b.press(`.callout a[href$="/refuse"]`, "not now", "dialog .danger.primary")
	b.reads(".fact-state", "Failed")

	gate := t.TempDir() + "/gate"
	run = s.submit(fmt.Sprintf(waits, gate), push)
	b.visit("/runs/" + run)
	b.reads("#job-first", "Running")
	b.press(`a[href="/runs/`+run+`/cancel"]`, "changed my mind", "dialog .danger.primary")
	b.reads(".fact-state", "Cancelled")
	if r := s.ended(run); r.State != "CANCELLED" || !strings.Contains(r.Reason, "changed my mind") {
		t.Errorf("the run is %s: %s", r.State, r.Reason)
	}
	b.visit("/access")
	b.reads("main", "Cancel pipeline")
}

const halves = `name: Halves
jobs:
  build: {outputs: {v: "${{ steps.x.outputs.v }}"}, steps: [{id: x, run: 'echo compiled; echo v=1.2 >> $RELEVO_OUTPUT; echo built >> %[1]s.built'}]}
  test: {needs: build, steps: [{run: 'test -e %[1]s'}]}
  ship: {needs: [build, test], steps: [{run: 'echo shipped ${{ needs.build.outputs.v }}'}]}
`

// TestRetryFailed: of a run that failed only what failed runs again; the rest is
// shown as what it is, and leads to the log of where it ran.
func TestRetryFailed(t *testing.T) {
	s := start(t, "", "127.0.0.1:0")
	b := open(t, s)
	gate := t.TempDir() + "/gate"
	run := s.submit(fmt.Sprintf(halves, gate), push)
	b.visit("/runs/" + run)
	b.reads(".fact-state", "Failed")
	touch(t, gate)
	b.press(`a[href$="/retry-failed"]`, "", "dialog .primary")
	until(t, "the page of the new run", func() bool {
		at := eval[string](b, "location.pathname")
		return strings.HasPrefix(at, "/runs/") && at != "/runs/"+run
	})
	b.reads(".fact-state", "Succeeded")
	b.reads("#job-build", "Succeeded")
	b.reads("#job-build", "arried over from run "+run) // as a sentence
	b.reads("#job-test", "Succeeded")
	next := s.ended(strings.TrimPrefix(eval[string](b, "location.pathname"), "/runs/"))
	if j := next.Jobs; j[0].CarriedFrom != run+".build" || len(j[0].Attempts) != 0 || len(j[1].Attempts) != 1 || len(j[2].Attempts) != 1 {
		t.Errorf("its jobs: %+v", j)
	}
	if n := eval[int](b, `document.querySelectorAll("a[href$='/retry-failed']").length`); n != 0 {
		t.Error("nothing failed, and that is offered to run again")
	}
	if built, err := os.ReadFile(gate + ".built"); err != nil || string(built) != "built\n" {
		t.Errorf("built %q, %v", built, err)
	}
	b.visit("/runs/" + next.ID + "?view=waterfall")
	b.reads("#fall-build", "Succeeded")
	b.visit("/runs/" + next.ID)
	b.do(chromedp.Click("#job-build a.cover", chromedp.NodeVisible), chromedp.WaitVisible("#log"))
	b.reads("#log", "compiled")
	if at := eval[string](b, "location.pathname"); at != "/jobs/"+run+".build" {
		t.Errorf("the log is shown at %s", at)
	}
}

// TestForged: what pages of other origins send, or pages without the proof of
// this session, changes nothing.
func TestForged(t *testing.T) {
	s := start(t, "", "127.0.0.1:0")
	run := s.submit(asks, push)
	c := s.let()
	for _, site := range []string{"cross-site", "same-site", "same-origin"} { // the last lacks the proof
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/runs/"+run+"/cancel", strings.NewReader("reason=x"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", site)
		res, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if read(t, res); res.StatusCode != http.StatusForbidden {
			t.Errorf("from %s: %d", site, res.StatusCode)
		}
	}
	if r, err := s.Run(t.Context(), run); err != nil || r.Final() {
		t.Errorf("the run is %s, %v", r.State, err)
	}
}

// keys are pressed once the page's scripts are there to hear them.
func (b *browser) keys(actions ...chromedp.Action) {
	b.t.Helper()
	until(b.t, "the whole page", func() bool { return eval[bool](b, "document.readyState === 'complete'") })
	b.do(actions...)
}

// TestKeyboard goes about without a mouse.
func TestKeyboard(t *testing.T) {
	s := start(t, "", "127.0.0.1:0")
	s.ended(s.submit("name: One\njobs: {a: {steps: [{run: echo}]}}\n", push))
	b := open(t, s)
	b.reads(".runs", "One")
	b.keys(chromedp.KeyEvent("gq"))
	b.reads("h1", "Queue")
	b.keys(chromedp.KeyEvent("gr"))
	b.reads(".runs", "One")
	b.keys(chromedp.KeyEvent("/"), chromedp.KeyEvent("nothing like it\r"))
	b.reads("main", "No matching runs")
	b.keys(chromedp.KeyEvent("?"), chromedp.WaitVisible("#help[open]"))
	b.visit("/")
	b.keys(chromedp.KeyEvent("j"), chromedp.KeyEvent("\r"))
	b.reads("h1", "One")
	b.keys(chromedp.KeyEvent("u"))
	b.reads("h1", "Runs")
}
