package process

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/providers/conformance"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/provider"
)

// eventually polls until holds answers true.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

func create(t testing.TB, p *Provider, l execution.Launch) provider.Status {
	t.Helper()
	st, err := p.Create(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Terminate(context.WithoutCancel(t.Context()), l.Worker, l.Fence); err != nil {
			t.Error(err)
		}
	})
	return st
}

// prints waits until the agent printed what is wanted, and gives all of it.
func prints(t testing.TB, p *Provider, l execution.Launch, want string) string {
	t.Helper()
	var text []byte
	eventually(t, "the agent prints "+want, func() bool {
		r, err := p.Logs(t.Context(), l.Worker)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		text, _ = io.ReadAll(r)
		return strings.Contains(string(text), want)
	})
	return string(text)
}

func TestNothingOfTheControlPlanesEnvironmentReachesTheAgent(t *testing.T) {
	t.Setenv("RELEVO_REDIS_PASSWORD", "hush")
	p := open(t, Config{Agent: conformance.StandIn(t), State: t.TempDir(), Env: []string{"A=1", "B=2"}})
	l := conformance.Launch(1, "env")
	create(t, p, l)
	want := "env A=1 B=2 " + marker + "=" + p.worker(l.Worker, l.Fence).name() + "\n"
	if text := prints(t, p, l, "ready"); !strings.Contains(text, want) {
		t.Errorf("the agent has %s, want %s", text, want)
	}
}

func TestWorkspace(t *testing.T) {
	agent := conformance.StandIn(t)
	l := conformance.Launch(1, "show", "write made")
	t.Run("own", func(t *testing.T) {
		p := open(t, Config{Agent: agent, State: t.TempDir()})
		create(t, p, l)
		folder := p.worker(l.Worker, l.Fence).path(workFolder)
		if text := prints(t, p, l, "ready"); !strings.Contains(text, "workspace "+folder+"\n") {
			t.Errorf("the agent has %s, want the workspace %s", text, folder)
		}
	})
	t.Run("given", func(t *testing.T) {
		given := t.TempDir()
		p := open(t, Config{Agent: agent, State: t.TempDir(), Workspace: given})
		create(t, p, l)
		prints(t, p, l, "ready")
		if err := p.Terminate(t.Context(), l.Worker, l.Fence); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(given, "made")); err != nil {
			t.Errorf("what the steps made in the given workspace is gone: %v", err)
		}
	})
}

// TestCreateAfterACrash begins where a control plane may have died.
func TestCreateAfterACrash(t *testing.T) {
	agent := conformance.StandIn(t)
	for name, crashed := range map[string]func(t *testing.T, p *Provider, w worker, l execution.Launch) (pid int){
		"with an empty folder": func(*testing.T, *Provider, worker, execution.Launch) int { return 0 },
		"with half a launch": func(t *testing.T, _ *Provider, w worker, _ execution.Launch) int {
			if err := os.WriteFile(w.path(launchFile), []byte(`{"worker":"n`), 0o600); err != nil {
				t.Fatal(err)
			}
			return 0
		},
		"before the start": func(t *testing.T, _ *Provider, w worker, l execution.Launch) int {
			if err := w.write(launchFile, l); err != nil {
				t.Fatal(err)
			}
			return 0
		},
		"after the start": func(t *testing.T, p *Provider, w worker, l execution.Launch) int {
			if err := p.start(w, l); err != nil {
				t.Fatal(err)
			}
			var id identity
			if ok, err := w.read(agentFile, &id); !ok || err != nil {
				t.Fatal(ok, err)
			}
			if err := os.Remove(w.path(agentFile)); err != nil {
				t.Fatal(err)
			}
			return id.PID
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t, Config{Agent: agent, State: t.TempDir()})
			l := conformance.Launch(1)
			w := p.worker(l.Worker, l.Fence)
			if err := os.Mkdir(w.folder, 0o700); err != nil {
				t.Fatal(err)
			}
			pid := crashed(t, p, w, l)
			if all, err := p.List(t.Context()); err != nil || len(all) != 1 || all[0].Preparing == "" || all[0].Running {
				t.Errorf("List gives %+v, %v: want one worker that did not start", all, err)
			}
			st := create(t, p, l)
			if !st.Running || pid != 0 && pidOf(t, st) != pid {
				t.Errorf("Create gave %+v, want it to run (as process %d)", st, pid)
			}
		})
	}
}

func TestTerminateAfterACrash(t *testing.T) {
	p := open(t, Config{Agent: conformance.StandIn(t), State: t.TempDir()})
	l := conformance.Launch(1)
	w := p.worker(l.Worker, l.Fence)
	st := create(t, p, l)
	if err := os.Remove(w.path(agentFile)); err != nil {
		t.Fatal(err)
	}
	if err := p.Terminate(t.Context(), l.Worker, l.Fence); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pidOf(t, st), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the agent is there: %v", err)
	}

	// Terminate itself was interrupted.
	left := w.folder + removing
	if err := os.MkdirAll(filepath.Join(left, workFolder), 0o700); err != nil {
		t.Fatal(err)
	}
	if all, err := p.List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("List gives %+v, %v for what is being removed", all, err)
	}
	if err := p.Terminate(t.Context(), l.Worker, l.Fence); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what an interrupted Terminate left is there: %v", err)
	}
}

