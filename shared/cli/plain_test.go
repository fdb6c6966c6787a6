package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// plainOf shows what play does, as lines.
func plainOf(t *testing.T, plan Plan, o Options, play func(*script)) string {
	t.Helper()
	var out bytes.Buffer
	v := NewPlain(&out, plan, o)
	play(newScript(t, v, plan))
	v.Close()
	return out.String()
}

func TestPlainShowsARun(t *testing.T) {
	story := func(s *script) { playRelease(s, func(string) {}) }
	golden(t, "release.plain", plainOf(t, release, Options{}, story))
	golden(t, "release.colour", plainOf(t, release, Options{Colour: true}, story))
}

func TestPlainShowsTheEndsOfJobs(t *testing.T) {
	plan := Plan{Run: testRun, Pipeline: "ends"}
	for _, k := range []events.JobKey{"infra", "timeout", "rejected", "tolerated", "unknown"} {
		plan.Jobs = append(plan.Jobs, Job{Key: k})
	}
	golden(t, "ends.plain", plainOf(t, plan, Options{}, func(s *script) {
		s.begin()
		a := s.job("infra", 1).run().step("0", "one").log("last words")
		s.wait(time.Second)
		a.emit(events.JobFailed{AttemptRef: a.ref, Verdict: events.Infra, Reason: "evicted\nby the kubelet", Terminated: true})
		b := s.job("timeout", 1).run().step("0", "Run sleep")
		b.failed(events.Timeout, "the job took longer than 1s", events.StepResult{
			ID: "0", Name: "Run sleep", Conclusion: "timeout", Outcome: "timeout", Exit: -1, Millis: 1000,
		})
		s.job("rejected", 1).requested().offered().failed(events.Rejected, "no node of pool local can ever run it")
		c := s.job("tolerated", 1).run().step("0", "flaky")
		s.wait(time.Second)
		c.emit(events.StepFailed{AttemptRef: c.ref, Step: events.StepResult{
			ID: "0", Name: "flaky", Conclusion: "success", Outcome: "failure", Exit: 3, Millis: 1000,
		}})
		c.completed()
		s.view.Notice("press Ctrl-C again to leave at once")
		s.emit(events.CancelRequested{RunRef: s.runRef(), Reason: "interrupted"})
		s.emit(events.RunCancelled{RunRef: s.runRef(), Reason: "interrupted"})
	}))
}

// Events come twice, late and in any order: what is shown of a job's end and
// of its steps stays the same.
func TestPlainHearsEventsInAnyOrder(t *testing.T) {
	play := func(s *script) { playRelease(s, func(string) {}) }
	record := newScript(t, deaf{}, release)
	play(record)
	once := plainOf(t, release, Options{}, func(s *script) { replay(s, record.sent) })
	twice := plainOf(t, release, Options{}, func(s *script) {
		for _, e := range record.sent {
			replay(s, []events.Envelope{e, e})
		}
	})
	if once != twice {
		t.Errorf("events that come twice show otherwise:\n%s\nonce:\n%s", twice, once)
	}
	late := plainOf(t, release, Options{}, func(s *script) {
		replay(s, record.sent)
		replay(s, record.sent)
	})
	if once != late {
		t.Errorf("events that come again late show otherwise:\n%s\nonce:\n%s", late, once)
	}
	backwards := plainOf(t, release, Options{}, func(s *script) {
		for i := len(record.sent) - 1; i >= 0; i-- {
			s.view.Event(record.sent[i])
		}
	})
	if got, want := table1(backwards), table1(once); got != want {
		t.Errorf("events in reverse order end otherwise:\n%s\nin order:\n%s", got, want)
	}
}

func replay(s *script, es []events.Envelope) {
	for _, e := range es {
		s.view.Event(e)
	}
}

// table1 is the summary's table.
func table1(out string) string {
	_, after, _ := strings.Cut(out, "JOB ")
	jobs, _, _ := strings.Cut(after, "\n\n")
	return jobs
}

// deaf is a view that shows nothing.
type deaf struct{}

func (deaf) Event(events.Envelope)         {}
func (deaf) Log(events.AttemptRef, []byte) {}
func (deaf) Notice(string)                 {}
func (deaf) Close()                        {}

