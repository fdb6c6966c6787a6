package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

const wrongFile = "on: {workflow_dispatch: {inputs: {who: {required: true}}}}\njobs:\n  hello:\n    stepz: []\n"

const rightFile = "name: Greet\n" + "on: {workflow_dispatch: {inputs: {who: {required: true}}}}\njobs:\n  hello:\n    steps: [{run: 'echo hello ${{ inputs.who }}'}]\n"

// write puts a text into a field.
func (b *browser) write(selector, text string) {
	b.t.Helper()
	b.do(chromedp.Evaluate(fmt.Sprintf("(n => { n.value = %q; n.dispatchEvent(new Event('input', {bubbles: true})) })(document.querySelector(%q))", text, selector), nil))
}

// TestRunPage: a file that is wrong says where; a good one starts, and can be run
// with changes.
func TestRunPage(t *testing.T) {
	s := start(t, "", "127.0.0.1:0")
	b := open(t, s)
	b.allow = []string{"422 (Unprocessable Entity)"}
	b.do(chromedp.Click(`a[href="/run"]`, chromedp.NodeVisible), chromedp.WaitVisible("#source"))
	b.write("#source", wrongFile)
	b.do(chromedp.Click(".new .primary"))
	b.reads(".faults", `Line 4, column 5`)
	b.reads(".faults", `unknown key "stepz"`)
	b.reads(".gutter .wrong", "1") // the input that is missing is one of the first line's
	if text := eval[string](b, "document.querySelector('#source').value"); text != wrongFile {
		t.Errorf("the text became %q", text)
	}
	b.do(chromedp.Click(`.faults a[data-line="4"]`))
	if at := eval[string](b, "(t => t.value.slice(t.selectionStart, t.selectionEnd))(document.querySelector('#source'))"); at != "stepz: []" {
		t.Errorf("the link selects %q", at)
	}
	b.write("#source", rightFile)
	b.write("[name=inputs]", "who: Ana")
	b.write("[name=repository]", "acme/shop")
	b.do(chromedp.Click(".new .primary"))
	b.reads(".fact-state", "Succeeded")
	b.reads("h1", "Greet")
	first := eval[string](b, "location.pathname")

	b.do(chromedp.Click(`a[href^="/run?from="]`, chromedp.NodeVisible), chromedp.WaitVisible("#source"))
	for field, want := range map[string]string{"#source": rightFile, "[name=inputs]": "who: Ana\n", "[name=repository]": "acme/shop", "[name=event]": "workflow_dispatch"} {
		if got := eval[string](b, fmt.Sprintf("document.querySelector(%q).value", field)); got != want {
			t.Errorf("%s holds %q", field, got)
		}
	}
	b.write("#source", strings.Replace(rightFile, "echo hello", "echo good bye", 1))
	b.do(chromedp.Click(".new .primary"))
	b.reads(".fact-state", "Succeeded")
	again := eval[string](b, "location.pathname")
	if again == first {
		t.Error("it is the same run")
	}
	b.visit(strings.Replace(again, "/runs/", "/jobs/", 1) + ".hello")
	b.reads(".log-pane", "good bye Ana")
}

var hidden = regexp.MustCompile(`name="(once|forgery)" value="([^"]*)"`)

// TestRunOnce: the same form sent twice starts one run, a changed one another.
func TestRunOnce(t *testing.T) {
	s := start(t, "", "127.0.0.1:0")
	c := s.let()
	res, err := c.Get(s.URL + "/run")
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"file": {"a.yaml"}, "event": {"workflow_dispatch"}, "source": {"jobs: {a: {steps: [{run: echo}]}}\n"}}
	for _, m := range hidden.FindAllStringSubmatch(read(t, res), -1) {
		form.Set(m[1], m[2])
	}
	send := func() string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/run", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", s.URL)
		res, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		read(t, res)
		if !strings.HasPrefix(res.Request.URL.Path, "/runs/") {
			t.Fatalf("%s: %d", res.Request.URL, res.StatusCode)
		}
		return res.Request.URL.Path
	}
	first, twice := send(), send()
	form.Set("source", "jobs: {b: {steps: [{run: echo}]}}\n")
	if changed := send(); first != twice || changed == first {
		t.Errorf("%s, %s, and changed %s", first, twice, changed)
	}
}
