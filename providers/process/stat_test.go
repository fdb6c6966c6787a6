package process

import (
	"os"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/events"
)

// tail are the fields after the name as the kernel writes them, with the
// parent 7, the session 9 and the start time 4711.
const tail = " S 7 8 9 0 -1 4194304 110 0 0 0 0 0 0 0 20 0 1 0 4711 2703360 215 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n"

func TestParseStat(t *testing.T) {
	want := stat{pid: 42, parent: 7, session: 9, state: 'S', start: 4711}
	for _, name := range []string{"sleep", "", "a b", "a) S 1 1 1 (b", "((", "))", "line\nend"} {
		got, err := parseStat([]byte("42 (" + name + ")" + tail))
		if err != nil || got != want {
			t.Errorf("name %q: got %+v, %v; want %+v", name, got, err, want)
		}
	}
	for _, line := range []string{
		"", "42", "42 (a", ")42(", "42 (a)", "42 (a) S 7 8 9", "x (a)" + tail, "42 (a) SS" + tail[2:],
		"42 (a)" + strings.Replace(tail, "4711", "-1", 1),
	} {
		if got, err := parseStat([]byte(line)); err == nil {
			t.Errorf("line %q: got %+v, want an error", line, got)
		}
	}
}

func TestStatOfThisProcess(t *testing.T) {
	s, err := statOf(os.Getpid())
	if err != nil || s.pid != os.Getpid() || s.parent != os.Getppid() || s.start == 0 || s.dead() {
		t.Errorf("got %+v, %v for process %d of %d", s, err, os.Getpid(), os.Getppid())
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("42 (sleep)" + tail))
	f.Add([]byte("1 (a) b) (c)" + tail))
	f.Fuzz(func(t *testing.T, line []byte) {
		s, err := parseStat(line)
		if err != nil && s != (stat{}) {
			t.Errorf("%q: got %+v with the error %v", line, s, err)
		}
	})
}

func TestCarries(t *testing.T) {
	for environ, want := range map[string]bool{
		"":                                 false,
		"RELEVO_WORKER=a":                  true,
		"HOME=/\x00RELEVO_WORKER=a\x00B=1": true,
		"HOME=/\x00RELEVO_WORKER=ab\x00":   false,
		"XRELEVO_WORKER=a\x00":             false,
		"X=RELEVO_WORKER=a\x00":            false,
		"RELEVO_WORKER\x00a\x00":           false,
	} {
		if got := carries([]byte(environ), marker, "a"); got != want {
			t.Errorf("%q: got %v", environ, got)
		}
	}
}

func TestParseName(t *testing.T) {
	const prefix = "0a1b2c3d-"
	for name, want := range map[string]worker{
		prefix + "w1-f1.3":          {id: "w1", fence: events.Fence{Epoch: 1, Counter: 3}},
		prefix + "w1-f1.3.removing": {id: "w1", fence: events.Fence{Epoch: 1, Counter: 3}, removing: true},
		prefix + "a-f2.2-f1.3":      {id: "a-f2.2", fence: events.Fence{Epoch: 1, Counter: 3}},
	} {
		if got, ok := parseName(prefix, name); !ok || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", name, got, ok, want)
		}
	}
	for _, name := range []string{
		"", "lock", "ffffffff-w1-f1.3", prefix, prefix + "w1", prefix + "-f1.3", prefix + "w1-f1", prefix + "w1-f01.3",
		prefix + "w1-f1.3.removing.removing", prefix + ".-f1.1",
	} {
		if got, ok := parseName(prefix, name); ok {
			t.Errorf("%q: got %+v, want none", name, got)
		}
	}
}

func FuzzParseName(f *testing.F) {
	f.Add("0a1b2c3d-w1-f1.3")
	f.Add("0a1b2c3d-w1-f1.3.removing")
	f.Fuzz(func(t *testing.T, name string) {
		w, ok := parseName("0a1b2c3d-", name)
		if !ok {
			return
		}
		p := Provider{prefix: "0a1b2c3d-"}
		again := p.worker(w.id, w.fence).name()
		if w.removing {
			again += removing
		}
		if again != name {
			t.Errorf("%q reads as %+v, which is written %q", name, w, again)
		}
	})
}

func TestPlainName(t *testing.T) {
	for id, want := range map[string]bool{
		"nw16e9bj1t523fng1rffqtb70w": true, "a.b_c-D9": true,
		"": false, "a/b": false, "..": false, ".a": false, "a b": false, "ä": false, strings.Repeat("a", 129): false,
	} {
		if got := plainName(id); got != want {
			t.Errorf("%q: got %v", id, got)
		}
	}
}
