package cli

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// pieceOf is one call of a splitter.
type pieceOf struct {
	line string
	over bool
}

// splitAt cuts a log into lines, handed over in pieces of n bytes.
func splitAt(log []byte, n int) []pieceOf {
	var out []pieceOf
	s := splitter{}
	s.line = func(b []byte, over bool) { out = append(out, pieceOf{string(b), over}) }
	for len(log) > 0 {
		k := min(n, len(log))
		s.write(log[:k])
		log = log[k:]
	}
	s.flush()
	return out
}

func TestSplit(t *testing.T) {
	for in, want := range map[string][]pieceOf{
		"":                        nil,
		"a\nb\n":                  {{"a", false}, {"b", false}},
		"a\n\nb":                  {{"a", false}, {"", false}, {"b", false}},
		"a\r\nb\r\r\n":            {{"a", false}, {"b", false}},
		"10%\r20%\r\rdone\nx\n":   {{"10%", false}, {"20%", true}, {"done", true}, {"x", false}},
		"\r\r10%\r\n":             {{"10%", false}},
		"a\rb":                    {{"a", false}, {"b", true}},
		"a\rb\r":                  {{"a", false}, {"b", true}},
		"\r":                      {{"", false}},
		"a\r" + "\n" + "b\rc\r\n": {{"a", false}, {"b", false}, {"c", true}},
	} {
		for n := 1; n <= len(in)+1; n++ {
			if got := splitAt([]byte(in), n); !slices.Equal(got, want) {
				t.Errorf("%q by %d: got %v, want %v", in, n, got, want)
			}
		}
	}
}

func TestSplitCutsLongLines(t *testing.T) {
	const runes = 1 << 20
	log := strings.Repeat("é\x1b[31m", runes/8)
	for _, n := range []int{1000, 65536, len(log)} {
		var joined strings.Builder
		for i, p := range splitAt([]byte(log), n) {
			if len(p.line) > maxLine || !utf8.ValidString(p.line) {
				t.Errorf("by %d: line %d has %d bytes, valid %v", n, i, len(p.line), utf8.ValidString(p.line))
			}
			if strings.Contains(string(appendClean(nil, []byte(p.line), false)), "m") {
				t.Errorf("by %d: line %d cuts a sequence", n, i)
			}
			joined.WriteString(p.line)
		}
		if joined.String() != log {
			t.Errorf("by %d: bytes are lost", n)
		}
	}
}

// However a log is cut, its lines are the same; and no byte is lost but ends
// of lines.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("a\r\nb\rc\n\n\r"), 3)
	f.Add(bytes.Repeat([]byte("0123456789\r"), 20), 7)
	f.Fuzz(func(t *testing.T, log []byte, n int) {
		whole := splitAt(log, len(log)+1)
		n = max(1, min(n, len(log)))
		if got := splitAt(log, n); !slices.Equal(got, whole) {
			t.Fatalf("%q by %d: %v, whole: %v", log, n, got, whole)
		}
		var joined []byte
		for _, p := range whole {
			joined = append(joined, p.line...)
		}
		ends := strings.NewReplacer("\r", "", "\n", "")
		if ends.Replace(string(log)) != string(joined) {
			t.Fatalf("%q becomes %q", log, joined)
		}
	})
}
