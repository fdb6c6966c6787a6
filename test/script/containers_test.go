package script

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/events"
)

// inDocker are the flags that let jobs run in containers.
var inDocker = []string{"--provider", "docker", "--image", image}

func TestDiamondInContainers(t *testing.T) {
	t.Parallel()
	tr := diamond(t, inDocker...)
	oneChain(t, tr)
	ordered(t, tr)
	for _, w := range all[events.WorkerCreated](t, tr) {
		if w.Provider != "docker" {
			t.Errorf("worker %s is of %s", w.Worker, w.Provider)
		}
	}
}

var socket = regexp.MustCompile(`found /\S*\.sock`)

// TestContainerIsClosed looks around in a job: its limits, its place, and what
// it must not have.
func TestContainerIsClosed(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.env = append(s.env, "RELEVO_API_TOKEN=hush-hush", "MY_PASSWORD=hush-hush")
	s.file("greeting", "from outside\n")
	p := s.start(append(inDocker, "run", s.file("look.yaml", `on: push
jobs:
  a:
    resources: {cpu: 500m, memory: 64Mi}
    steps:
      - run: |
          echo "at $PWD"
          cat greeting
          echo from inside > answer
      - run: |
          for f in /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max; do
            if [ -e $f ]; then echo "memory $(cat $f)"; fi
          done
          if [ -e /sys/fs/cgroup/cpu.max ]; then
            echo "cpu $(cat /sys/fs/cgroup/cpu.max)"
          else
            echo "cpu $(cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us) $(cat /sys/fs/cgroup/cpu/cpu.cfs_period_us)"
          fi
      - run: |
          find / -name 'docker.s[o]ck' -o -name 'containerd.s[o]ck' 2>/dev/null | sed 's/^/found /'
          env | sed 's/^/env /'
          tr '\0' '\n' < /proc/1/environ | sed 's/^/first env /'
          tr '\0' ' ' < /proc/1/cmdline | sed 's/^/first argv /'
`))...)
	p.ends(0)
	p.prints("at /workspace\n", "from outside\n", "memory 67108864\n", "cpu 50000 100000\n", "env CI=true\n")
	if got := s.read("answer"); got != "from inside\n" {
		t.Errorf("the job wrote %q", got)
	}
	for line := range strings.Lines(p.out.String()) {
		switch {
		case socket.MatchString(line):
			t.Errorf("the container has a socket of the daemon: %s", line)
		case strings.Contains(line, "hush-hush"):
			t.Errorf("a secret of the host: %s", line)
		case strings.Contains(line, "env ") && (strings.Contains(line, "TOKEN") || strings.Contains(line, "SECRET")):
			t.Errorf("a token: %s", line)
		}
	}
	s.clean()
}

// gated is a job that says who it is and waits to be let on.
const gated = `on: push
jobs:
  a:
    retry: {max: 1}
    steps:
      - run: |
          echo "$RUNNER_NAME" >> begun
          while [ ! -e open ]; do sleep 0.1; done
          echo "$RUNNER_NAME" >> ended
  b:
    needs: a
    steps: [{run: echo "after all"}]
`

// TestTwoRunsOnOneDaemon: they see nothing of each other.
func TestTwoRunsOnOneDaemon(t *testing.T) {
	t.Parallel()
	stages := []*stage{newStage(t), newStage(t)}
	var programs []*program
	for _, s := range stages {
		programs = append(programs, s.start(append(inDocker, "run", s.file("gated.yaml", gated), "--events", "out.jsonl")...))
	}
	var installations []string
	for _, s := range stages {
		s.await("begun", "\n")
		c := s.container()
		if c.Worker != strings.TrimSpace(s.read("begun")) {
			t.Errorf("the container's worker is %s, the job calls itself %s", c.Worker, s.read("begun"))
		}
		installations = append(installations, c.Installation)
	}
	if installations[0] == installations[1] || installations[0] == "" {
		t.Errorf("the installations are %q", installations)
	}
	workers := make([][]string, len(stages))
	for i, s := range stages {
		s.file("open", "")
		programs[i].ends(0)
		programs[i].prints("after all\n")
		s.clean()
		tr := s.trace("out.jsonl")
		oneChain(t, tr)
		run := tr.only(t, events.TypeRunRequested).RunID
		for _, e := range tr {
			if e.RunID != "" && e.RunID != run {
				t.Errorf("%s is of another run", short(e))
			}
		}
		for _, w := range all[events.WorkerTerminated](t, tr) {
			workers[i] = append(workers[i], string(w.Worker))
		}
	}
	for _, w := range workers[0] {
		if slices.Contains(workers[1], w) {
			t.Errorf("both runs speak of worker %s", w)
		}
	}
	if len(workers[0]) != 2 || len(workers[1]) != 2 {
		t.Errorf("workers that ended: %v, want two each", workers)
	}
}
