package console_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

const stepping = `name: Slow
jobs:
  first:
    steps:
      - {name: Look about, run: "true"}
      - {name: Wait for it, run: "until test -e %s; do sleep 0.1; done"}
  second: {needs: first, steps: [{name: Break, run: exit 3}]}
`

// TestWaterfall: a run's bars grow as it goes on, and say what took the time.
func TestWaterfall(t *testing.T) {
	s := start(t, "", "127.0.0.1:0")
	gate := t.TempDir() + "/gate"
	run := s.submit(fmt.Sprintf(stepping, gate), push)
	b := open(t, s)
	b.visit("/runs/" + run)
	b.do(chromedp.Click(`.tabs a[href$="view=waterfall"]`, chromedp.NodeVisible), chromedp.WaitVisible(".falls"))
	b.stay()
	b.reads("#fall-second", "Waiting")
	b.do(chromedp.Click("#fall-first summary"))
	b.reads("#fall-first", "Attempt 1")
	b.reads("#fall-first", "Look about")  // of a job that is not over
	b.reads("#fall-first", "Wait for it") // nor is the step
	if n := eval[int](b, "document.querySelectorAll('#fall-first li [data-since]').length"); n != 2 {
		t.Errorf("%d rows of the job go on, not the attempt and its step", n)
	}
	touch(t, gate)
	b.reads("#fall-second", "exited with 3") // what failed is open
	b.reads(".fact-state", "Failed")
	b.reads("#fall-first", "Wait for it") // and what people opened stays so
	b.reads(".parts", "Running steps")
	b.reads(".parts", "first → second")
	b.stayed()
	if c := eval[string](b, "[...document.querySelectorAll('#fall-second > summary rect')].map(r => r.className.baseVal).join()"); c != "b-wait,c-bad,b-start" {
		t.Errorf("the bars of what failed are %s", c)
	}
	// In words too, for who does not see the bars.
	if says := eval[string](b, "document.querySelector('#fall-second li:last-child').textContent"); !strings.Contains(says, "Failed: starts after") {
		t.Errorf("the step says %q", words(says))
	}
}

const matrix = `name: Wide
jobs:
  wide:
    strategy: {matrix: {a: [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15], b: [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]}}
    steps: [{run: "until test -e %s; do sleep 0.1; done"}]
`

// TestWideWaterfall: a matrix of 256 jobs is one row until somebody opens it, and
// does not make the page long to load.
func TestWideWaterfall(t *testing.T) {
	s := start(t, "", "127.0.0.1:0")
	run := s.submit(fmt.Sprintf(matrix, t.TempDir()+"/gate"), push)
	b := open(t, s)
	b.visit("/runs/" + run + "?view=waterfall")
	b.reads("#falls-wide", "of 256 done")
	if open := eval[bool](b, "document.querySelector('#falls-wide').open"); open {
		t.Error("it is not folded")
	}
	if n := eval[int](b, "document.querySelectorAll('#falls-wide .fall').length"); n != 256 {
		t.Errorf("%d jobs", n)
	}
	if n := eval[int](b, "document.querySelectorAll('*').length"); n > 12_000 {
		t.Errorf("%d nodes", n)
	}
	b.do(chromedp.Focus("#falls-wide > summary"), chromedp.KeyEvent("\r"))
	b.reads("#falls-wide", "wide")
	if !eval[bool](b, "document.querySelector('#falls-wide').open") {
		t.Error("the keyboard does not open it")
	}
	if _, err := s.CancelRun(t.Context(), run, "seen"); err != nil {
		t.Fatal(err)
	}
	b.reads(".fact-state", "Cancelled")
}
