package command

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

func TestParsePairs(t *testing.T) {
	for _, c := range []struct {
		name string
		file string
		want []Pair
		err  string
	}{
		{"empty", "", nil, ""},
		{"pairs", "a=1\nb = 2\n\nc=\n", []Pair{{"a", "1"}, {"b ", " 2"}, {"c", ""}}, ""},
		{"no newline at the end", "a=1", []Pair{{"a", "1"}}, ""},
		{"equals signs", "a=b=c<<d", []Pair{{"a", "b=c<<d"}}, ""},
		{"CRLF and BOM", "\ufeffa=1\r\nb<<E\r\nx\r\ny\r\nE\r\n", []Pair{{"a", "1"}, {"b", "x\ny"}}, ""},
		{"heredoc", "a<<EOF\none\n\n two=2\nb<<X\nEOF\nc=3\n", []Pair{{"a", "one\n\n two=2\nb<<X"}, {"c", "3"}}, ""},
		{"empty heredoc", "a<<EOF\nEOF\n", []Pair{{"a", ""}}, ""},
		{"heredoc with equals after", "a<<E=F\nx\nE=F", []Pair{{"a", "x"}}, ""},
		{"twice", "a=1\na=2", []Pair{{"a", "1"}, {"a", "2"}}, ""},
		{"no equals", "a=1\nhello", nil, `command: bad line 2: "hello": want name=value or name<<delimiter`},
		{"no name", "=x", nil, `command: bad line 1: "=x": want name=value or name<<delimiter`},
		{"heredoc without end", "x=1\na<<EOF\none\nEOF2\n", nil, `command: bad line 2: no line "EOF" ends the value of "a"`},
		{"heredoc without name", "<<EOF\nEOF\n", nil, `command: bad line 1: "<<EOF": want name<<delimiter`},
		{"heredoc without delimiter", "a<<\n\n", nil, `command: bad line 1: "a<<": want name<<delimiter`},
		{"zero byte", "a=x\x00", nil, `command: bad line 1: the value of "a" has a zero byte`},
		{"long", strings.Repeat("x", 100), nil, `command: bad line 1: "` + strings.Repeat("x", 60) + `": want name=value or name<<delimiter`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParsePairs([]byte(c.file))
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			switch {
			case c.err == "" && err != nil:
				t.Error(err)
			case c.err != "" && (err == nil || err.Error() != c.err || !errors.Is(err, ErrFormat)):
				t.Errorf("got error %v, want %s", err, c.err)
			}
		})
	}
}

func TestParsePaths(t *testing.T) {
	got, err := ParsePaths([]byte("/a b\r\n\n/c"))
	if want := []string{"/a b", "/c"}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	if _, err := ParsePaths([]byte("/a\n/b\x00")); !errors.Is(err, ErrFormat) {
		t.Errorf("zero byte: %v", err)
	}
}

func FuzzParsePairs(f *testing.F) {
	for _, seed := range []string{"a=1\n", "a<<EOF\nx\nEOF\n", "<<\n=", "a<<b=c\r\nb=c"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		pairs, err := ParsePairs(data)
		if err != nil {
			if !errors.Is(err, ErrFormat) || pairs != nil {
				t.Fatalf("%q, %v", pairs, err)
			}
			return
		}
		// Written out with delimiters, they read the same.
		var file strings.Builder
		for _, p := range pairs {
			if p.Name == "" || strings.Contains(p.Name+p.Value, "\x00") {
				t.Fatalf("pair %q", p)
			}
			if strings.Contains(p.Name, "=") || strings.HasSuffix(p.Name, "<") {
				return // only name<<delimiter can hold it, and not if written so
			}
			file.WriteString(p.Name + "<<~end~\n" + p.Value + "\n~end~\n")
		}
		if strings.Contains(string(data), "~end~") || strings.Contains(file.String(), "\r\n") || strings.HasPrefix(file.String(), "\ufeff") {
			return
		}
		again, err := ParsePairs([]byte(file.String()))
		if err != nil || !reflect.DeepEqual(again, pairs) {
			t.Fatalf("%q read again as %q, %v", pairs, again, err)
		}
	})
}

