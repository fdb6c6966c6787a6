package console_test

import (
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

const talks = `name: Talk
jobs:
  talk:
    steps:
      - name: Speak
        run: |
          printf '\033[31mred\033[0m and \033[1;32mgreen\033[0m\n'
          echo "::group::Quiet part"
          for i in $(seq 1 200); do echo "whisper $i"; done
          echo "::endgroup::"
          for i in $(seq 1 300); do echo "line $i of it"; done
          echo "the needle is here"
`

// TestLog finds a line, links to it, and folds what is long.
func TestLog(t *testing.T) {
	s := start(t, "", "127.0.0.1:0")
	run := s.submit(talks, push)
	s.ended(run)
	b := open(t, s)
	b.visit("/jobs/" + run + ".talk")
	b.reads(".log-pane", "red and green")
	if c := eval[string](b, "[...document.querySelectorAll('.log-pane .tx span')].map(n => n.className + ':' + n.textContent).join()"); !strings.Contains(c, "f2:red") || !strings.Contains(c, "f3 bold:green") {
		t.Errorf("the colours are %s", c)
	}
	b.reads(".log-pane", "Quiet part 201 lines")
	if strings.Contains(b.text(".log-pane"), "whisper 5 ") {
		t.Error("a group that is whole is not folded")
	}
	// A key that is sent by hand is typed as well, though the page took it.
	b.do(chromedp.KeyEvent("/"), chromedp.Evaluate("document.activeElement.value = String()", nil), chromedp.KeyEvent("NEEDLE"))
	b.reads(".finds", "1 of 1")
	b.reads(".ln.here", "the needle is here")
	n := eval[string](b, "document.querySelector('.ln.here').id")
	b.do(chromedp.Click(".ln.here .no"))
	if hash := eval[string](b, "location.hash"); hash != "#"+n {
		t.Errorf("the link is %s, the line %s", hash, n)
	}
	b.visit("/queue")
	b.visit("/jobs/" + run + ".talk#" + n)
	b.reads(".ln.picked", "the needle is here")
	b.visit("/queue")
	b.visit("/jobs/" + run + ".talk#L7-L9")
	b.reads(".log-pane", "whisper 5") // in a group that is folded otherwise
	if n := eval[int](b, "document.querySelectorAll('.ln.picked').length"); n != 3 {
		t.Errorf("%d lines are picked", n)
	}
}

const million = `name: Long
jobs:
  talk: {steps: [{run: "seq -f 'line %.0f of a log that goes on and on' 1000000; echo the very end"}]}
`

// TestMillionLines: the longest log opens, scrolls and is searched with a few
// nodes.
func TestMillionLines(t *testing.T) {
	s := start(t, "", "127.0.0.1:0")
	run := s.submit(million, push)
	s.ended(run)
	b := open(t, s)
	b.visit("/jobs/" + run + ".talk")
	b.reads(".log-size", "1,000,00")
	b.reads(".log-pane", "line 3 of a log")
	few := func() {
		t.Helper()
		if n := eval[int](b, "document.querySelectorAll('*').length"); n > 1500 {
			t.Errorf("%d nodes", n)
		}
	}
	few()
	b.do(chromedp.Click("[data-end]"))
	b.reads(".log-pane", "the very end")
	few()
	b.do(chromedp.SendKeys("#find", "line 765432 of"))
	b.reads(".finds", "1 of 1")
	b.reads(".ln.here", "line 765432 of a log")
	few()
	b.do(chromedp.Evaluate("document.querySelector('.log-view').scrollTop = 0", nil))
	b.reads(".log-pane", "line 3 of a log")
	// Dragged to the middle, and then by the pixel.
	b.do(chromedp.Evaluate("(v => v.scrollTop = (v.scrollHeight - v.clientHeight) / 2)(document.querySelector('.log-view'))", nil))
	b.reads(".log-pane", "line 50")
	was := eval[int](b, "+document.querySelector('.log-pane .ln .no').textContent")
	b.do(chromedp.Evaluate("document.querySelector('.log-view').scrollTop += 400", nil))
	until(t, "twenty lines on", func() bool {
		now := eval[int](b, "+document.querySelector('.log-pane .ln .no').textContent")
		return now-was >= 18 && now-was <= 22
	})
	few()
	b.visit("/queue")
	b.visit("/jobs/" + run + ".talk#L999999")
	b.reads(".ln.picked", "line 999998 of a log")
}
