package agent_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/agent"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

// numbered prints numbers, with pauses.
func numbered(n int) pipeline.StepSpec {
	return sh(fmt.Sprintf("i=0; while [ $i -lt %d ]; do i=$((i+1)); echo line $i; sleep 0.01; done", n))
}

func lines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "line %d\n", i+1)
	}
	return b.String()
}

func TestRepliesLostAndRefused(t *testing.T) {
	p := newPlane(t)
	p.judge = func(n int, _ *execution.Report, w http.ResponseWriter) (answered, lost bool) {
		switch n % 5 {
		case 1:
			http.Error(w, "try later", http.StatusServiceUnavailable)
			return true, false
		case 2:
			return false, true
		case 3:
			fmt.Fprint(w, "<html>no JSON")
			return true, false
		}
		return false, false
	}
	w := newWorker(t, p, numbered(150), numbered(3)).start()
	w.ending(events.Succeeded)
	if got := p.log(); strings.Count(got, lines(3)) != 2 || !strings.Contains(got, lines(150)) {
		t.Errorf("log %q", got)
	}
	if len(p.steps) != 4 || len(p.nonces) != 1 || p.ends > 2 {
		t.Errorf("%d step events, nonces %q, %d ends", len(p.steps), p.nonces, p.ends)
	}
}

func TestControlPlaneHangs(t *testing.T) {
	p := newPlane(t)
	hung := make(chan struct{})
	p.judge = func(n int, _ *execution.Report, _ http.ResponseWriter) (answered, lost bool) {
		if n != 2 && n != 5 {
			return false, false
		}
		p.mu.Unlock()
		<-hung // never; the agent must give up on it
		p.mu.Lock()
		return true, false
	}
	w := newWorker(t, p, numbered(50)).start()
	w.ending(events.Succeeded)
	close(hung)
	if !strings.Contains(p.log(), lines(50)) {
		t.Errorf("log %q", p.log())
	}
}