// scan runs a scanner over text in pieces and gives what it shows and masks.
func scan(text string, piece func(left int) int) (shown string, masked []string, err error) {
	var out bytes.Buffer
	s := Scanner{
		Mask: func(v string) error {
			masked = append(masked, v)
			if v == "bad" {
				return errors.New("cannot mask")
			}
			return nil
		},
		Out: func(p []byte) { out.Write(p) },
	}
	for rest := []byte(text); len(rest) > 0; {
		n := piece(len(rest))
		s.Write(rest[:n])
		rest = rest[n:]
	}
	s.Flush()
	return out.String(), masked, s.Err()
}

func TestScanner(t *testing.T) {
	long := strings.Repeat("x", 2*maxLine)
	for _, c := range []struct {
		name   string
		text   string
		want   string
		masked []string
		err    bool
	}{
		{"no command", "a::b\n :c\nstd::vector\n\x00\xff", "a::b\n :c\nstd::vector\n\x00\xff", nil, false},
		{"annotations stay", "::error file=a.go,line=1::oops\n::group::x\n::endgroup::\n", "::error file=a.go,line=1::oops\n::group::x\n::endgroup::\n", nil, false},
		{"mask", "a\n::add-mask::s%0At%25\nb", "a\n::add-mask::***\nb", []string{"s\nt%"}, false},
		{"indented, CRLF", "  \t::add-mask::x\r\n", "::add-mask::***\n", []string{"x"}, false},
		{"mask without newline", "::add-mask::x", "::add-mask::***\n", []string{"x"}, false},
		{"mask fails", "::add-mask::bad\n", "error: cannot mask\n", []string{"bad"}, true},
		{"in the middle of a line", "x ::add-mask::y\n", "x ::add-mask::y\n", nil, false},
		{"removed", "::set-output name=a::b\n", "warning: ::set-output:: is ignored, write to the file named by $GITHUB_OUTPUT instead\n", nil, false},
		{"stopped", "::stop-commands::T\n::add-mask::x\n::T::\n::add-mask::y\n", "::stop-commands::T\n::add-mask::x\n::T::\n::add-mask::***\n", []string{"y"}, false},
		{"half a command", "::add-mask\n::\n:::x::\n", "::add-mask\n::\n:::x::\n", nil, false},
		{"long line", "::" + long + "\nnext\n", "::" + long + "\nnext\n", nil, false},
		{"long mask", "::add-mask::" + long + "\nnext\n", "error: " + ErrTooLong.Error() + "\nnext\n", nil, true},
		{"white space at the end", "x\n  ", "x\n  ", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 1))
			for name, piece := range map[string]func(int) int{
				"whole":      func(left int) int { return left },
				"bytes":      func(int) int { return 1 },
				"some bytes": func(left int) int { return 1 + random.IntN(min(left, 30)) },
			} {
				if len(c.text) > maxLine && name == "whole" {
					piece = func(left int) int { return min(left, 10_000) }
				}
				shown, masked, err := scan(c.text, piece)
				if shown != c.want || !reflect.DeepEqual(masked, c.masked) || (err != nil) != c.err {
					t.Errorf("%s: shown %.200q, masked %.100q, %v; want %.200q, %.100q", name, shown, masked, err, c.want, c.masked)
				}
			}
		})
	}
}

func FuzzScanner(f *testing.F) {
	f.Add("::add-mask::x\n", uint64(1))
	f.Add("a\n::stop-commands::t\n::add-mask::q\n::t::\n", uint64(2))
	f.Add(" ::set-output name=x::y\r\n:", uint64(3))
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 0))
		shown, masked, _ := scan(text, func(left int) int { return left })
		inPieces, maskedToo, _ := scan(text, func(left int) int { return 1 + random.IntN(min(left, 8)) })
		if shown != inPieces || !reflect.DeepEqual(masked, maskedToo) {
			t.Errorf("whole: %q, %q; in pieces: %q, %q", shown, masked, inPieces, maskedToo)
		}
		if len(masked) == 0 && !strings.Contains(text, "::") && shown != text {
			t.Errorf("changed %q to %q", text, shown)
		}
	})
}

func BenchmarkScanner(b *testing.B) {
	text := bytes.Repeat([]byte("compiling module::path of things\n  ok\n"), 6000)
	s := Scanner{Out: func([]byte) {}}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		s.Write(text)
	}
}
