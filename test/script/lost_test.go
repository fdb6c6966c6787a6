package script

import (
	"strings"
	"syscall"
	"testing"

	"github.com/relevo-ci/relevo/events"
)

// killed runs the gated pipeline and lets kill end the worker of its first
// attempt in mid-step. The second attempt has to make it good, on the budget
// for lost workers.
func killed(t *testing.T, kill func(s *stage), flags ...string) {
	t.Helper()
	s := newStage(t)
	p := s.start(append(flags, "run", s.file("gated.yaml", gated), "--events", "out.jsonl")...)
	s.await("begun", "\n")
	kill(s)
	eventually(t, "a second attempt begins", func() bool { return strings.Count(s.read("begun"), "\n") == 2 })
	s.file("open", "")
	p.ends(0)
	p.prints("after all\n")
	s.clean()

	tr := s.trace("out.jsonl")
	oneChain(t, tr)
	ordered(t, tr)
	retried := all[events.JobRetried](t, tr)
	if len(retried) != 1 {
		t.Fatalf("retries: %+v, want one", retried)
	}
	if r := retried[0]; r.Verdict != events.Infra || r.Budget != "infra" || r.Attempt != 1 || r.Job != "a" {
		t.Errorf("retried as %+v", r)
	}
	var first, second events.JobScheduled
	for _, d := range all[events.JobScheduled](t, tr) {
		switch {
		case d.Job == "a" && d.Attempt == 1:
			first = d
		case d.Job == "a" && d.Attempt == 2:
			second = d
		}
	}
	if second.Fence.Compare(first.Fence) <= 0 || second.Worker == first.Worker {
		t.Errorf("the second attempt %+v does not come after the first %+v", second, first)
	}
	if want := string(second.Worker) + "\n"; s.read("ended") != want {
		t.Errorf("ended: %q, want the second worker alone, %q", s.read("ended"), want)
	}
	for _, d := range all[events.JobCompleted](t, tr) {
		if d.Job == "a" && d.Attempt != 2 {
			t.Errorf("attempt %d completed the job", d.Attempt)
		}
	}
}

func TestContainerRemovedInMidStepIsTriedAgain(t *testing.T) {
	t.Parallel()
	killed(t, func(s *stage) { docker(t, "rm", "--force", s.container().ID) }, inDocker...)
}

func TestContainerKilledInMidStepIsTriedAgain(t *testing.T) {
	t.Parallel()
	killed(t, func(s *stage) { docker(t, "kill", s.container().ID) }, inDocker...)
}

func TestAgentKilledInMidStepIsTriedAgain(t *testing.T) {
	t.Parallel()
	killed(t, func(s *stage) {
		agents := s.agents()
		if len(agents) != 1 {
			t.Fatalf("agents: %v, want one", agents)
		}
		if err := syscall.Kill(agents[0], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	})
}

// TestKilledAgentLeavesNothingRunning: what a step put into a session of its
// own goes with the worker too.
func TestKilledAgentLeavesNothingRunning(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.start("run", s.file("child.yaml", `on: push
jobs:
  a:
    steps:
      - run: |
          if [ -e child ]; then exit 0; fi
          setsid sh -c 'trap "" TERM INT HUP; echo $$ > child; while :; do sleep 0.1; done' &
          while [ ! -e open ]; do sleep 0.1; done
`))
	s.await("child", "\n")
	eventually(t, "there is one agent", func() bool { return len(s.agents()) == 1 })
	if err := syscall.Kill(s.agents()[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.ends(0)
	s.clean()
}

// TestUserRetriesAreLeftAfterALostWorker: the job fails once by itself after
// its worker was lost once, with one retry of its own.
func TestUserRetriesAreLeftAfterALostWorker(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.start("run", s.file("both.yaml", `on: push
jobs:
  a:
    retry: {max: 1, backoff: 0s}
    steps:
      - run: |
          echo attempt >> begun
          case $(wc -l < begun) in
          1) while :; do sleep 0.1; done ;;
          2) exit 1 ;;
          esac
`), "--events", "out.jsonl")
	s.await("begun", "\n")
	eventually(t, "there is one agent", func() bool { return len(s.agents()) == 1 })
	if err := syscall.Kill(s.agents()[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.ends(0)
	s.clean()
	tr := s.trace("out.jsonl")
	oneChain(t, tr)
	var budgets []string
	for _, r := range all[events.JobRetried](t, tr) {
		budgets = append(budgets, r.Budget+" "+string(r.Verdict))
	}
	if got := strings.Join(budgets, ", "); got != "infra infra, user failed" {
		t.Errorf("retries by %s, want infra infra, user failed", got)
	}
}
