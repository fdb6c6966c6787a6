package script

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestUpGoesDownUnheard: with Ctrl-C, whatever relevo's output is piped into is
// gone before it. Its store ends all the same.
func TestUpGoesDownUnheard(t *testing.T) {
	s := newStage(t)
	data := filepath.Join(filepath.Dir(s.dir), "d")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(filepath.Join(bin, "relevo"), "up", "--listen", "127.0.0.1:0", "--data", data)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.dir, s.env, w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	_ = w.Close()
	for in := bufio.NewScanner(r); !strings.Contains(in.Text(), "/login/once"); {
		if !in.Scan() {
			t.Fatalf("relevo ended before it was up: %v", in.Err())
		}
	}
	_ = r.Close()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("relevo up: %v", err)
	}
	if conn, err := net.Dial("unix", filepath.Join(data, "redis", "redis.sock")); err == nil {
		_ = conn.Close()
		t.Error("the store lives on")
	}
}

// TestRunEndsUnheard: nobody reads what it prints, and the pipeline runs to its
// end.
func TestRunEndsUnheard(t *testing.T) {
	s := newStage(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	defer w.Close()
	p := s.startInto(w, "run", s.file("said.yaml", "jobs:\n  a:\n    steps:\n      - run: echo one\n      - run: echo two > said\n"))
	p.ends(0)
	s.await("said", "two")
}
