package cli

import (
	"fmt"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/events"
)

func TestAnnotation(t *testing.T) {
	for want, a := range map[string]events.Annotation{
		"error: m":                          {Level: "error", Message: "m"},
		"a.go: notice: m":                   {Level: "notice", Message: "m", File: "a.go", Column: 4},
		"a.go:3: warning: title: m":         {Level: "warning", Message: "m", Title: "title", File: "a.go", Line: 3},
		"a.go:3:5: error: of several lines": {Level: "error", Message: "of\nseveral\tlines", File: "a.go", Line: 3, Column: 5, EndLine: 9},
	} {
		if got := Annotation(a); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := Annotation(events.Annotation{Level: "error", Message: "a\x1b[2Jb", File: "\x1b]0;x\a"}); strings.ContainsAny(got, "\x1b\a") {
		t.Errorf("%q is not harmless", got)
	}
}

func TestSummaryShowsAnnotations(t *testing.T) {
	s := Summary{Run: "01J", Verdict: events.Failed, Jobs: []JobSummary{{Name: "build", Result: "failed"}, {Name: "quiet", Result: "succeeded"}}}
	for i := range mostShown + 2 {
		s.Jobs[0].Annotations = append(s.Jobs[0].Annotations, events.Annotation{Level: "error", Message: fmt.Sprint("number ", i), File: "a.go", Line: i + 1})
	}
	text := s.text(0)
	for _, want := range []string{"\nbuild: a.go:1: error: number 0\n", "\nbuild: a.go:20: error: number 19\nbuild: and 2 more\n\nrun 01J"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
