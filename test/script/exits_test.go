package script

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/relevo-ci/relevo/events"
)

func TestFailingJobExitsWithOne(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.start("run", s.file("fail.yaml", `on: push
jobs:
  a:
    steps:
      - run: exit 7
  b:
    needs: a
    steps: [{run: echo never}]
`), "--events", "out.jsonl")
	p.ends(1)
	p.prints("exited with 7")
	s.clean()
	tr := s.trace("out.jsonl")
	oneChain(t, tr)
	if failed := all[events.RunFailed](t, tr)[0]; failed.Verdict != events.Failed || !strings.Contains(failed.Reason, "exited with 7") {
		t.Errorf("the run failed as %+v", failed)
	}
	if skipped := all[events.JobSkipped](t, tr); len(skipped) != 1 || skipped[0].Job != "b" {
		t.Errorf("skipped: %+v", skipped)
	}
}

func TestImageThatCannotBePulledExitsWithThree(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.start("run", s.file("hi.yaml", "on: push\njobs: {a: {steps: [{run: echo hi}]}}\n"),
		"--provider", "docker", "--image", "localhost:1/none", "--events", "out.jsonl")
	p.ends(3)
	p.prints("localhost:1/none", "docker pull") // what is wrong, and what to do
	s.clean()
	tr := s.trace("out.jsonl")
	oneChain(t, tr)
	if failed := all[events.RunFailed](t, tr)[0]; failed.Verdict != events.Infra {
		t.Errorf("the run failed as %+v", failed)
	}
}

func TestJobThatNoNodeCanTakeExitsWithThree(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]string{"nonexistent-label": "runs-on: nonexistent-label", "memory": "resources: {memory: 10Ti}"} {
		s := newStage(t)
		p := s.start("run", s.file("ask.yaml", "on: push\njobs: {a: {"+ask+", steps: [{run: echo hi}]}}\n"), "--events", "out.jsonl")
		p.ends(3)
		p.prints(name, "local") // what the node lacks
		s.clean()
		tr := s.trace("out.jsonl")
		oneChain(t, tr)
		if failed := all[events.RunFailed](t, tr)[0]; failed.Verdict != events.Rejected {
			t.Errorf("the run failed as %+v", failed)
		}
	}
}

func TestDaemonThatDoesNotAnswerExitsWithThree(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.env = append(s.env, "RELEVO_PROVIDER_DOCKER_HOST=unix://"+s.temp+"/none.sock")
	p := s.start("run", s.file("hi.yaml", "on: push\njobs: {a: {steps: [{run: echo hi}]}}\n"), "--provider", "docker", "--image", image)
	p.ends(3)
	p.prints("none.sock", "DOCKER_HOST")
	s.clean()
}

// stubborn is a job that does not want to end: it ignores being asked, and has
// a child in a session of its own.
const stubborn = `on: push
jobs:
  a:
    steps:
      - run: |
          trap '' TERM INT HUP
          setsid sh -c 'trap "" TERM INT HUP; echo $$ > child; while :; do sleep 0.1; done' &
          echo $$ > parent
          echo begun > begun
          while :; do sleep 0.1; done
  b:
    needs: a
    if: always()
    steps: [{run: echo never}]
`

func TestInterruptEndsProcesses(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.start("run", s.file("stubborn.yaml", stubborn), "--events", "out.jsonl")
	s.await("begun", "begun")
	var pids []int
	for _, name := range []string{"parent", "child"} {
		s.await(name, "\n")
		pid, err := strconv.Atoi(strings.TrimSpace(s.read(name)))
		if err != nil || !alive(pid) {
			t.Fatalf("%s is no process: %q", name, s.read(name))
		}
		pids = append(pids, pid)
	}
	p.signal(syscall.SIGINT)
	p.ends(130)
	p.printsNot("not removed")
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d of the step lives on", pid)
		}
	}
	s.clean()
	s.wantCancelled()
}

