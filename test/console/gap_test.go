package console_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

const longer = `name: Long
jobs:
  talk: {steps: [{run: "seq -f 'line %06.0f of a log that will have a hole in it' 60000; echo the very end"}]}
`

// TestLogWithAGap: a chunk of a log is lost. The page says how much and where, and what
// is there is found, and linked to, under the numbers that it always had.
func TestLogWithAGap(t *testing.T) {
	s := start(t, "", "127.0.0.1:0")
	run := s.submit(longer, push)
	s.ended(run)
	var chunks []string
	until(t, "the log is in the archive", func() bool {
		var err error
		if chunks, err = filepath.Glob(filepath.Join(s.dir, "archive", "logs", run, "*", "0000000001048576")); err != nil {
			t.Fatal(err)
		}
		manifests, err := filepath.Glob(filepath.Join(s.dir, "archive", "logs", run, "*", "manifest.json"))
		return err == nil && len(chunks) == 1 && len(manifests) == 1
	})
	if err := os.Remove(chunks[0]); err != nil {
		t.Fatal(err)
	}
	until(t, "the loss is known", func() bool {
		x, err := s.LogIndex(t.Context(), run+".talk", 1)
		return err == nil && len(x.Gaps) == 1
	})
	b := open(t, s)
	b.visit("/jobs/" + run + ".talk")
	b.reads(".log-lost", "1.0 MiB at line")
	b.reads(".log-size", "60,002")
	b.do(chromedp.Click(".log-lost a"))
	b.reads(".log-pane .k-gap", "1.0 MiB of this log is missing: bytes 1048576 to 2097152")
	// The first line is the step's heading: each other's number is one more than it says.
	for _, n := range []int{50_000, 45_000} {
		b.do(chromedp.Evaluate("document.querySelector('#find').value = ''", nil), chromedp.SendKeys("#find", fmt.Sprintf("line %06d of", n)))
		b.reads(".finds", "1 of 1")
		b.reads(".ln.here", fmt.Sprintf("line %06d of", n))
		if id := eval[string](b, "document.querySelector('.ln.here').id"); id != fmt.Sprintf("L%d", n+1) {
			t.Errorf("line %d is found as %s", n, id)
		}
	}
	b.visit("/queue")
	b.visit(fmt.Sprintf("/jobs/%s.talk#L%d", run, 55_001))
	b.reads(".ln.picked", "line 055000 of")
	b.visit("/queue")
	b.visit("/jobs/" + run + ".talk#L30000") // it is lost
	until(t, "a lost line stands there empty", func() bool {
		return eval[bool](b, "!!document.querySelector('.ln.picked.k-lost')")
	})
	// The first lines behind the gap as well.
	const near = 42_500
	after := eval[string](b, fmt.Sprintf("fetch('/jobs/%s.talk/log/lines?from=%d&count=1000').then(r => r.json()).then(l => { const i = l.findIndex(x => typeof x === 'string' && x.startsWith('line ')); return (%d + i) + ' ' + l[i] })", run, near, near))
	number, says, _ := strings.Cut(after, " ")
	if n := atoi(t, number); n == near || !strings.HasPrefix(says, "line ") || !strings.Contains(says, fmt.Sprintf("line %06d", n-1)) {
		t.Errorf("behind the gap stands %s", after)
	}
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	var n int
	if _, err := fmt.Sscan(s, &n); err != nil {
		t.Fatal(err)
	}
	return n
}
