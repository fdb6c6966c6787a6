package script

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// host is a `relevo up` that may die and come back.
type host struct {
	*stage
	data  string
	flags []string
	*program
	url string
	// networks of the installation stay for its next start.
	networks []string
}

func newHost(t *testing.T, flags ...string) *host {
	t.Helper()
	s := newStage(t)
	h := &host{stage: s, data: filepath.Join(filepath.Dir(s.dir), "d"), flags: flags}
	h.up()
	t.Cleanup(h.removeNetworks)
	return h
}

var upAt = regexp.MustCompile(`relevo is up at (http://\S+)`)

// up starts it, again too, and waits until it serves.
func (h *host) up() {
	h.stage.t.Helper()
	h.program = h.start(append([]string{"up", "--listen", "127.0.0.1:0", "--data", h.data, "--workspace", h.dir, "--parallel", "2"}, h.flags...)...)
	eventually(h.stage.t, "relevo is up", func() bool {
		m := upAt.FindStringSubmatch(h.out.String())
		if m != nil {
			h.url = m[1]
		}
		return m != nil
	})
}

// call runs a command against the host and gives its output; it has to exit
// with this status.
func (h *host) call(status int, args ...string) string {
	h.stage.t.Helper()
	cmd := exec.Command(filepath.Join(bin, "relevo"), append(args, "--server", h.url)...)
	cmd.Dir, cmd.Env = h.dir, h.env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != status {
		h.stage.t.Fatalf("relevo %s: %v, want exit status %d: %s%s", strings.Join(args, " "), err, status, out, stderr.String())
	}
	return string(out)
}

// submit hands a pipeline in and gives the run's id.
func (h *host) submit(file string) string {
	h.stage.t.Helper()
	return strings.TrimSpace(h.call(0, "submit", file))
}

// becomes waits until a run reaches a state.
func (h *host) becomes(run, state string) {
	h.stage.t.Helper()
	line := regexp.MustCompile(`(?m)^` + run + `\s+\S+\s+` + state + `\s`)
	eventually(h.stage.t, "the run is "+state, func() bool { return line.MatchString(h.call(0, "get", run)) })
}

// gone waits until no worker is left.
func (h *host) gone() {
	h.stage.t.Helper()
	eventually(h.stage.t, "no worker is left", func() bool { return len(h.agents()) == 0 && len(h.containers()) == 0 })
}

// note remembers the networks of the containers that run.
func (h *host) note() {
	h.stage.t.Helper()
	for _, c := range h.containers() {
		h.networks = append(h.networks, networks(h.stage.t, c.Installation)...)
	}
}

func (h *host) removeNetworks() {
	slices.Sort(h.networks)
	for _, n := range slices.Compact(h.networks) {
		docker(h.stage.t, "network", "rm", n)
	}
}

// crashes kills relevo in mid-run and starts it again. No step may run twice,
// and no line of a log may be lost or said twice.
func crashes(t *testing.T, sig syscall.Signal, flags ...string) {
	t.Helper()
	h := newHost(t, flags...)
	run := h.submit(h.file("ticking.yaml", ticking))
	h.await("began", "first")
	h.await("began", "talker")
	h.note()
	h.signal(sig)
	h.wait()
	h.file("away", "") // the first job ends while nobody hears of it
	h.await("first.ended", "ended")
	if h.read("second.steps") != "" {
		t.Error("the second job ran without a control plane")
	}
	h.up()
	h.await("second.steps", "step")
	h.file("back", "")
	h.becomes(run, "SUCCEEDED")
	h.gone()

	ranOnce(t, h.stage)
	for job, n := range map[string]int{"first": 20, "talker": h.ticks(), "second": 1} {
		wantTicks(t, h.call(0, "logs", run+"."+job), map[string]int{job: n})
	}
	for _, job := range []string{"first", "talker", "second"} {
		if !regexp.MustCompile(`(?m)^` + job + `\s+` + job + `\s+SUCCEEDED\s+1\s`).MatchString(h.call(0, "get", run)) {
			t.Errorf("job %s did not succeed at its first attempt:\n%s", job, h.call(0, "get", run))
		}
	}
	h.signal(syscall.SIGTERM)
	h.ends(0)
	for _, pid := range h.processes() {
		t.Errorf("process %d is left", pid)
	}
}

