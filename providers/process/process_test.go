package process

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/relevo-ci/relevo/providers/conformance"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/provider"
)

func TestConformance(t *testing.T) {
	agent := conformance.StandIn(t)
	conformance.Suite(t, func(t *testing.T) conformance.Harness {
		state := t.TempDir()
		return conformance.Harness{
			Open: func(t *testing.T, installation string) provider.Provider {
				return open(t, Config{Installation: installation, Agent: agent, State: state})
			},
			Kill: func(t *testing.T, st provider.Status) {
				if err := syscall.Kill(pidOf(t, st), syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
			},
			Left: func(t *testing.T, installation string) []string {
				left, err := filepath.Glob(filepath.Join(state, prefixOf(installation)+"*"))
				if err != nil {
					t.Fatal(err)
				}
				return left
			},
			Impossible: func(l *execution.Launch) { l.Worker = "../elsewhere" },
			Processes:  true,
			Parallel:   true,
		}
	})
}

func open(t testing.TB, cfg Config) *Provider {
	t.Helper()
	if cfg.Installation == "" {
		cfg.Installation = t.Name()
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// pidOf is the agent's pid.
func pidOf(t testing.TB, st provider.Status) int {
	t.Helper()
	text, _, _ := strings.Cut(st.Handle, "@")
	pid, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("handle %q: %v", st.Handle, err)
	}
	return pid
}

// role is the variable that makes this test binary another program.
const role = "RELEVO_TEST_ROLE"

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "control-plane":
		err = controlPlane(os.Args[1], os.Args[2])
	case "remover":
		err = removeAll(os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// playing starts this test binary in a role.
func playing(t testing.TB, as string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), role+"="+as)
	cmd.Stderr = os.Stderr
	return cmd
}

// controlPlane makes a worker, prints its status and goes on until it is killed.
func controlPlane(config, launch string) error {
	var cfg Config
	var l execution.Launch
	if err := json.Unmarshal([]byte(config), &cfg); err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(launch), &l); err != nil {
		return err
	}
	p, err := New(cfg)
	if err != nil {
		return err
	}
	st, err := p.Create(context.Background(), l)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(st); err != nil {
		return err
	}
	<-p.ctx.Done()
	return nil
}

// TestWorkersOutliveTheControlPlane kills a real control plane and goes on
// with another.
func TestWorkersOutliveTheControlPlane(t *testing.T) {
	cfg := Config{Installation: t.Name(), Agent: conformance.StandIn(t), State: t.TempDir()}
	l := conformance.Launch(1)
	config, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	launch, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	old := playing(t, "control-plane", string(config), string(launch))
	out, err := old.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("the control plane says nothing: %v", err)
	}
	var before provider.Status
	if err := json.Unmarshal(line, &before); err != nil {
		t.Fatal(err)
	}
	if err := old.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = old.Wait() // killed

	p := open(t, cfg)
	after, err := p.Create(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	if after != before || !after.Running {
		t.Errorf("the next control plane has %+v, want %+v", after, before)
	}
	pid := pidOf(t, after)
	if s, err := statOf(pid); err != nil || s.session != pid {
		t.Errorf("the agent is %+v, %v: want it to lead a session", s, err)
	}
	told := make(chan provider.Change, 10)
	go func() { _ = p.Watch(t.Context(), func(c provider.Change) { told <- c }) }()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if c := <-told; c.Handle != before.Handle || c.Running {
		t.Errorf("Watch told %+v of the adopted worker's end", c)
	}
	if err := p.Terminate(t.Context(), l.Worker, l.Fence); err != nil {
		t.Error(err)
	}
}
