package console

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"
)

func flat(parts []segment) string {
	var b strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&b, "[%s|%s]", p.Class, p.Text)
	}
	return b.String()
}

func TestPaint(t *testing.T) {
	for line, want := range map[string]string{
		"plain":                                    "[|plain]",
		"\x1b[31mred\x1b[0m x":                     "[f2|red][| x]",
		"\x1b[1;4;92mloud\x1b[22mless":             "[f11 bold und|loud][f11 und|less]",
		"\x1b[38;5;196mx\x1b[48;2;0;0;255m":        "[f10|x]",
		"\x1b[7minv":                               "[inv|inv]",
		"\x1b]0;title\x07text":                     "[|text]",
		"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\": "[|link]",
		"\x1b[2Jgone\x1b[10;10H":                   "[|gone]",
		"50%\r100%":                                "[|100%]",
		"a\x00b\x07":                               "[|a␀b␇]",
		"\x1b[":                                    "",
		"tab\there\r":                              "[|tab\there]",
	} {
		got, _ := paint([]byte(line), style{})
		if flat(got) != want {
			t.Errorf("%q is %s, not %s", line, flat(got), want)
		}
	}
}

// FuzzPaint: whatever is in a line, what is shown is text that stays in it.
func FuzzPaint(f *testing.F) {
	f.Add([]byte("\x1b[31mred\x1b[0m"))
	f.Add([]byte("\x1b]8;;x\x07\xff\u202e"))
	f.Fuzz(func(t *testing.T, line []byte) {
		parts, end := paint(line, style{})
		for _, p := range parts {
			if i := strings.IndexFunc(p.Text, func(r rune) bool {
				return r < 0x20 && r != '\t' || unicode.Is(unicode.Bidi_Control, r)
			}); i >= 0 {
				t.Fatalf("%q shows %q", line, p.Text)
			}
			if strings.Trim(p.Class, "abdefiltnouv0123456789 ") != "" {
				t.Fatalf("%q has the class %q", line, p.Class)
			}
		}
		if got := lastStyle([]byte(strings.TrimRight(string(line), "\r\n")), style{}); got != end {
			t.Fatalf("%q ends in %+v, and quickly in %+v", line, end, got)
		}
	})
}

// FuzzIndex: cut into pieces anywhere, a log has the same lines.
func FuzzIndex(f *testing.F) {
	f.Add("==> a\n::group::b\nc\n::endgroup::\n==> d\ne", uint8(3))
	f.Add("\n\n\n", uint8(1))
	f.Fuzz(func(t *testing.T, text string, size uint8) {
		whole, parts := &logIndex{}, &logIndex{}
		_, _ = whole.Write([]byte(text))
		for piece := range slices.Chunk([]byte(text), int(size)+1) {
			_, _ = parts.Write(piece)
		}
		if whole.lines != parts.lines || whole.offset != parts.offset || !slices.Equal(whole.folds, parts.folds) || !slices.Equal(whole.marks, parts.marks) {
			t.Fatalf("%d lines and %v; in pieces %d and %v", whole.lines, whole.folds, parts.lines, parts.folds)
		}
		n := strings.Count(text, "\n")
		if text != "" && !strings.HasSuffix(text, "\n") {
			n++
		}
		if whole.lines != n || whole.offset != int64(len(text)) {
			t.Fatalf("%d lines, %d bytes of %d, %d", whole.lines, whole.offset, n, len(text))
		}
	})
}

func TestFolds(t *testing.T) {
	i := &logIndex{}
	_, _ = i.Write([]byte("==> one\n::group::in\nx\n::endgroup::\ny\n==> two\nz\n"))
	want := []fold{{1, 5, "one", true}, {2, 4, "in", false}, {6, 0, "two", true}}
	if !slices.Equal(i.folds, want) {
		t.Errorf("%v", i.folds)
	}
}