func TestControlPlaneRestarts(t *testing.T) {
	p := newPlane(t)
	file := filepath.Join(t.TempDir(), "done")
	step := numbered(50)
	step.Run.Parts[0].Text += "; touch " + file
	w := newWorker(t, p, step, numbered(2)).start()
	w.logged("line 5\n")
	p.stop()
	for !exists(file) { // the job goes on without a control plane
		select {
		case <-w.exited:
			t.Fatal("the agent ended")
		case <-time.After(5 * time.Millisecond):
		}
	}
	p.start()
	w.ending(events.Succeeded)
	if !strings.Contains(p.log(), lines(50)) || len(p.steps) != 4 {
		t.Errorf("%d step events, log %q", len(p.steps), p.log())
	}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func TestControlPlaneIsThereOnlyLater(t *testing.T) {
	p := newPlane(t)
	p.stop()
	w := newWorker(t, p, sh("echo here")).start()
	select {
	case <-w.exited:
		t.Fatal("the agent ended")
	case <-time.After(500 * time.Millisecond):
	}
	if exists(w.launch.Workspace) {
		t.Error("the job began before the hello was heard")
	}
	p.start()
	w.ending(events.Succeeded)
}

func TestGoneAtOnce(t *testing.T) {
	p := newPlane(t)
	p.gone = "fence 1.3 is over"
	w := newWorker(t, p, sh("echo never")).start()
	w.exit(agent.ExitGone)
	if exists(w.launch.Workspace) || p.log() != "" || !strings.Contains(w.stderr.String(), p.gone) {
		t.Errorf("log %q, agent: %s", p.log(), w.stderr.String())
	}
}

func TestSecondAgentOfALaunchIsGone(t *testing.T) {
	p := newPlane(t)
	first := newWorker(t, p, sh("echo first; sleep 1000")).start()
	first.logged("first\n")
	newWorker(t, p, sh("echo second")).start().exit(agent.ExitGone)
	if strings.Contains(p.log(), "second") {
		t.Errorf("log %q", p.log())
	}
}

// stubborn prints the pids of a family that does not want to end: in the
// group, out of it, and orphaned.
const stubborn = `
trap '' INT TERM
(trap '' INT TERM; echo "pid $(sh -c 'echo $PPID') ."; while :; do sleep 1000; done) &
setsid sh -c 'trap "" INT TERM; echo "pid $$ ."; while :; do sleep 1000; done' &
(setsid sh -c 'trap "" INT TERM; sh -c "echo \"pid \$\$ .\"; exec sleep 1000" & wait' &)
echo "pid $$ ."
while :; do sleep 1000; done`

func (w *worker) pids(n int) (pids []int) {
	w.t.Helper()
	format := regexp.MustCompile(`pid (\d+) \.`)
	w.until("the pids", func() bool { return len(format.FindAllString(w.plane.log(), -1)) == n })
	for _, m := range format.FindAllStringSubmatch(w.plane.log(), -1) {
		pid, _ := strconv.Atoi(m[1])
		pids = append(pids, pid)
	}
	return pids
}

func (w *worker) allDead(pids []int) {
	w.t.Helper()
	for _, pid := range pids {
		if alive(pid) {
			w.t.Errorf("process %d is alive", pid)
		}
	}
}

func TestCancel(t *testing.T) {
	p := newPlane(t)
	always, never := sh("echo cleaned up"), sh("echo never")
	always.If = call("always")
	endless := sh("sleep 1000")
	endless.If = call("cancelled")
	w := newWorker(t, p, sh(stubborn), never, always, endless).start()
	pids := w.pids(4)
	p.mu.Lock()
	p.cancel = "cancelled by ada"
	p.mu.Unlock()
	e := w.ending(events.Cancelled)
	w.allDead(pids)
	if e.Reason != "cancelled by ada" || !strings.Contains(p.log(), "\ncleaned up\n") || strings.Contains(p.log(), "\nnever\n") {
		t.Errorf("reason %q, log %q", e.Reason, p.log())
	}
	if got := outcomes(e.Steps); got != "0 cancelled/cancelled -1, 1 skipped/skipped -1, 2 success/success 0, 3 cancelled/cancelled -1" {
		t.Error(got)
	}
}

func TestCancelLeavesCleaningUpAlone(t *testing.T) {
	p := newPlane(t)
	cleaning := sh("echo cleaning; sleep 0.4; echo cleaned; sleep 1000")
	cleaning.If = call("always")
	w := newWorker(t, p, cleaning)
	w.launch.Grace = 2 * time.Second
	w.start().logged("cleaning\n")
	p.mu.Lock()
	p.cancel = "why not"
	p.mu.Unlock()
	w.ending(events.Cancelled)
	if !strings.Contains(p.log(), "\ncleaned\n") {
		t.Errorf("log %q", p.log())
	}
}

func TestCancelWithTheHello(t *testing.T) {
	p := newPlane(t)
	p.cancel = "too late"
	always := sh("echo cleaned up")
	always.If = call("always")
	e := newWorker(t, p, sh("echo never"), always).start().ending(events.Cancelled)
	if got := outcomes(e.Steps); got != "0 skipped/skipped -1, 1 success/success 0" {
		t.Error(got)
	}
}

func TestWorkerIsToldToEnd(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p := newPlane(t)
		w := newWorker(t, p, sh(`trap 'echo got it; exit 0' INT; echo ready; while :; do sleep 0.01; done`)).start()
		w.logged("ready\n")
		w.cmd.Process.Signal(s)
		e := w.ending(events.Infra)
		if !strings.Contains(e.Reason, "the worker was told to end") || !strings.Contains(p.log(), "got it\n") {
			t.Errorf("reason %q, log %q", e.Reason, p.log())
		}
	}
}

// TestThePlatformKnowsWhy has a worker told to end stay until it hears why: what
// it hears is the reason, and the log is whole.
func TestThePlatformKnowsWhy(t *testing.T) {
	p := newPlane(t)
	w := newWorker(t, p, sh(`trap 'echo got it; exit 0' INT; echo ready; while :; do sleep 0.01; done`))
	w.launch.Linger, w.launch.Heartbeat = patience, patience
	w.start().logged("ready\n")
	w.cmd.Process.Signal(syscall.SIGTERM)
	w.logged("got it\n")
	p.mu.Lock()
	if p.ends != 0 {
		t.Error("it reported the end before it heard why")
	}
	p.cancel = "evicted: its node is drained"
	p.mu.Unlock()
	if e := w.ending(events.Cancelled); e.Reason != "evicted: its node is drained" {
		t.Errorf("reason %q", e.Reason)
	}
}

