package agent_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/agent"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/logs"
)

// digest is a log store that keeps no bytes, only what they add up to.
type digest struct {
	logs.Store
	sum    hash.Hash
	length int64
}

func (d *digest) Append(_ context.Context, _ events.AttemptRef, offset int64, data []byte) (int64, error) {
	if end := offset + int64(len(data)); offset <= d.length && end > d.length {
		d.sum.Write(data[d.length-offset:])
		d.length = end
	}
	return d.length, nil
}

// Read has nothing to give.
func (d *digest) Read(context.Context, events.AttemptRef, int64, []byte) (int, int64, bool, error) {
	return 0, 0, false, nil
}

// memoryPeak is the most memory that a process ever had, in bytes.
func memoryPeak(t testing.TB, pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); f[0] == "VmHWM:" {
			kib, _ := strconv.ParseInt(f[1], 10, 64)
			return kib << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}

// built is the agent as it is shipped: the test's own binary may be made to
// look for races, and takes many times the memory.
func built(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "relevo-agent")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", file, "../../deploy/agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return file
}

func TestFloodOfOutput(t *testing.T) {
	const line = "a line of output that is neither very long nor short, of the password 12345678"
	binary := built(t)
	for name, c := range map[string]struct {
		mib     int
		secrets map[string]string
		want    string
	}{
		"plain":  {200, nil, line},
		"masked": {40, map[string]string{"A": "12345678", "B": strings.Repeat("never seen ", 100)}, strings.Replace(line, "12345678", "***", 1)},
	} {
		p := newPlane(t)
		p.secrets = c.secrets
		d := &digest{sum: sha256.New()}
		p.logs = d
		lines := c.mib << 20 / len(line)
		step := sh("yes '" + line + "' | head -c " + strconv.Itoa(lines*(len(line)+1)))
		step.Name = ptr(expression.Text("flood"))
		w := newWorker(t, p, step)
		w.binary = binary
		w.launch.HasSecrets = c.secrets != nil
		var peak int64
		var pid atomic.Int64
		p.judge = func(_ int, r *execution.Report, _ http.ResponseWriter) (answered, lost bool) {
			if r.Kind == execution.End {
				peak = memoryPeak(t, int(pid.Load()))
			}
			return false, false
		}
		pid.Store(int64(w.start().cmd.Process.Pid))
		w.exit(agent.ExitDone)
		p.mu.Lock()
		defer p.mu.Unlock()
		want := sha256.New()
		want.Write([]byte("==> flood\n"))
		for range lines {
			want.Write([]byte(c.want + "\n"))
		}
		if !bytes.Equal(d.sum.Sum(nil), want.Sum(nil)) {
			t.Errorf("%s: the log of %d bytes differs", name, d.length)
		}
		t.Logf("%s: %d MiB of log, peak of memory %d MiB", name, d.length>>20, peak>>20)
		if peak == 0 || peak > 64<<20 {
			t.Errorf("%s: the agent took %d MiB of memory", name, peak>>20)
		}
	}
}

func TestFullSpoolHoldsTheStep(t *testing.T) {
	p := newPlane(t)
	away := true
	refused := 0
	p.judge = func(_ int, r *execution.Report, w http.ResponseWriter) (answered, lost bool) {
		if r.Kind == execution.Hello || !away {
			return false, false
		}
		refused++
		http.Error(w, "away", http.StatusServiceUnavailable)
		return true, false
	}
	progress := filepath.Join(t.TempDir(), "progress")
	w := newWorker(t, p, pipeline.StepSpec{Run: expression.Text(
		`for i in $(seq 1 30); do head -c 1048576 /dev/zero | tr '\0' x; echo $i > ` + progress + `; done; echo end`,
	)})
	const room = 8 << 20
	w.launch.SpoolMax = room
	w.start()
	done := func() int {
		text, _ := os.ReadFile(progress)
		n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		return n
	}
	before := 0
	w.until("a full spool", func() bool {
		if refused < 20 || done() < room>>20-1 {
			return false
		}
		if before == 0 {
			before = refused
		}
		return refused > before+5
	})
	if n := done(); n > room>>20+1 {
		t.Errorf("the step wrote %d MiB, the spool has room for %d", n, room>>20)
	}
	p.mu.Lock()
	away = false
	p.mu.Unlock()
	w.ending(events.Succeeded)
	_, log, _ := strings.Cut(p.log(), "echo end\n")
	if want := strings.Repeat("x", 30<<20) + "end\n"; log != want {
		t.Errorf("%d bytes arrived, want %d", len(log), len(want))
	}
}
