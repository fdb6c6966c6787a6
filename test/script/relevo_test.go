package script

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take before a test gives up: long enough
// for a machine that is busy with other things.
const patience = 2 * time.Minute

// stage is a folder to run pipelines in, with a temporary folder beside it
// that relevo keeps its state in. What is left of both ends with the test.
type stage struct {
	t    *testing.T
	dir  string // the workspace
	temp string
	env  []string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	// Not t.TempDir: its long names do not fit into the address of a socket.
	base, err := os.MkdirTemp("", "rs-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, dir: filepath.Join(base, "w"), temp: filepath.Join(base, "t")}
	for _, dir := range []string{s.dir, s.temp} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.env = slices.DeleteFunc(os.Environ(), func(kv string) bool {
		return strings.HasPrefix(kv, "RELEVO_") || strings.HasPrefix(kv, "TMPDIR=")
	})
	s.env = append(s.env, "TMPDIR="+s.temp)
	t.Cleanup(func() {
		for _, pid := range s.processes() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		s.sweepDocker()
		if err := os.RemoveAll(base); err != nil {
			t.Error(err)
		}
	})
	return s
}

// file writes a file of the workspace and gives its name back.
func (s *stage) file(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return name
}

// read reads a file of the workspace; there may be none.
func (s *stage) read(name string) string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Fatal(err)
	}
	return string(text)
}

// await waits until a file of the workspace holds text.
func (s *stage) await(name, text string) {
	s.t.Helper()
	eventually(s.t, name+" holds "+text, func() bool { return strings.Contains(s.read(name), text) })
}

// eventually polls until ok; it ends the test when that takes too long.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("it never came about that %s", what)
		case <-tick.C:
		}
	}
}

// program is a relevo that runs, or ran.
type program struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  transcript // of both its outputs
	done chan struct{}
	code int
}

// start starts relevo in the workspace.
func (s *stage) start(args ...string) *program { return s.startInto(nil, args...) }

// startInto starts relevo; what it prints to stdout goes to w instead of into
// the transcript.
func (s *stage) startInto(w io.Writer, args ...string) *program {
	s.t.Helper()
	p := &program{t: s.t, done: make(chan struct{})}
	p.cmd = exec.Command(filepath.Join(bin, "relevo"), args...)
	p.cmd.Dir, p.cmd.Env = s.dir, s.env
	p.cmd.Stdout, p.cmd.Stderr = cmp.Or[io.Writer](w, &p.out), &p.out
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // the state says it
		p.code = p.cmd.ProcessState.ExitCode()
	}()
	s.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		if s.t.Failed() {
			s.t.Logf("relevo %s: exit %d\n%s", strings.Join(args, " "), p.code, p.out.String())
		}
	})
	return p
}

// wait waits for the program's end and gives its exit status.
func (p *program) wait() int {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	select {
	case <-p.done:
	case <-ctx.Done():
		p.t.Fatal("relevo does not end")
	}
	return p.code
}

// ends waits for the program's end and wants this exit status.
func (p *program) ends(want int) {
	p.t.Helper()
	if got := p.wait(); got != want {
		p.t.Fatalf("exit status %d, want %d", got, want)
	}
}

func (p *program) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

// prints wants the program to have printed this.
func (p *program) prints(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		if !strings.Contains(p.out.String(), text) {
			p.t.Errorf("the output lacks %q", text)
		}
	}
}

// printsNot wants the program not to have printed this.
func (p *program) printsNot(text string) {
	p.t.Helper()
	if strings.Contains(p.out.String(), text) {
		p.t.Errorf("the output has %q", text)
	}
}

// transcript keeps what a program prints while others read it.
type transcript struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *transcript) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *transcript) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
