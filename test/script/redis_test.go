package script

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/relevo-ci/relevo/events"
)

// server is a redis-server that syncs every write to disk.
type server struct {
	t    *testing.T
	dir  string
	port int
	cmd  *exec.Cmd
}

func newServer(t *testing.T) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, dir: t.TempDir(), port: l.Addr().(*net.TCPAddr).Port}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s.start()
	t.Cleanup(func() {
		_ = s.cmd.Process.Signal(syscall.SIGCONT)
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	})
	return s
}

func (s *server) url() string { return fmt.Sprintf("redis://127.0.0.1:%d/0", s.port) }

// start starts the server and waits until it answers.
func (s *server) start() {
	s.t.Helper()
	s.cmd = exec.Command("redis-server", "--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir,
		"--appendonly", "yes", "--appendfsync", "always", "--save", "")
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", s.port)})
	defer client.Close()
	eventually(s.t, "redis-server answers", func() bool { return client.Ping(context.Background()).Err() == nil })
}

// stop ends the server as an operator would.
func (s *server) stop() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	_ = s.cmd.Wait() // the state says it
	if !s.cmd.ProcessState.Success() {
		s.t.Fatalf("redis-server: %v", s.cmd.ProcessState)
	}
}

func (s *server) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// ticking are three jobs that say what they do, to their log and to files:
// first ends, and talker goes on, while the state is away; second follows.
const ticking = `on: push
jobs:
  first:
    steps:
      - run: |
          echo step >> first.steps
          echo first >> began
          while [ ! -e away ]; do sleep 0.1; done
          i=0
          while [ $i -lt 20 ]; do i=$((i + 1)); echo "tick first $i."; done
          echo ended > first.ended
  talker:
    steps:
      - run: |
          echo step >> talker.steps
          echo talker >> began
          i=0
          while [ ! -e back ]; do i=$((i + 1)); echo "tick talker $i."; sleep 0.1; done
          echo $i > talker.ticks
      - run: echo step >> talker.steps2
  second:
    needs: first
    outputs: {word: "${{ steps.say.outputs.word }}"}
    steps:
      - id: say
        run: |
          echo step >> second.steps
          echo "tick second 1."
          echo "word=done" >> "$GITHUB_OUTPUT"
`

// outage is how long the state is away.
const outage = 20 * time.Second

// outlives runs the ticking pipeline while the state goes away and comes back.
// Nothing may be lost, and nothing may happen twice.
func outlives(t *testing.T, away, back func(*server)) {
	t.Helper()
	srv := newServer(t)
	s := newStage(t)
	p := s.start("run", s.file("ticking.yaml", ticking), "--redis", srv.url(), "--events", "out.jsonl", "--parallel", "2")
	s.await("began", "first")
	s.await("began", "talker")
	away(srv)
	since := time.Now()
	s.file("away", "")
	eventually(t, "the outage is over", func() bool { return time.Since(since) >= outage })
	if s.read("second.steps") != "" {
		t.Error("the second job ran though nobody could know that the first had ended")
	}
	back(srv)
	s.await("second.steps", "step") // the relay goes on
	s.file("back", "")
	p.ends(0)
	s.clean()
	ranOnce(t, s)
	wantTicks(t, p.out.String(), map[string]int{"first": 20, "talker": s.ticks(), "second": 1})
	tr := s.trace("out.jsonl")
	oneChain(t, tr)
	wholeLogs(t, tr)
	if n := len(tr.of(events.TypeJobRetried)); n > 0 {
		t.Errorf("%d attempts were given up", n)
	}
}

// ranOnce wants each step of the ticking pipeline to have run once.
func ranOnce(t *testing.T, s *stage) {
	t.Helper()
	for _, name := range []string{"first.steps", "talker.steps", "talker.steps2", "second.steps"} {
		if got := s.read(name); got != "step\n" {
			t.Errorf("%s: %q, want that the step ran once", name, got)
		}
	}
}

// ticks is how often the talker ticked.
func (s *stage) ticks() int {
	s.t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(s.read("talker.ticks")))
	if err != nil {
		s.t.Error(err)
	}
	return n
}

var tick = regexp.MustCompile(`tick ([a-z]+) ([0-9]+)\.\n`)

// wantTicks wants each job to have counted up to its number in the log,
// leaving out none and saying none twice.
func wantTicks(t *testing.T, log string, want map[string]int) {
	t.Helper()
	got := map[string]int{}
	for _, m := range tick.FindAllStringSubmatch(log, -1) {
		n, _ := strconv.Atoi(m[2])
		if n != got[m[1]]+1 {
			t.Errorf("%s: tick %d follows tick %d", m[1], n, got[m[1]])
		}
		got[m[1]] = n
	}
	for job, n := range want {
		if got[job] != n {
			t.Errorf("%s: %d ticks were shown, want %d", job, got[job], n)
		}
	}
}

func TestRunOutlivesAFrozenRedis(t *testing.T) {
	t.Parallel()
	outlives(t,
		func(s *server) { s.signal(syscall.SIGSTOP) },
		func(s *server) { s.signal(syscall.SIGCONT) })
}

func TestRunOutlivesARestartedRedis(t *testing.T) {
	t.Parallel()
	outlives(t, (*server).stop, (*server).start)
}
