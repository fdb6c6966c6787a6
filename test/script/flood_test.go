package script

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/events"
)

const (
	// flood is how much one step prints, in bytes.
	flood = 200 << 20
	// The most memory, in bytes, that a flood may cost.
	mostOfRelevo = 300 << 20
	mostOfAgent  = 64 << 20
)

// drop is a line of the flood.
const drop = "a log that does not want to end, and why should it indeed\n"

// flooding prints as fast as it can while the other job has something to say,
// too.
var flooding = `on: push
jobs:
  flood:
    steps:
      - run: |
          true
          yes '` + strings.TrimSpace(drop) + `' | head -c ` + strconv.Itoa(flood/2) + `
          touch begun
          yes '` + strings.TrimSpace(drop) + `' | head -c ` + strconv.Itoa(flood/2) + `
          echo; echo the end
  other:
    steps:
      - run: while [ ! -e begun ]; do sleep 0.1; done
      - run: |
          true
          echo not drowned
`

// flooded runs a pipeline that floods and watches what relevo and its agents
// take meanwhile.
func flooded(t *testing.T, flags ...string) {
	t.Helper()
	s := newStage(t)
	out := &counter{}
	p := s.startInto(out, append(flags, "run", s.file("flood.yaml", flooding), "--events", "out.jsonl", "--parallel", "2")...)
	var relevo, agent int64
	eventually(t, "relevo ends", func() bool {
		relevo = max(relevo, peak(p.cmd.Process.Pid))
		for _, pid := range append(s.agents(), s.inContainers()...) {
			agent = max(agent, peak(pid))
		}
		select {
		case <-p.done:
			return true
		default:
			return false
		}
	})
	p.ends(0)
	s.clean()
	t.Logf("at most: relevo %d MiB, an agent %d MiB", relevo>>20, agent>>20)
	if relevo == 0 || relevo > mostOfRelevo {
		t.Errorf("relevo took %d bytes, at most %d are allowed", relevo, mostOfRelevo)
	}
	if agent == 0 || agent > mostOfAgent {
		t.Errorf("an agent took %d bytes, at most %d are allowed", agent, mostOfAgent)
	}
	if got, want := out.count("and why should it indeed\n"), flood/2/len(drop)*2; got != want {
		t.Errorf("%d lines were shown, want %d", got, want)
	}
	if out.count("the end\n") != 1 || out.count("not drowned\n") != 1 {
		t.Error("the last lines were not shown")
	}
	tr := s.trace("out.jsonl")
	oneChain(t, tr)
	wholeLogs(t, tr)
	other := tr.last(func(e events.Envelope) bool { return e.Type == events.TypeJobCompleted && job(e) == "other" })
	log := tr.last(func(e events.Envelope) bool { return e.Type == events.TypeLogAppended && job(e) == "flood" })
	if other < 0 || other > log {
		t.Errorf("the other job completed at %d, after the flood, which ended at %d", other, log)
	}
}

// wholeLogs wants the pieces of every log to lie end to end up to its length.
func wholeLogs(t *testing.T, tr trace) {
	t.Helper()
	lengths := map[events.AttemptRef]int64{}
	for _, l := range all[events.LogAppended](t, tr) {
		if l.Offset != lengths[l.AttemptRef] {
			t.Errorf("%s: a piece of the log begins at %d, the one before ended at %d", l.Job, l.Offset, lengths[l.AttemptRef])
		}
		lengths[l.AttemptRef] = l.Offset + l.Length
	}
	for _, e := range all[events.JobEnded](t, tr) {
		if lengths[e.AttemptRef] != e.LogBytes || e.LogBytes == 0 {
			t.Errorf("%s: the log has %d bytes, its pieces %d", e.Job, e.LogBytes, lengths[e.AttemptRef])
		}
	}
}

func TestFloodOfAProcess(t *testing.T) {
	t.Parallel()
	flooded(t)
}

func TestFloodOfAContainer(t *testing.T) {
	t.Parallel()
	flooded(t, inDocker...)
}

// inContainers are the agents in the containers, as this machine sees them.
func (s *stage) inContainers() []int {
	var pids []int
	for _, c := range s.containers() {
		pid, err := strconv.Atoi(inspect(c.ID, "{{.State.Pid}}"))
		if err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// counter counts texts in what is written to it, and keeps nothing.
type counter struct {
	transcript
	seen map[string]int
	rest []byte
}

// watched are the texts that a counter counts.
var watched = []string{"and why should it indeed\n", "the end\n", "not drowned\n"}

func (c *counter) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = map[string]int{}
	}
	// Whole lines only, so that no text is cut in two.
	c.rest = append(c.rest, p...)
	cut := bytes.LastIndexByte(c.rest, '\n') + 1
	for _, text := range watched {
		c.seen[text] += bytes.Count(c.rest[:cut], []byte(text))
	}
	c.rest = append(c.rest[:0], c.rest[cut:]...)
	return len(p), nil
}

func (c *counter) count(text string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[text]
}

// TestOddOutput: no newline at the end, bytes that are no text, carriage
// returns, a line of a megabyte, output after the step's end.
func TestOddOutput(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.start("run", s.file("odd.yaml", `on: push
jobs:
  a:
    steps:
      - run: |
          true
          printf 'no newline'
      - run: printf 'nul \000 high \377\376 end\n'
      - run: printf 'ten\rtwenty\rthirty\n'
      - run: head -c 1048576 /dev/zero | tr '\0' m; echo
      - run: head -c 262144 /dev/urandom | tee random
      - run: |
          echo
          sha256sum random | cut -c1-64
      - run: |
          true
          printf 'the very last'
`), "--events", "out.jsonl")
	p.ends(0)
	s.clean()
	wholeLogs(t, s.trace("out.jsonl"))
	p.prints("no newline\n", "thirty\n", "the very last\n")
	shown := 0
	for _, piece := range regexp.MustCompile("m{1000,}").FindAllString(p.out.String(), -1) {
		shown += len(piece)
	}
	if shown != 1<<20 {
		t.Errorf("%d bytes of the long line were shown, want a megabyte", shown)
	}
	sum := sha256.Sum256([]byte(s.read("random")))
	p.prints(hex.EncodeToString(sum[:]) + "\n")
}

// TestMaskedAcrossWrites: a secret that comes in two writes is still masked.
func TestMaskedAcrossWrites(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.start("run", s.file("mask.yaml", `on: push
jobs:
  a:
    outputs:
      leak: ${{ steps.leak.outputs.leak }}
    steps:
      - run: |
          part=hunter
          echo "::add-mask::${part}2-secret"
      - run: |
          printf 'begin hunter'
          sleep 0.3
          printf '2-sec'
          sleep 0.3
          printf 'ret end\n'
          echo aHVudGVyMi1zZWNyZXQ= | base64 -d
          echo
      - id: leak
        run: echo "leak=hunter""2-secret" >> "$GITHUB_OUTPUT"
`), "--events", "out.jsonl")
	p.ends(0)
	s.clean()
	p.prints("begin *** end\n")
	for name, text := range map[string]string{"the output": p.out.String(), "the events": s.read("out.jsonl")} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s shows the secret", name)
		}
	}
}