func TestUpKilledInMidRunGoesOnWithContainers(t *testing.T) {
	t.Parallel()
	crashes(t, syscall.SIGKILL, inDocker...)
}

func TestUpKilledInMidRunGoesOnWithProcesses(t *testing.T) {
	t.Parallel()
	crashes(t, syscall.SIGKILL)
}

func TestUpStoppedInMidRunGoesOnWithContainers(t *testing.T) {
	t.Parallel()
	crashes(t, syscall.SIGTERM, inDocker...)
}

func TestCancelEndsContainers(t *testing.T) {
	t.Parallel()
	h := newHost(t, inDocker...)
	run := h.submit(h.file("stubborn.yaml", stubborn))
	h.await("begun", "begun")
	h.note()
	c := h.container()
	if c.Run != run || c.Job != "a" {
		t.Errorf("container %+v of run %s", c, run)
	}
	h.call(0, "cancel", run, "--reason", "enough of it")
	h.becomes(run, "CANCELLED")
	h.gone()
	if out := h.call(0, "explain", run); !strings.Contains(out, "enough of it") {
		t.Errorf("explain does not say why: %s", out)
	}
	h.signal(syscall.SIGTERM)
	h.ends(0)
}

func TestCommandsOfAHost(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	hopeless := h.submit(h.file("hopeless.yaml", "on: push\njobs: {a: {runs-on: nonexistent-label, steps: [{run: echo hi}]}}\n"))
	h.becomes(hopeless, "FAILED")
	if out := h.call(0, "explain", hopeless); !strings.Contains(out, "nonexistent-label") {
		t.Errorf("explain does not say why: %s", out)
	}
	run := h.submit(h.file("gated.yaml", gated))
	h.await("begun", "\n")
	follow := h.start("logs", "--follow", run+".b", "--server", h.url)
	if out := h.call(0, "get"); !strings.Contains(out, run) || !strings.Contains(out, hopeless) {
		t.Errorf("the list lacks runs: %s", out)
	}
	if out := h.call(0, "explain", run); !strings.Contains(out, "a (RUNNING)") {
		t.Errorf("explain: %s", out)
	}
	h.file("open", "")
	follow.ends(0)
	follow.prints("after all\n")
	h.becomes(run, "SUCCEEDED")
	h.call(2, "get", "01HZZZZZZZZZZZZZZZZZZZZZZZ")
	h.call(2, "logs", run+".nothing")
	h.call(2, "submit", h.file("bad.yaml", "jobs: 1\n"))
	second := h.start("up", "--listen", "127.0.0.1:0", "--data", h.data)
	second.ends(3)
	second.prints("another relevo")
	h.signal(syscall.SIGTERM)
	h.ends(0)
	if err := os.RemoveAll(h.data); err != nil {
		t.Error(err)
	}
	h.call(3, "get") // nobody is there
}

// TestUpKilledAgainAndAgain kills relevo at whatever it is doing, all along a
// run of many short jobs.
func TestUpKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	const jobs = 12
	h := newHost(t)
	run := h.submit(h.file("many.yaml", `on: push
jobs:
  m:
    strategy:
      matrix: {n: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]}
    steps:
      - run: |
          echo ${{ matrix.n }} >> ran
          echo "tick m 1."
      - run: |
          : second
          echo "tick m 2."
  last:
    needs: m
    steps: [{run: echo last >> ran}]
`))
	for kills := 1; kills < jobs; kills += 2 {
		eventually(t, "the next jobs run", func() bool { return strings.Count(h.read("ran"), "\n") >= kills })
		h.signal(syscall.SIGKILL)
		h.wait()
		h.up()
	}
	h.becomes(run, "SUCCEEDED")
	h.gone()
	ran := strings.Fields(h.read("ran"))
	if slices.Sort(ran); len(ran) != jobs+1 || len(slices.Compact(ran)) != jobs+1 {
		t.Errorf("the steps ran as %v, want each once", ran)
	}
	for n := range jobs {
		wantTicks(t, h.call(0, "logs", run+".m."+strconv.Itoa(n)), map[string]int{"m": 2})
	}
	h.signal(syscall.SIGTERM)
	h.ends(0)
}
