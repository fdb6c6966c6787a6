package process

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asHost makes the test binary a program with a Host: it starts a shell with
// the script in this variable. Within go test nobody else may wait for
// children.
const asHost = "PROCESS_TEST_SCRIPT"

func TestMain(m *testing.M) {
	if script := os.Getenv(asHost); script != "" {
		hostMain(script, os.Getenv("PROCESS_TEST_THEN"))
	}
	os.Exit(m.Run())
}

// hostMain runs the script, then does what it is told, a word each.
func hostMain(script, then string) {
	h := NewHost()
	start := func(script string) *Process {
		p, err := h.Start(Command{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Dir: "/", Env: os.Environ(), Out: os.Stdout})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return p
	}
	p := start(script)
	spare := map[int]bool{}
	for word := range strings.FieldsSeq(then) {
		switch word {
		case "wait":
			<-p.Done()
			code, signal := p.Exit()
			fmt.Println("exit", code, int(signal))
		case "another":
			spare = h.Family()
			p = start(script)
		case "ready": // the script says so
			bufio.NewReader(os.Stdin).ReadString('\n')
		case "end":
			h.End(p, 300*time.Millisecond, spare)
		case "now":
			h.End(p, 0, spare)
		case "family":
			fmt.Println("family", len(h.Family()))
		case "kill":
			h.KillAll(nil)
		}
	}
	zombies := 0
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		if text, err := os.ReadFile(path); err == nil {
			if parent, zombie := parseStat(text); zombie && parent == os.Getpid() {
				zombies++
			}
		}
	}
	fmt.Println("left", len(h.Family()), "zombies", zombies)
	os.Exit(0)
}

// host is a started hostMain.
type host struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Writer
	lines *bufio.Scanner
}

func startHost(t *testing.T, script, then string) *host {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asHost+"="+script, "PROCESS_TEST_THEN="+then)
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return &host{t, cmd, stdin, bufio.NewScanner(stdout)}
}

// expect reads output up to a line that begins with the text given.
func (h *host) expect(prefix string) string {
	h.t.Helper()
	for h.lines.Scan() {
		if strings.HasPrefix(h.lines.Text(), prefix) {
			return h.lines.Text()
		}
	}
	h.t.Fatalf("no line %q", prefix)
	return ""
}

func (h *host) ready() { fmt.Fprintln(h.stdin, "ready") }

// pids reads lines "pid <n>" that the scripts of these tests print.
func (h *host) pids(n int) []int {
	h.t.Helper()
	var pids []int
	for range n {
		pid, err := strconv.Atoi(strings.TrimPrefix(h.expect("pid "), "pid "))
		if err != nil {
			h.t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, zombie := parseStat(text)
	return !zombie
}

func TestExits(t *testing.T) {
	for script, want := range map[string]string{
		"true": "exit 0 0", "exit 3": "exit 3 0", "kill -9 $$": "exit -1 9", "kill -15 $$": "exit -1 15",
	} {
		h := startHost(t, script, "wait")
		if got := h.expect("exit "); got != want {
			t.Errorf("%s: %s, want %s", script, got, want)
		}
	}
}

func TestOrphansAreReaped(t *testing.T) {
	h := startHost(t, "for i in 1 2 3; do (setsid sh -c 'echo orphan; exit 7' &) ; done; wait", "wait ready kill")
	h.expect("exit 0")
	h.ready()
	if got := h.expect("left"); got != "left 0 zombies 0" {
		t.Error(got)
	}
}

const stubborn = `
trap '' INT TERM
(trap '' INT TERM; echo pid $(sh -c 'echo $PPID'); while :; do sleep 1000; done) &
setsid sh -c 'trap "" INT TERM; echo pid $$; while :; do sleep 1000; done' &
(setsid sh -c '(echo pid $(sh -c "echo \$PPID"); while :; do sleep 1000; done) & exit' &)
echo pid $$
while :; do sleep 1000; done`

func TestEndLeavesNothing(t *testing.T) {
	for _, how := range []string{"end", "now", "kill"} {
		h := startHost(t, stubborn, "ready "+how)
		pids := h.pids(4)
		h.ready()
		if got := h.expect("left"); got != "left 0 zombies 0" {
			t.Errorf("%s: %s", how, got)
		}
		for _, pid := range pids {
			if alive(pid) {
				t.Errorf("%s: process %d is alive", how, pid)
			}
		}
	}
}

func TestEndIsGentleFirst(t *testing.T) {
	for signal, script := range map[string]string{
		"INT":  `trap 'echo got INT; exit 5' INT; echo pid $$; while :; do sleep 0.01; done`,
		"TERM": `trap '' INT; trap 'echo got TERM; exit 5' TERM; echo pid $$; while :; do sleep 0.01; done`,
	} {
		h := startHost(t, script, "ready end wait")
		h.pids(1)
		h.ready()
		h.expect("got " + signal)
		if got := h.expect("exit"); got != "exit 5 0" {
			t.Errorf("%s: %s", signal, got)
		}
	}
}

func TestEndSparesWhatWasThere(t *testing.T) {
	h := startHost(t, `setsid sh -c 'echo pid $$; exec sleep 1000' & echo pid $$; wait`, "ready another ready end family ready kill")
	before := h.pids(2)
	h.ready()
	after := h.pids(2)
	h.ready()
	if got := h.expect("family"); got != "family 2" {
		t.Error(got)
	}
	for _, pid := range before {
		if !alive(pid) {
			t.Errorf("process %d was not spared", pid)
		}
	}
	for _, pid := range after {
		if alive(pid) {
			t.Errorf("process %d is alive", pid)
		}
	}
	h.ready()
	h.expect("left 0")
}

func TestStepsDieWithTheHost(t *testing.T) {
	h := startHost(t, "echo pid $$; while :; do sleep 1000; done", "ready")
	pid := h.pids(1)[0]
	if err := h.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); alive(pid); {
		if time.Now().After(deadline) {
			t.Fatalf("process %d outlived the host", pid)
		}
	}
}

func TestStartErrors(t *testing.T) {
	h := Host{starts: make(chan func()), children: map[int]*Process{}}
	go func() { (<-h.starts)() }()
	if p, err := h.Start(Command{Path: "/does/not/exist", Args: []string{"x"}, Out: os.Stdout}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("started %v, %v", p, err)
	}
}

func TestParseStat(t *testing.T) {
	for text, want := range map[string][2]any{
		"12 (sh) S 7 1 2":         {7, false},
		"12 (a) Z) (x) Z 8 1":     {8, true},
		"12 (many words) R 9 0 0": {9, false},
		"":                        {0, true},
		"12 (sh)":                 {0, true},
	} {
		if parent, zombie := parseStat([]byte(text)); parent != want[0] || zombie != want[1] {
			t.Errorf("%q: %d, %v; want %v", text, parent, zombie, want)
		}
	}
}