// TestAPidThatCameToMeanAnother has a stranger under the pid of an agent that
// ended long ago.
func TestAPidThatCameToMeanAnother(t *testing.T) {
	p := open(t, Config{Agent: conformance.StandIn(t), State: t.TempDir()})
	stranger := exec.CommandContext(t.Context(), "sleep", "1000")
	stranger.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- stranger.Wait() }()
	id, err := p.identify(stranger.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	l := conformance.Launch(1)
	w := p.worker(l.Worker, l.Fence)
	for name, then := range map[string]identity{
		"another start": {PID: id.PID, Start: id.Start - 1, Boot: id.Boot},
		"another boot":  {PID: id.PID, Start: id.Start, Boot: "before"},
	} {
		if err := errors.Join(os.Mkdir(w.folder, 0o700), w.write(launchFile, l), w.write(agentFile, then)); err != nil {
			t.Fatal(err)
		}
		st, err := p.Create(t.Context(), l)
		if err != nil || st.Running || st.Exit != -1 || st.Reason == "" {
			t.Errorf("%s: Create gave %+v, %v; want a worker that ended", name, st, err)
		}
		if err := p.Terminate(t.Context(), l.Worker, l.Fence); err != nil {
			t.Error(err)
		}
	}
	select {
	case err := <-ended:
		t.Errorf("a stranger was killed: %v", err)
	default:
	}
}

func TestExitIsKnownAfterARestart(t *testing.T) {
	cfg := Config{Agent: conformance.StandIn(t), State: t.TempDir()}
	p := open(t, cfg)
	l := conformance.Launch(1, "exit 9")
	create(t, p, l)
	w := p.worker(l.Worker, l.Fence)
	eventually(t, "the exit is written down", func() bool {
		var e exit
		ok, err := w.read(exitFile, &e)
		return ok && err == nil
	})
	told := make(chan provider.Change, 10)
	next := open(t, cfg)
	go func() { _ = next.Watch(t.Context(), func(c provider.Change) { told <- c }) }()
	if c := <-told; c.Exit != 9 || c.Reason != "exited 9" {
		t.Errorf("the next control plane is told %+v, want exit 9", c)
	}
}

func TestCreateWithoutAnAgent(t *testing.T) {
	p := open(t, Config{Agent: filepath.Join(t.TempDir(), "missing"), State: t.TempDir()})
	l := conformance.Launch(1)
	_, err := p.Create(t.Context(), l)
	var failure *provider.Failure
	if !errors.As(err, &failure) || !failure.Permanent || !strings.Contains(failure.Reason, "make build") {
		t.Errorf("Create gave %v, want a permanent failure that says what to do", err)
	}
	if err := p.Secure(t.Context()); err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("Secure gave %v, want what to do", err)
	}
	if err := p.Terminate(t.Context(), l.Worker, l.Fence); err != nil {
		t.Error(err)
	}
}

func TestSecure(t *testing.T) {
	agent := conformance.StandIn(t)
	state := filepath.Join(t.TempDir(), "made", "here")
	p := open(t, Config{Agent: agent, State: state})
	if err := p.Secure(t.Context()); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(state)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the state folder is %v, %v; want it closed to others", info.Mode(), err)
	}
	l := conformance.Launch(1)
	left := p.worker(l.Worker, l.Fence).folder + removing
	others := filepath.Join(state, prefixOf("another")+"w-f1.1"+removing)
	for _, folder := range []string{left, others} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Secure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what an interrupted Terminate left is there: %v", err)
	}
	if _, err := os.Stat(others); err != nil {
		t.Errorf("another installation's folder is gone: %v", err)
	}
	if err := os.Chmod(agent, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := p.Secure(t.Context()); err == nil || !strings.Contains(err.Error(), "chmod") {
		t.Errorf("Secure gave %v for an agent that cannot be run", err)
	}
}

// TestRemoveAllOfClosedFolders runs as an ordinary user, since root may remove
// anything.
func TestRemoveAllOfClosedFolders(t *testing.T) {
	parent, err := os.MkdirTemp("/tmp", "relevo-test-") //nolint:usetesting // its parents must be open to another user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(parent) })
	folder := filepath.Join(parent, "worker")
	deep := filepath.Join(folder, "module", "cache")
	err = errors.Join(
		os.MkdirAll(deep, 0o755), os.WriteFile(filepath.Join(deep, "file"), nil, 0o444),
		os.Chmod(deep, 0o555), os.Chmod(filepath.Dir(deep), 0o555), os.Chmod(parent, 0o777),
	)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	remover := playing(t, "remover", folder)
	if os.Getuid() == 0 {
		const nobody = 65534
		for _, path := range []string{folder, filepath.Dir(deep), deep, filepath.Join(deep, "file")} {
			if err := os.Chown(path, nobody, nobody); err != nil {
				t.Fatal(err)
			}
		}
		// It cannot reach where the test binary lies: through an open file it can.
		binary, err := os.Open(self)
		if err != nil {
			t.Fatal(err)
		}
		defer binary.Close()
		remover.Path, remover.ExtraFiles = "/proc/self/fd/"+strconv.Itoa(3), []*os.File{binary}
		remover.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		remover.Dir = "/"
	}
	if err := remover.Run(); err != nil {
		t.Errorf("remove: %v", err)
	}
	if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is there: %v", err)
	}
}
