package agent

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/expression"
)

func TestSplitCommand(t *testing.T) {
	for command, want := range map[string][]string{
		"sh -e {0}":                    {"sh", "-e", "/s"},
		"  perl\t{0} \n":               {"perl", "/s"},
		`pwsh -command . '{0}'`:        {"pwsh", "-command", ".", "/s"},
		`x "a b" '' "it's" a'b'c {0}x`: {"x", "a b", "", "it's", "abc", "/sx"},
		"sh":                           nil,
		"":                             nil,
		"'sh {0}":                      nil,
		"   ":                          nil,
	} {
		got, err := splitCommand(command, "/s")
		if !reflect.DeepEqual(got, want) || (err != nil) != (want == nil) {
			t.Errorf("%q: %q, %v; want %q", command, got, err, want)
		}
	}
}

func FuzzSplitCommand(f *testing.F) {
	f.Add(`bash -c "x {0}" 'y'`)
	f.Add(`' {0}`)
	f.Fuzz(func(t *testing.T, command string) {
		words, err := splitCommand(command, "{0}")
		if err == nil && (len(words) == 0 || !strings.Contains(command, "{0}")) {
			t.Errorf("%q: %q", command, words)
		}
		if err == nil && utf8.ValidString(command) {
			for _, w := range words {
				if len(w) > len(command) {
					t.Errorf("%q grew to %q", command, words)
				}
			}
		}
	})
}

func TestLookPath(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"tool": 0o755, "text": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := "/nowhere::relative:" + dir
	for name, want := range map[string]string{
		"tool": dir + "/tool", dir + "/tool": dir + "/tool", "text": "", "folder": "", "none": "", dir + "/text": "", dir + "/none": "",
	} {
		got, err := lookPath(name, path)
		if err == nil != (want != "") || err == nil && got != want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestHashFilesTakes(t *testing.T) {
	for _, c := range []struct {
		rules string
		name  string
		want  bool
	}{
		{"go.sum", "go.sum", true},
		{"go.sum", "a/go.sum", false},
		{"./go.sum", "go.sum", true},
		{"*.sum", "a/go.sum", false},
		{"**/*.sum", "go.sum", true},
		{"**/*.sum", "a/b/go.sum", true},
		{"a/**", "a/b/c", true},
		{"a/**", "b/a/c", false},
		{"a/**/c", "a/c", true},
		{"a", "a/b/c", true},
		{"a/", "a/b", true},
		{"**", ".hidden/x", true},
		{"*", ".hidden", true},
		{"[ab].txt", "b.txt", true},
		{"[ab.txt", "[ab.txt", false},
		{"*.txt\n!b.txt", "b.txt", false},
		{"*.txt\n!b.txt", "a.txt", true},
		{"!a.txt\n*.txt", "a.txt", true},
		{"../*", "x", false},
	} {
		if got := taken(strings.Split(c.rules, "\n"), c.name); got != c.want {
			t.Errorf("%q takes %s: %v", c.rules, c.name, got)
		}
	}
}

func TestHashFilesFollowsNoLinks(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "x.txt"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"folder", "x.txt"} {
		if err := os.Symlink(filepath.Join(outside, strings.TrimPrefix(name, "folder")), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := hashFiles(dir, []string{"**", "# comment\n\n"}); got != "" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := hashFiles(filepath.Join(dir, "none"), []string{"**"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestShorten(t *testing.T) {
	for _, text := range []string{"", "x", strings.Repeat("x", execution.SummaryMax)} {
		if shorten(text) != text {
			t.Errorf("%d bytes are cut", len(text))
		}
	}
	for shift := range 4 {
		got := shorten(strings.Repeat("x", shift) + strings.Repeat("é", execution.SummaryMax))
		if len(got) > execution.SummaryMax || len(got) < execution.SummaryMax-8 || !utf8.ValidString(got) || !strings.HasSuffix(got, "é\n…\n") {
			t.Errorf("cut to %d bytes, ending %q", len(got), got[len(got)-10:])
		}
	}
}

func TestMinutes(t *testing.T) {
	scope := &expression.Env{}
	text := func(s string) *expression.Template { return new(expression.Text(s)) }
	for _, c := range []struct {
		fixed    float64
		template *expression.Template
		want     time.Duration
		ok       bool
	}{
		{0, nil, 0, true},
		{1.5, nil, 90 * time.Second, true},
		{9, text("2"), 2 * time.Minute, true},
		{0, text("0.5"), 30 * time.Second, true},
		{math.Inf(1), nil, 1e6 * time.Minute, true},
		{-1, nil, 0, false},
		{math.NaN(), nil, 0, false},
		{0, text("NaN"), 0, false},
		{0, text(""), 0, false},
		{0, text("ten"), 0, false},
	} {
		got, err := minutes(c.fixed, c.template, scope)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%v, %v: %v, %v", c.fixed, c.template, got, err)
		}
	}
}

func TestFirstStopGivesTheVerdict(t *testing.T) {
	for _, c := range []struct {
		asked []events.Verdict
		want  events.Verdict
	}{
		{nil, ""},
		{[]events.Verdict{events.Timeout, events.Cancelled}, events.Timeout},
		{[]events.Verdict{events.Cancelled, events.Timeout, events.Infra}, events.Cancelled},
		{[]events.Verdict{events.Infra, events.Cancelled}, events.Cancelled},
		{[]events.Verdict{events.Infra, events.Timeout}, events.Infra},
	} {
		s := newStops()
		for _, v := range c.asked {
			s.ask(v, string(v))
			<-s.asked
		}
		if v, reason := s.why(); v != c.want || reason != string(c.want) {
			t.Errorf("%v: %s, %s", c.asked, v, reason)
		}
	}
}