func TestPlainLosesNoLine(t *testing.T) {
	const lines = 20000
	var in bytes.Buffer
	for i := range lines {
		fmt.Fprintf(&in, "line %d of many\n", i)
	}
	for _, cut := range []int{1, 7, 4096, in.Len()} {
		out := plainOf(t, Plan{}, Options{}, func(s *script) {
			a := s.job("build", 1)
			for b := in.String(); b != ""; {
				n := min(cut, len(b))
				a.log(b[:n])
				b = b[n:]
			}
		})
		for i := range lines {
			want := fmt.Sprintf("build | line %d of many\n", i)
			if !strings.HasPrefix(out, want) {
				t.Fatalf("cut at %d: line %d is %.60q", cut, i, out)
			}
			out = out[len(want):]
		}
	}
}

// A last line without an end is shown once the log is known to be whole,
// whichever comes first, the line or the word of its length.
func TestPlainShowsTheLastLineInTime(t *testing.T) {
	for name, wordFirst := range map[string]bool{"word first": true, "line first": false} {
		out := plainOf(t, Plan{}, Options{}, func(s *script) {
			a := s.job("build", 1).run()
			word := events.JobEnded{AttemptRef: a.ref, Verdict: events.Succeeded, LogBytes: int64(len("first\nlast"))}
			a.log("first\nla")
			if wordFirst {
				s.emit(word)
				a.log("st")
			} else {
				a.log("st")
				s.emit(word)
			}
			s.emit(events.JobCompleted{AttemptRef: a.ref})
		})
		if !strings.Contains(out, "build | first\nbuild | last\nbuild * succeeded") {
			t.Errorf("%s: got\n%s", name, out)
		}
	}
}

// gate is an output that takes nothing until it is opened.
type gate struct {
	bytes.Buffer
	open chan struct{}
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	return g.Buffer.Write(p)
}

func TestEventsDoNotWaitForTheOutput(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	v := NewPlain(g, Plan{}, Options{})
	s := newScript(t, v, Plan{})
	a := s.job("build", 1).run()
	full := make(chan struct{})
	go func() { // more than may wait for the output: Log has to
		a.view.Log(a.ref, bytes.Repeat([]byte("x\n"), 2*backlog))
		close(full)
	}()
	for range 1000 {
		a.job("other", 1).run()
	}
	select {
	case <-full:
		t.Error("Log did not wait for an output that takes nothing")
	default:
	}
	close(g.open)
	<-full
	v.Close()
	if n := strings.Count(g.String(), "build | x\n"); n != 2*backlog {
		t.Errorf("%d of %d lines came", n, 2*backlog)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("nobody reads") }

func TestPlainEndsThoughNobodyReads(t *testing.T) {
	v := NewPlain(broken{}, Plan{}, Options{})
	v.Log(events.AttemptRef{JobRef: events.JobRef{Job: "a"}, Attempt: 1}, bytes.Repeat([]byte("x\n"), 3*backlog))
	v.Close()
	v.Close()
	v.Event(events.Envelope{})
	v.Notice("after the end")
	v.Log(events.AttemptRef{}, []byte("after the end"))
	if s := v.Summary(); len(s.Jobs) != 1 {
		t.Errorf("after the end there are jobs %v", s.Jobs)
	}
}

func TestLogWriter(t *testing.T) {
	var out bytes.Buffer
	l := NewLog(&out, Options{Colour: true})
	if _, err := io.Copy(l, strings.NewReader("a\r\n\x1b[31mb\x1b[2J\n10%\r20%\rdone")); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "a\n\x1b[31mb\x1b[0m\n10%\n20%\ndone\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := NewLog(broken{}, Options{}).Write([]byte("x\n")); err == nil {
		t.Error("an output that fails goes unnoticed")
	}
}

func TestPlainShowsWhatJobsAwait(t *testing.T) {
	plan := Plan{Run: testRun, Pipeline: "gates", Jobs: []Job{{Key: "staged"}, {Key: "look"}}}
	golden(t, "awaits.plain", plainOf(t, plan, Options{}, func(s *script) {
		s.begin()
		ref := func(key events.JobKey) events.JobRef { return events.JobRef{Run: testRun, Job: key} }
		until := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
		for range 2 { // told again
			s.emit(events.AwaitRequested{JobRef: ref("staged"), Name: "staged", Type: "com.example.deployed", Where: "stage = 'eu'", Deadline: until})
		}
		s.emit(events.AwaitRequested{JobRef: ref("look"), Name: "Somebody looks", Approval: true, Deadline: until})
		s.wait(time.Minute)
		s.emit(events.JobCompleted{AttemptRef: events.AttemptRef{JobRef: ref("staged")}})
		s.emit(events.JobFailed{AttemptRef: events.AttemptRef{JobRef: ref("look")}, Verdict: events.Failed, Reason: "refused by ada: not today"})
	}))
}
