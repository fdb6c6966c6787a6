package cli

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func tailOf(log string, known []string, place int) []string {
	l := newAttemptLog(func(name string) bool { return slices.Contains(known, name) })
	l.write([]byte(log))
	l.flush()
	var out []string
	for _, b := range l.tail(known, place) {
		out = append(out, string(b))
	}
	return out
}

func numbered(what string, from, to int) (lines []string) {
	for i := from; i < to; i++ {
		lines = append(lines, fmt.Sprintf("%s %d", what, i))
	}
	return lines
}

func TestTailOfAStep(t *testing.T) {
	many := strings.Join(numbered("line", 0, 100), "\n") + "\n"
	brew := strings.Join(numbered("==> Pouring", 0, 100), "\n") + "\n"
	for _, c := range []struct {
		name  string
		log   string
		steps []string
		place int
		want  []string
	}{
		{"the only one", "==> a\none\ntwo\n", []string{"a"}, 0, []string{"one", "two"}},
		{"before others", "==> a\none\n==> b\ntwo\n", []string{"a", "b"}, 0, []string{"one"}},
		{"after others", "==> a\none\n==> b\ntwo\n", []string{"a", "b"}, 1, []string{"two"}},
		{"of the same name", "==> a\none\n==> a\ntwo\n==> a\nthree\n", []string{"a", "a", "a"}, 1, []string{"two"}},
		{"with a remark", "==> a\none\n==> exited with 1\n==> b\ntwo\n", []string{"a", "b"}, 0, []string{"one", "==> exited with 1"}},
		{"the last of many lines", "==> a\n" + many + "==> b\nx\n", []string{"a", "b"}, 0, numbered("line", 80, 100)},
		{"with lines like headers", "==> a\nx\n" + brew + "y\n==> b\nz\n", []string{"a", "b"}, 0, append(numbered("==> Pouring", 81, 100), "y")},
		{"before one with lines like headers", "==> a\nx\n==> b\n" + brew, []string{"a", "b"}, 0, []string{"x"}},
		{"before much", "==> a\nx\n==> b\n" + many + many, []string{"a", "b"}, 0, []string{"x"}},
		{"without a header", "one\ntwo\n", []string{"a"}, 0, []string{"one", "two"}},
		{"of no step", "==> a\none\n==> broken\n", []string{"a"}, -1, []string{"==> a", "one", "==> broken"}},
		{"progress", "==> a\nget\n1%\r2%\r3%\ndone\n", []string{"a"}, 0, []string{"get", "3%", "done"}},
		{"a name of two lines", "==> a\nb\nx\n==> c\n", []string{"a\nb", "c"}, 0, []string{"b", "x"}},
		{"nothing", "", []string{"a"}, 0, nil},
	} {
		if got := tailOf(c.log, c.steps, c.place); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// More steps than there is room for: the newest ones are known.
func TestTailAfterManySteps(t *testing.T) {
	var log strings.Builder
	var steps []string
	for i := range 3 * maxMarks {
		steps = append(steps, fmt.Sprintf("step %d", i))
		fmt.Fprintf(&log, "==> step %d\nline of %d\n", i, i)
	}
	last := len(steps) - 1
	if got, want := tailOf(log.String(), steps, last), []string{fmt.Sprintf("line of %d", last)}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTailIsBounded(t *testing.T) {
	l := newAttemptLog(func(string) bool { return false })
	for range 1000 {
		l.write([]byte("==> " + strings.Repeat("x", 100_000) + "\n" + strings.Repeat("y", 300_000)))
	}
	kept := cap(l.part)
	for _, m := range l.marks {
		kept += len(m.name)
		for _, b := range m.lines {
			kept += cap(b)
		}
	}
	if most := 2*maxLine + maxMarks*(tailLines+1)*2*tailBytes; len(l.marks) > maxMarks || kept > most {
		t.Errorf("%d bytes in %d marks are kept, want at most %d", kept, len(l.marks), most)
	}
	for _, b := range l.tail(nil, -1) {
		if len(b) > tailBytes+50 {
			t.Errorf("a line of %d bytes", len(b))
		}
	}
	l.forget()
	l.write([]byte("==> more\n"))
	if got := l.recent(3); l.marks != nil || got != nil {
		t.Errorf("a log that is forgotten keeps %v", got)
	}
}