func TestNobodyTellsWhy(t *testing.T) {
	p := newPlane(t)
	w := newWorker(t, p, sh(`trap 'echo got it; exit 0' INT; echo ready; while :; do sleep 0.01; done`))
	w.launch.Linger = time.Millisecond
	w.start().logged("ready\n")
	w.cmd.Process.Signal(syscall.SIGTERM)
	w.exit(agent.ExitTold)
	if p.ends != 0 || !strings.Contains(p.log(), "got it\n") || p.steps[len(p.steps)-1].Result == nil {
		t.Errorf("%d ends, steps %+v, log %q", p.ends, p.steps, p.log())
	}
}

// TestFailsWithoutLingering: nobody was told to end.
func TestFailsWithoutLingering(t *testing.T) {
	p := newPlane(t)
	w := newWorker(t, p, sh("exit 3"))
	w.launch.Linger = patience
	w.start().ending(events.Failed)
}

func TestToldToEndBeforeTheHello(t *testing.T) {
	p := newPlane(t)
	p.stop()
	w := newWorker(t, p, sh("echo never")).start()
	for { // until its handlers are there, a signal just kills it
		if names, _ := filepath.Glob(filepath.Join(w.dir, "temp-*")); len(names) > 0 {
			break
		}
		select {
		case <-w.exited:
			t.Fatal("the agent ended")
		case <-time.After(5 * time.Millisecond):
		}
	}
	w.cmd.Process.Signal(syscall.SIGTERM)
	w.exit(agent.ExitUndelivered)
}

func TestGoneInTheMiddle(t *testing.T) {
	p := newPlane(t)
	w := newWorker(t, p, sh(stubborn)).start()
	pids := w.pids(4)
	p.mu.Lock()
	p.gone = "fence 1.4 took over"
	p.mu.Unlock()
	w.exit(agent.ExitGone)
	w.allDead(pids)
	if p.ends != 0 {
		t.Error("an end was reported")
	}
}

func TestJobDeadline(t *testing.T) {
	p := newPlane(t)
	always := sh("echo cleaned up")
	always.If = call("always")
	w := newWorker(t, p, sh(stubborn), always)
	w.launch.Job.TimeoutExpr = ptr(expression.Text("0.01")) // minutes
	e := w.start().ending(events.Timeout)
	if e.Reason != "the job took longer than 600ms" || !strings.Contains(p.log(), "cleaned up\n") {
		t.Errorf("reason %q, log %q", e.Reason, p.log())
	}
	if got := outcomes(e.Steps); got != "0 timeout/timeout -1, 1 success/success 0" {
		t.Error(got)
	}
}

func TestStepTimeoutKillsTheFamily(t *testing.T) {
	p := newPlane(t)
	slow := sh(stubborn)
	slow.TimeoutMinutes = 0.01
	after := sh("kill -0 $FIRST && echo what the first step left is alive")
	after.If = call("always")
	w := newWorker(t, p, sh(`sleep 1000 & echo "pid $! ."; echo "FIRST=$!" >> "$GITHUB_ENV"`), slow, after).start()
	pids := w.pids(5)
	w.ending(events.Timeout)
	w.allDead(pids)
	if !strings.Contains(p.log(), "is alive\n") {
		t.Errorf("log %q", p.log())
	}
}

func TestBackgroundProcesses(t *testing.T) {
	p := newPlane(t)
	w := newWorker(t, p,
		sh(`(while :; do echo beat; sleep 0.02; done) & echo "pid $! ."; setsid sleep 1000 & echo "pid $! ."`),
		sh(`sleep 0.3; echo second step`)).start()
	pids := w.pids(2)
	w.ending(events.Succeeded)
	w.allDead(pids)
	_, second, _ := strings.Cut(p.log(), "==> Run sleep 0.3")
	if !strings.Contains(second, "beat\n") || !strings.Contains(second, "second step\n") {
		t.Errorf("what runs in the background is not heard during the second step: %q", p.log())
	}
}

func TestZombiesAreReaped(t *testing.T) {
	script := `for i in 1 2 3 4 5; do (setsid sh -c 'exit 0' &); done
for try in $(seq 200); do
  n=0; for s in /proc/[0-9]*/stat; do
    read -r line < $s 2>/dev/null || continue
    set -- ${line##*) }
    [ "$1 $2" = "Z $PPID" ] && n=$((n+1))
  done
  [ $n = 0 ] && echo "none left" && exit 0
  sleep 0.02
done; echo "$n left"; exit 1`
	newWorker(t, newPlane(t), sh(script)).start().ending(events.Succeeded)
}
