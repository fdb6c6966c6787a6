package mask

import (
	"bytes"
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

func set(t testing.TB, secrets ...string) *Set {
	t.Helper()
	var s Set
	if err := s.Add(secrets...); err != nil {
		t.Fatal(err)
	}
	return &s
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		name    string
		secrets []string
		text    string
		want    string
	}{
		{"nothing to mask", nil, "hello", "hello"},
		{"empty secrets", []string{"", " \n"}, "he llo\n", "he llo\n"},
		{"one", []string{"hunter2"}, "pass hunter2 word\n", "pass *** word\n"},
		{"at both ends", []string{"hunter2"}, "hunter2 hunter2", "*** ***"},
		{"touching are one", []string{"hunter2"}, "hunter2hunter2!", "***!"},
		{"overlapping are one", []string{"abcd", "cdef"}, "xabcdefx", "x***x"},
		{"one within another", []string{"token", "my-token-1"}, "token my-token-1 my-token-2", "*** *** my-***-2"},
		{"start only", []string{"hunter2"}, "hunter hunter3 hunte", "hunter hunter3 hunte"},
		{"repeating", []string{"aab"}, "aaaab", "aa***"},
		{"white space around is no part", []string{"hunter2\n"}, "hunter2", "***"},
		{"lines", []string{"first line\n  second line\n}"}, "second line\nfirst line\n}\n", "***\n***\n}\n"},
		{"as JSON", []string{"a\"b\\c secret"}, `{"x":"a\"b\\c secret"}`, `{"x":"***"}`},
		{"in a URL", []string{"p@ss/w rd?"}, "https://u:p%40ss%2Fw+rd%3F@h", "https://u:***@h"},
		{"not UTF-8", []string{"\xff\xfe\x00zz"}, "a\xff\xfe\x00zzb", "a***b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := set(t, c.secrets...).Text(c.text); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestBase64(t *testing.T) {
	secret := "correct horse battery staple " + strings.Repeat("0123456789", 20)
	s := set(t, secret, "shorty8!")
	for _, user := range []string{"", "u", "us", "use", "user:"} {
		for _, value := range []string{secret, "shorty8!"} {
			for _, after := range []string{"", "\n", "@x", "@xy"} {
				for name, encoding := range map[string]*base64.Encoding{"std": base64.StdEncoding, "url": base64.RawURLEncoding} {
					text := encoding.EncodeToString([]byte(user + value + after))
					got := s.Text(text)
					// What may stay belongs to the bytes before and after, too.
					if !strings.Contains(got, Stars) || len(got) > len(Stars)+len(user+after)*4/3+9 {
						t.Errorf("%s of %q+%.9q+%q: %q", name, user, value, after, got)
					}
				}
			}
		}
	}
	wrapped := base64.StdEncoding.EncodeToString([]byte(secret))
	for i := encodedLine; i < len(wrapped); i += encodedLine + 1 {
		wrapped = wrapped[:i] + "\n" + wrapped[i:]
	}
	if got, want := s.Text(wrapped), "***\n***\n***\n***\nOQ=="; got != want { // but for the last byte
		t.Errorf("wrapped: %q", got)
	}
}

func TestGrowsWhileRunning(t *testing.T) {
	s := set(t, "abcdefgh")
	stream := s.Stream()
	out := stream.Write(nil, []byte("first xyz, abcd"))
	if got, want := string(out), "first xyz, "; got != want {
		t.Fatalf("before: %q, want %q", got, want)
	}
	if err := s.Add("xyz", "bcdz"); err != nil {
		t.Fatal(err)
	}
	out = stream.Flush(stream.Write(out, []byte("z xyz abcdefgh")))
	if got, want := string(out), "first xyz, a*** *** ***"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTooMuch(t *testing.T) {
	s := set(t, "hunter2")
	if err := s.Add(strings.Repeat("x", maxPatterns)); !errors.Is(err, ErrTooMuch) {
		t.Errorf("%v, want ErrTooMuch", err)
	}
	if got := s.Text("hunter2"); got != Stars {
		t.Errorf("the old secret is no longer masked: %q", got)
	}
}

// expected masks by looking at every position, the slow and plain way.
func expected(text string, secrets []string) string {
	hidden := make([]bool, len(text))
	for _, s := range secrets {
		for _, p := range patterns(s) {
			for i := range len(text) {
				if strings.HasPrefix(text[i:], p) {
					for j := range len(p) {
						hidden[i+j] = true
					}
				}
			}
		}
	}
	var out strings.Builder
	for i := range len(text) {
		switch {
		case !hidden[i]:
			out.WriteByte(text[i])
		case i == 0 || !hidden[i-1]:
			out.WriteString(Stars)
		}
	}
	return out.String()
}

func inPieces(s *Set, text string, random *rand.Rand) string {
	stream := s.Stream()
	var out []byte
	for rest := []byte(text); len(rest) > 0; {
		n := 1 + random.IntN(min(len(rest), 9))
		out = stream.Write(out, rest[:n])
		rest = rest[n:]
	}
	return string(stream.Flush(out))
}

func TestEveryChunkingIsTheSame(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	word := func(letters string, n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = letters[random.IntN(len(letters))]
		}
		return string(b)
	}
	for range 3000 {
		letters := []string{"ab", "abc", "a\nb "}[random.IntN(3)]
		var secrets []string
		for range 1 + random.IntN(4) {
			secrets = append(secrets, word(letters, 1+random.IntN(8)))
		}
		text := word(letters, random.IntN(60))
		want := expected(text, secrets)
		if got := inPieces(set(t, secrets...), text, random); got != want {
			t.Fatalf("secrets %q, text %q:\n got %q\nwant %q", secrets, text, got, want)
		}
	}
}

func FuzzStream(f *testing.F) {
	f.Add("hunter2", "unter", "xxhunter2hunter", uint64(1))
	f.Add("aaa", "aab", "aaaaaab", uint64(2))
	f.Add("line one\nline two", "two", "dHdv bGluZSBvbmU= line two", uint64(3))
	f.Fuzz(func(t *testing.T, a, b, text string, seed uint64) {
		if len(a)+len(b)+len(text) > 2000 {
			return
		}
		want := expected(text, []string{a, b})
		if got := inPieces(set(t, a, b), text, rand.New(rand.NewPCG(seed, 0))); got != want {
			t.Errorf("secrets %q %q, text %q:\n got %q\nwant %q", a, b, text, got, want)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	text := bytes.Repeat([]byte("compiling module::path of things, 12 warnings\n"), 6000)
	for name, secrets := range map[string][]string{
		"none": nil, "one": {"hunter2-correct-horse"},
		"twenty": strings.Fields(strings.Repeat("tok-Abcdefgh0 pw-zyxwvuts1 ghp_0123456789abcdef qwertyuiop ", 5)),
	} {
		b.Run(name, func(b *testing.B) {
			stream := set(b, secrets...).Stream()
			b.SetBytes(int64(len(text)))
			var out []byte
			for b.Loop() {
				out = stream.Write(out[:0], text)
			}
		})
	}
}