func TestInterruptEndsContainers(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.start("run", s.file("stubborn.yaml", stubborn), "--events", "out.jsonl", "--provider", "docker", "--image", image)
	s.await("begun", "begun")
	s.await("child", "\n")
	c := s.container()
	if c.Job != "a" || len(networks(t, c.Installation)) == 0 {
		t.Errorf("container %+v, networks %v", c, networks(t, c.Installation))
	}
	p.signal(syscall.SIGINT)
	p.ends(130)
	p.printsNot("not removed")
	s.clean()
	if left := networks(t, c.Installation); len(left) > 0 {
		t.Errorf("networks %v are left", left)
	}
	s.wantCancelled()
}

// wantCancelled wants the run of a stubborn pipeline to have been cancelled as
// a whole.
func (s *stage) wantCancelled() {
	s.t.Helper()
	tr := s.trace("out.jsonl")
	oneChain(s.t, tr)
	tr.only(s.t, events.TypeRunCancelled)
	tr.only(s.t, events.TypeCancelRequested)
	if n := len(tr.of(events.TypeJobCancelled)); n != 2 {
		s.t.Errorf("%d jobs were cancelled, want 2", n)
	}
	for _, a := range tr.of(events.TypeAssignmentCreated) {
		if n := tr.last(func(e events.Envelope) bool {
			return e.Type == events.TypeAssignmentReleased && e.Subject == a.Subject
		}); n < 0 {
			s.t.Errorf("%s was never released", a.Subject)
		}
	}
}

// TestKilledRunLeavesNothingRunning: nobody comes back for what a run left, so its
// workers end by themselves, with all that their steps began.
func TestKilledRunLeavesNothingRunning(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string][]string{"process": nil, "docker": inDocker} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			p := s.start(append([]string{"run", s.file("stubborn.yaml", stubborn)}, flags...)...)
			s.await("begun", "begun")
			left := s.agents
			if name == "docker" {
				c := s.container()
				t.Cleanup(func() {
					docker(t, "rm", "--force", c.ID)
					docker(t, append([]string{"network", "rm"}, networks(t, c.Installation)...)...)
				})
				left = func() []int {
					if docker(t, "inspect", "--format", "{{.State.Running}}", c.ID) == "true" {
						return []int{1}
					}
					return nil
				}
			}
			if len(left()) == 0 {
				t.Fatal("there is no worker")
			}
			p.signal(syscall.SIGKILL)
			eventually(t, "no worker is left", func() bool { return len(left()) == 0 })
		})
	}
}

// TestSecondInterruptLeavesAtOnce: whoever cannot wait may leave; the agent
// notices that its control plane is gone.
func TestSecondInterruptLeavesAtOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.start("run", s.file("stubborn.yaml", stubborn), "--events", "out.jsonl")
	s.await("begun", "begun")
	p.signal(syscall.SIGINT)
	eventually(t, "the first interrupt is noticed", func() bool { return strings.Contains(p.out.String(), "cancelling") })
	p.signal(syscall.SIGINT)
	p.ends(130)
	text, err := os.ReadFile(filepath.Join(s.dir, "out.jsonl"))
	if err != nil || len(text) == 0 || !strings.HasSuffix(string(text), "}\n") {
		t.Errorf("the events are not whole: %v, %d bytes", err, len(text))
	}
	eventually(t, "no worker is left", func() bool { return len(s.agents()) == 0 })
}

// TestEventsAreWrittenAsTheyHappen: who follows the file sees the run.
func TestEventsAreWrittenAsTheyHappen(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.start("run", s.file("gate.yaml", `on: push
jobs:
  a:
    steps:
      - run: while [ ! -e open ]; do sleep 0.1; done
`), "--events", "out.jsonl")
	s.await("out.jsonl", string(events.TypeStepStarted))
	s.file("open", "")
	p.ends(0)
	s.clean()
}

// TestLongTemporaryFolder: the address of a socket holds some hundred bytes.
func TestLongTemporaryFolder(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	long := filepath.Join(s.temp, strings.Repeat("long", 30))
	if err := os.MkdirAll(long, 0o755); err != nil {
		t.Fatal(err)
	}
	s.env = append(s.env, "TMPDIR="+long)
	p := s.start("run", s.file("hi.yaml", "on: push\njobs: {a: {steps: [{run: echo hi}]}}\n"))
	p.ends(3)
	p.prints("TMPDIR")
	if left, err := os.ReadDir(long); err != nil || len(left) > 0 {
		t.Errorf("left in the temporary folder: %v %v", left, err)
	}
}
