package cli

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// hostile are logs that want more than to be read.
func hostile() map[string]string {
	noise := make([]byte, 200_000)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	return map[string]string{
		"tricks":       strings.Repeat("\x1b[2J\x1b[H\x1b[?1049h\x1b]0;gotcha\x07\x1b[999Aup\x1b[8mhidden\x1b[0m\x1bc\x07\u202eback\r\x1b[Kover\n", 50),
		"no newline":   strings.Repeat("no end ", 10_000),
		"one line":     strings.Repeat("日本", 1<<20/6) + "\n",
		"binary":       string(noise),
		"only returns": strings.Repeat("\r", 100_000),
		"only escapes": strings.Repeat("\x1b]", 100_000),
		"headers":      strings.Repeat("==> make\n==> \n==>\n", 5_000),
		"blank":        strings.Repeat("\n \t\n", 5_000),
	}
}

// playHostile fails a job after a log, under names that are no better.
func playHostile(s *script, log string) {
	const bad = "\x1b[2J\x1b]0;t\x07name\r\n\u202e"
	s.begin()
	a := s.job("job", 1)
	a.names["job"] = bad
	a.run().step("0", bad).log(log)
	s.view.Notice(bad)
	a.emit(events.WorkerCreated{For: a.ref, Placement: a.place(), Preparing: bad})
	a.failed(events.Verdict(bad), bad, a.stepFailed("0", bad, 1, time.Second))
	s.emit(events.RunFailed{RunRef: s.runRef(), Verdict: events.Verdict(bad), Reason: bad})
}

func TestHostileLogsOnATerminal(t *testing.T) {
	for name, log := range hostile() {
		for _, cols := range []int{20, 80, 200} {
			t.Run(fmt.Sprintf("%s/%d", name, cols), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					screen := newVT(cols, 5)
					tree := NewTree(screen, screen.size, Plan{Run: testRun, Pipeline: "p\x1b[2J"}, Options{Colour: true})
					s := newScript(t, tree, Plan{})
					s.sleep = func(d time.Duration) { time.Sleep(d) }
					playHostile(s, log)
					tree.Close()
					sound(t, screen)
				})
			})
		}
	}
}

func TestHostileLogsInPlain(t *testing.T) {
	for name, log := range hostile() {
		for _, colour := range []bool{false, true} {
			out := plainOf(t, Plan{Run: testRun, Pipeline: "p\x1b[2J"}, Options{Colour: colour}, func(s *script) { playHostile(s, log) })
			rest := out
			if colour {
				rest = colourOnly.ReplaceAllString(out, "")
			}
			if i := strings.IndexFunc(rest, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' }); i >= 0 {
				t.Errorf("%s: colour %v: the output holds %q", name, colour, rest[i:min(len(rest), i+20)])
			}
			head, _, _ := strings.Cut(out, "\n\nJOB ")
			for line := range strings.Lines(head) {
				if !strings.HasPrefix(line, "* ") && !strings.HasPrefix(line, "name ") {
					t.Errorf("%s: a line without its job: %.60q", name, line)
				}
			}
		}
	}
}

// Many goroutines use a view at once, and go on when it is closed.
func TestViewsAreSafeForMany(t *testing.T) {
	for name, open := range map[string]func() View{
		"plain": func() View { return NewPlain(&bytes.Buffer{}, release, Options{}) },
		"tree": func() View {
			return NewTree(&bytes.Buffer{}, func() (int, int) { return 80, 24 }, release, Options{Colour: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			record := newScript(t, deaf{}, release)
			playRelease(record, func(string) {})
			v := open()
			var all sync.WaitGroup
			for n := range 8 {
				all.Go(func() {
					ref := record.job("build", 1+n%2).ref
					for i, e := range record.sent {
						v.Event(e)
						v.Log(ref, fmt.Appendf(nil, "line %d of %d\r", i, n))
						v.Notice("a notice")
					}
				})
			}
			all.Go(v.Close)
			all.Wait()
			v.Close()
			if s := v.(interface{ Summary() Summary }).Summary(); len(s.Jobs) != len(release.Jobs) {
				t.Errorf("%d jobs", len(s.Jobs))
			}
		})
	}
}

func TestPlainTakesLinesWithoutAllocating(t *testing.T) {
	v := NewPlain(nowhere{}, Plan{}, Options{})
	defer v.Close()
	ref := events.AttemptRef{JobRef: events.JobRef{Job: "build"}, Attempt: 1}
	log := bytes.Repeat([]byte("a line of the length that lines have in logs of builds\n"), 1000)
	for range 100 { // until the buffers have their size
		v.Log(ref, log)
	}
	if n := testing.AllocsPerRun(100, func() { v.Log(ref, log) }); n > 50 {
		t.Errorf("%v allocations for 1000 lines", n)
	}
}

type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

func BenchmarkLog(b *testing.B) {
	line := "2024-03-01T12:00:00Z compiling github.com/some/module/with/a/path/file.go ok in 12ms\n"
	for name, text := range map[string]string{
		"ascii":  line,
		"colour": "\x1b[32mok\x1b[0m " + line,
		"runes":  "日本語のログ行です、長さは普通くらいです。ビルドは成功しました。\n",
		"short":  "ok\n",
	} {
		log := bytes.Repeat([]byte(text), (256<<10)/len(text))
		ref := events.AttemptRef{JobRef: events.JobRef{Job: "build"}, Attempt: 1}
		for kind, v := range map[string]View{
			"plain": NewPlain(nowhere{}, Plan{}, Options{Colour: true}),
			"tree":  NewTree(nowhere{}, func() (int, int) { return 80, 24 }, Plan{}, Options{}),
		} {
			b.Run(kind+"/"+name, func(b *testing.B) {
				b.SetBytes(int64(len(log)))
				b.ReportAllocs()
				for b.Loop() {
					v.Log(ref, log)
				}
			})
			v.Close()
		}
	}
}
