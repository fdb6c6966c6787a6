package cli

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	for _, c := range []struct{ name, in, plain, colour string }{
		{"text", "plain text\twith a tab", "", ""},
		{"colour", "\x1b[31mred\x1b[0m", "red", "\x1b[31mred\x1b[0m\x1b[0m"},
		{"colour by number", "\x1b[38;2;1;2;3mx\x1b[38:5:1my", "xy", "\x1b[38;2;1;2;3mx\x1b[38:5:1my\x1b[0m"},
		{"not a colour", "\x1b[>4;2mx\x1b[?1my\x1b[1 mz", "xyz", "xyz"},
		{"cursor", "a\x1b[2J\x1b[1;1Hb\x1b[10Ac\x1b[Kd\x1b7e\x1b8f\x1bcg", "abcdefg", "abcdefg"},
		{"title", "a\x1b]0;title\x07b\x1b]2;title\x1b\\c", "abc", "abc"},
		{"link", "\x1b]8;;http://example.com\x1b\\text\x1b]8;;\x1b\\", "text", "text"},
		{"clipboard", "\x1b]52;c;ZXZpbA==\x07x", "x", "x"},
		{"device string", "\x1bP$q\"p\x1b\\x\x1b_secret\x1b\\y\x1b^p\x1b\\z", "xyz", "xyz"},
		{"bell does not end a device string", "\x1bPa\x07b", "ab", "ab"},
		{"title without end", "\x1b]0;lost?", "0;lost?", "0;lost?"},
		{"title broken off", "\x1b]0;a\x1b[31mb", "0;ab", "0;a\x1b[31mb\x1b[0m"},
		{"sequence without end", "a\x1b[12", "a", "a"},
		{"sequence broken off", "a\x1b[12\x07b", "ab", "ab"},
		{"escape at the end", "a\x1b", "a", "a"},
		{"escape twice", "a\x1b\x1b[31mb", "ab", "a\x1b[31mb\x1b[0m"},
		{"hidden within", "\x1b[3\x001mx", "1mx", "1mx"},
		{"character set", "\x1b(0x\x1b)", "x", "x"},
		{"control characters", "a\x00b\x07c\x08d\x0be\x0cf\x0eg\x7fh", "abcdefgh", "abcdefgh"},
		{"C1 as runes", "a\u009b31mb\u009d0;x\u009cc", "a31mb0;xc", "a31mb0;xc"},
		{"C1 as bytes", "a\x9b31m", "a\uFFFD31m", "a\uFFFD31m"},
		{"not UTF-8", "\xff\xfea\xe6\x97", "\uFFFD\uFFFDa\uFFFD\uFFFD", "\uFFFD\uFFFDa\uFFFD\uFFFD"},
		{"backwards", "a\u202eb\u2066c\u2069d\u2028e\ufefff", "abcdef", "abcdef"},
		{"runes", "日本 👩‍🚀 é", "", ""},
	} {
		if c.plain == "" {
			c.plain, c.colour = c.in, c.in
		}
		if got := string(appendClean(nil, []byte(c.in), false)); got != c.plain {
			t.Errorf("%s: got %q, want %q", c.name, got, c.plain)
		}
		if got := string(appendClean(nil, []byte(c.in), true)); got != c.colour {
			t.Errorf("%s, in colour: got %q, want %q", c.name, got, c.colour)
		}
	}
}

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                   "plain",
		" a\r\nb\nc\rd\te ":       "a b c d e",
		"\x1b[31mred\x1b[0m\x07!": "red!",
		"a\n\n":                   "a",
	} {
		if got := oneLine(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

var colourOnly = regexp.MustCompile("\x1b\\[[0-9:;]*m")

func FuzzClean(f *testing.F) {
	f.Add([]byte("\x1b[31mred\x1b]0;t\x07\x1bP\x1b\\\x9b\xc2\x9b"), true)
	f.Add([]byte("a\x1b[1;2"), false)
	f.Fuzz(func(t *testing.T, in []byte, colour bool) {
		out := string(appendClean(nil, in, colour))
		rest := out
		if colour {
			rest = colourOnly.ReplaceAllString(out, "")
		}
		for _, r := range rest {
			if r != '\t' && (r < ' ' || hidden(r) && r >= 0x7f && r < 0xa0) {
				t.Fatalf("%q gives %q, with the control character %U", in, out, r)
			}
		}
		if !utf8.ValidString(out) {
			t.Fatalf("%q gives %q, which is not UTF-8", in, out)
		}
		again := string(appendClean(nil, []byte(rest), colour))
		if again != rest {
			t.Fatalf("%q is cleaned to %q, that to %q", in, rest, again)
		}
		if strings.Contains(out, "\x1b") && !strings.HasSuffix(out, reset) {
			t.Fatalf("%q gives %q, which colours what follows", in, out)
		}
	})
}
