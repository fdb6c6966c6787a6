package command

import (
	"reflect"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/events"
)

func TestParseAnnotation(t *testing.T) {
	for line, want := range map[string]events.Annotation{
		"::error::plain":                  {Level: "error", Message: "plain"},
		" \t::warning file=a.go::x\r\n":   {Level: "warning", File: "a.go", Message: "x"},
		"::notice file=a,line=3,col=5::x": {Level: "notice", File: "a", Line: 3, Column: 5, Message: "x"},
		"::error file=a b.js,line=1,endLine=2,col=5,endColumn=7,title=T::m::n": {
			Level: "error", File: "a b.js", Line: 1, EndLine: 2, Column: 5, EndColumn: 7, Title: "T", Message: "m::n",
		},
		"::error file=C%3A/x%2Cy,title=a%25b,other=1, line=4::one%0Atwo %253A": {Level: "error", File: "C:/x,y", Title: "a%b", Line: 4, Message: "one\ntwo %3A"},
		"::error line=x,col=-1::m": {Level: "error", Column: -1, Message: "m"},
		"::error ::m":              {Level: "error", Message: "m"},
	} {
		if got, ok := ParseAnnotation([]byte(line)); !ok || got != want {
			t.Errorf("%q: %+v, %v, want %+v", line, got, ok, want)
		}
	}
	for _, none := range []string{"error: x", "::error", "::debug::x", "::errors::x", "x ::error::y", "::::x", "", "::group::error"} {
		if got, ok := ParseAnnotation([]byte(none)); ok {
			t.Errorf("%q: %+v", none, got)
		}
	}
}

func FuzzParseAnnotation(f *testing.F) {
	f.Add([]byte("::error file=a,line=1,title=%2C::m"))
	f.Add([]byte("::notice =,,=%::"))
	f.Fuzz(func(t *testing.T, line []byte) {
		a, ok := ParseAnnotation(line)
		if ok && len(a.Message)+len(a.Title)+len(a.File) > len(line) {
			t.Errorf("%q grew to %+v", line, a)
		}
		if !ok && a != (events.Annotation{}) {
			t.Errorf("%q: %+v", line, a)
		}
	})
}

func TestWithin(t *testing.T) {
	for _, c := range [][3]string{
		{"/w", "/w/a/b.go", "a/b.go"},
		{"/w", "a.go", "a.go"},
		{"/w", "/etc/x", "/etc/x"},
		{"/w", "/wide/x", "/wide/x"},
		{"", "/x", "/x"},
	} {
		if got := Within(c[0], c[1]); got != c[2] {
			t.Errorf("%s in %s: %s, want %s", c[1], c[0], got, c[2])
		}
	}
}

func TestBelow(t *testing.T) {
	for _, c := range []struct {
		roots      []string
		file, want string
	}{
		{nil, "src/a.go", "src/a.go"},
		{[]string{"src"}, "src/a.go", "a.go"},
		{[]string{"src"}, "./src//a.go", "a.go"},
		{[]string{"src"}, "srcs/a.go", "srcs/a.go"},
		{[]string{"src"}, "src", "src"},
		{[]string{"x", "y/z"}, "y/z/z/a.go", "z/a.go"},
		{[]string{"src", "."}, "src/a.go", "src/a.go"},
		{[]string{"src"}, "", ""},
	} {
		if got := Below(c.roots, c.file); got != c.want {
			t.Errorf("%s in %q: %s, want %s", c.file, c.roots, got, c.want)
		}
	}
}

// TestScannerNotes: an annotation is noted, and its line shown as it is; not while
// commands are off, nor within a line.
func TestScannerNotes(t *testing.T) {
	var noted []string
	var shown strings.Builder
	s := Scanner{Note: func(a events.Annotation) { noted = append(noted, a.Message) }, Out: func(p []byte) { shown.Write(p) }}
	const text = "::error::one\nx ::error::no\n::stop-commands::end\n::error::no\n::end::\n::notice file=a::two\n::warning::three"
	for i := range text {
		s.Write([]byte(text[i : i+1]))
	}
	s.Flush()
	if !reflect.DeepEqual(noted, []string{"one", "two", "three"}) || shown.String() != text {
		t.Errorf("noted %q, shown %q", noted, shown.String())
	}
}
