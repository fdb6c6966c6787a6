package docker

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/providers/conformance"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/provider"
)

// secured opens an installation of the test's own, which is gone at its end.
func secured(t testing.TB, cfg Config) *Provider {
	t.Helper()
	cfg.Installation = t.Name() + rand.Text()
	if cfg.Image == "" {
		cfg.Image = testImage
	}
	p := open(t, cfg)
	if err := p.Secure(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		all, err := p.List(ctx)
		if err != nil {
			t.Error(err)
		}
		for _, st := range all {
			if err := p.Terminate(ctx, st.Placement.Worker, st.Fence); err != nil {
				t.Error(err)
			}
		}
		if names := left(t, p); len(names) > 0 {
			t.Errorf("left of removed workers: %q", names)
		}
		removeNetwork(t, p)
	})
	return p
}

func create(t testing.TB, p *Provider, l execution.Launch) provider.Status {
	t.Helper()
	st, err := p.Create(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
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
		return bytes.Contains(text, []byte(want))
	})
	return string(text)
}

// inside runs a command in a worker's container and gives what it prints.
func inside(t testing.TB, p *Provider, id string, command ...string) string {
	t.Helper()
	made, err := p.cli.ContainerExecCreate(t.Context(), id, container.ExecOptions{AttachStdout: true, AttachStderr: true, Cmd: command})
	if err != nil {
		t.Fatal(err)
	}
	attached, err := p.cli.ContainerExecAttach(t.Context(), made.ID, container.ExecAttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer attached.Close()
	var out bytes.Buffer
	if _, err := stdcopy.StdCopy(&out, &out, attached.Reader); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// told collects what Watch tells.
func told(t testing.TB, p *Provider) <-chan provider.Change {
	t.Helper()
	cs := make(chan provider.Change, 100)
	go func() { _ = p.Watch(t.Context(), func(c provider.Change) { cs <- c }) }()
	return cs
}

// TestAJobHasNoPrivileges looks from inside, at what the kernel enforces.
func TestAJobHasNoPrivileges(t *testing.T) {
	p := secured(t, Config{Agent: conformance.StandIn(t), State: t.TempDir()})
	l := conformance.Launch(1)
	l.Resources.CPU, l.Resources.Memory = 500, 64<<20
	st := create(t, p, l)
	status := inside(t, p, st.Handle, "cat", "/proc/1/status")
	for _, want := range []string{
		// CHOWN 0, DAC_OVERRIDE 1, FOWNER 3, FSETID 4, KILL 5, SETGID 6, SETUID 7.
		"CapEff:\t00000000000000fb\n", "CapBnd:\t00000000000000fb\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n",
	} {
		if !strings.Contains(status, want) {
			t.Errorf("the agent's status lacks %q:\n%s", want, status)
		}
	}
	if mounts := inside(t, p, st.Handle, "cat", "/proc/mounts"); strings.Contains(mounts, "docker.sock") {
		t.Errorf("the job sees Docker's socket:\n%s", mounts)
	}
	if refused := inside(t, p, st.Handle, "sh", "-c", "echo x > "+agentAt); !strings.Contains(refused, "ead-only") {
		t.Errorf("the job can write to the agent's binary: %s", refused)
	}
	c, err := p.cli.ContainerInspect(t.Context(), st.Handle)
	if err != nil {
		t.Fatal(err)
	}
	host := c.HostConfig
	if host.NanoCPUs != 5e8 || host.Memory != 64<<20 || host.MemorySwap != host.Memory || *host.PidsLimit != pidsLimit {
		t.Errorf("the limits are %+v", host.Resources)
	}
	if host.Privileged || host.AutoRemove || host.NetworkMode != container.NetworkMode(p.cfg.Network) || host.RestartPolicy.Name != "no" {
		t.Errorf("the container is kept as %+v", host)
	}
	if host.LogConfig.Config["max-size"] == "" {
		t.Error("the agent's log has no bound")
	}
}

// TestUntrustedWorkersAreApart: on a network of their own, outside the folder
// that the others share, and bounded where their jobs ask for nothing.
func TestUntrustedWorkersAreApart(t *testing.T) {
	p := secured(t, Config{
		Agent: conformance.StandIn(t), State: t.TempDir(), Workspace: t.TempDir(),
		Untrusted: events.Resources{CPU: 250, Memory: 64 << 20},
	})
	l := conformance.Launch(1)
	l.Untrusted, l.Resources = true, events.Resources{}
	st := create(t, p, l)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := errors.Join(p.Terminate(ctx, l.Worker, l.Fence), p.Dismantle(ctx)); err != nil {
			t.Error(err)
		}
	})
	c, err := p.cli.ContainerInspect(t.Context(), st.Handle)
	if err != nil {
		t.Fatal(err)
	}
	own := p.cfg.Network + "-untrusted"
	if n := c.NetworkSettings.Networks; len(n) != 1 || n[own] == nil {
		t.Errorf("its networks are %v", n)
	}
	if host := c.HostConfig; host.NanoCPUs != 25e7 || host.Memory != 64<<20 {
		t.Errorf("the limits are %+v", host.Resources)
	}
	for _, m := range c.Mounts {
		if m.Source == p.cfg.Workspace {
			t.Error("it sees the folder that the others share")
		}
	}
	there, err := p.networks(t.Context(), own)
	if err != nil || len(there) != 1 || there[0].Options["com.docker.network.bridge.enable_icc"] != "false" {
		t.Errorf("the network is %+v, %v", there, err)
	}
}

func TestWorkersDoNotReachEachOther(t *testing.T) {
	p := secured(t, Config{Agent: conformance.StandIn(t), State: t.TempDir()})
	first, second := create(t, p, conformance.Launch(1)), create(t, p, conformance.Launch(2))
	c, err := p.cli.ContainerInspect(t.Context(), first.Handle)
	if err != nil {
		t.Fatal(err)
	}
	address := c.NetworkSettings.Networks[p.cfg.Network].IPAddress
	// It reaches itself: there is somebody to be reached.
	serve := "(while true; do echo answer | nc -l -p 8080; done) >/dev/null 2>&1 & "
	inside(t, p, first.Handle, "sh", "-c", serve)
	eventually(t, "somebody answers", func() bool {
		return strings.Contains(inside(t, p, first.Handle, "nc", "-w", "1", address, "8080"), "answer")
	})
	if got := inside(t, p, second.Handle, "sh", "-c", "nc -w 2 "+address+" 8080 || echo nobody"); !strings.Contains(got, "nobody") {
		t.Errorf("one worker reaches another: %q", got)
	}
}

func TestOutOfMemory(t *testing.T) {
	p := secured(t, Config{Agent: conformance.StandIn(t), State: t.TempDir()})
	changes := told(t, p)
	l := conformance.Launch(1, "eat")
	l.Resources.Memory = 48 << 20
	create(t, p, l)
	const want = "killed: out of memory (limit 48 MiB): raise resources.memory"
	if c := <-changes; c.Reason != want || c.Exit != 137 {
		t.Errorf("Watch told %+v, want %s", c, want)
	}
	if all, err := p.List(t.Context()); err != nil || len(all) != 1 || all[0].Reason != want {
		t.Errorf("List gives %+v, %v; want %s", all, err, want)
	}
}

func TestWorkspace(t *testing.T) {
	agent := conformance.StandIn(t)
	l := conformance.Launch(1, "show", "write made")
	t.Run("given", func(t *testing.T) {
		given := t.TempDir()
		p := secured(t, Config{Agent: agent, State: t.TempDir(), Workspace: given})
		create(t, p, l)
		if text := prints(t, p, l, "ready"); !strings.Contains(text, "workspace /workspace\n") {
			t.Errorf("the agent has %s", text)
		}
		if err := p.Terminate(t.Context(), l.Worker, l.Fence); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(given, "made")); err != nil {
			t.Errorf("what the steps made is not there: %v", err)
		}
	})
	t.Run("fresh", func(t *testing.T) {
		p := secured(t, Config{Agent: agent, State: t.TempDir()})
		st := create(t, p, l)
		prints(t, p, l, "ready")
		if got := inside(t, p, st.Handle, "ls", "/workspace"); got != "made\n" {
			t.Errorf("the workspace holds %q", got)
		}
	})
}

// TestANewSocketIsSeen replaces the socket for reports, as a restarted control
// plane does, and as no job can.
func TestANewSocketIsSeen(t *testing.T) {
	sockets := t.TempDir()
	p := secured(t, Config{Agent: conformance.StandIn(t), State: t.TempDir(), Sockets: sockets, SocketsAt: home + "/report"})
	st := create(t, p, conformance.Launch(1))
	for _, life := range []string{"first life", "second life"} {
		hang := answer(t, filepath.Join(sockets, "report.sock"), life)
		if got := inside(t, p, st.Handle, agentAt, "call", home+"/report/report.sock"); got != life {
			t.Errorf("the worker hears %q, want %q", got, life)
		}
		inside(t, p, st.Handle, "mv", home+"/report/report.sock", home+"/report/mine.sock")
		inside(t, p, st.Handle, "touch", home+"/report/new")
		if there, err := os.ReadDir(sockets); err != nil || len(there) != 1 || there[0].Name() != "report.sock" {
			t.Errorf("a job writes beside the socket: %v, %v", there, err)
		}
		hang()
	}
}

func TestANameThatIsTaken(t *testing.T) {
	p := secured(t, Config{Agent: conformance.StandIn(t), State: t.TempDir()})
	l := conformance.Launch(1)
	name := p.nameOf(l.Worker, l.Fence)
	stranger, err := p.cli.ContainerCreate(t.Context(), &container.Config{Image: testImage}, nil, nil, nil, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.cli.ContainerRemove(context.WithoutCancel(t.Context()), stranger.ID, container.RemoveOptions{Force: true}); err != nil {
			t.Error(err)
		}
	})
	_, err = p.Create(t.Context(), l)
	var failure *provider.Failure
	if !errors.As(err, &failure) || failure.Permanent || !strings.Contains(failure.Reason, "docker rm -f") {
		t.Errorf("Create gave %v, want a failure that says what to do", err)
	}
	if err := p.Terminate(t.Context(), l.Worker, l.Fence); err != nil {
		t.Error(err)
	}
	if _, err := p.cli.ContainerInspect(t.Context(), stranger.ID); err != nil {
		t.Errorf("a stranger was removed: %v", err)
	}
}

// TestCreateAfterACrash begins where a control plane died between making the
// container and starting it.
func TestCreateAfterACrash(t *testing.T) {
	agent := conformance.StandIn(t)
	for way, state := range map[string]string{"mounted": t.TempDir(), "copied": ""} {
		t.Run(way, func(t *testing.T) {
			p := secured(t, Config{Agent: agent, State: state})
			l := conformance.Launch(1, "exit 4")
			l.Workspace = workspace
			half := func() string {
				t.Helper()
				mounts := p.shared(l)
				if state != "" {
					more, err := p.layOut(l)
					if err != nil {
						t.Fatal(err)
					}
					mounts = append(mounts, more...)
				}
				made, err := p.cli.ContainerCreate(t.Context(), p.config(l), p.hostConfig(l, mounts), nil, nil, p.nameOf(l.Worker, l.Fence))
				if err != nil {
					t.Fatal(err)
				}
				return made.ID
			}
			id := half()
			if all, err := p.List(t.Context()); err != nil || len(all) != 1 || all[0].Running || all[0].Preparing == "" {
				t.Errorf("List gives %+v, %v: want one that did not start", all, err)
			}
			if st := create(t, p, l); st.Handle != id {
				t.Errorf("Create gave %+v, want %s started", st, id)
			}
			prints(t, p, l, "leaving")
			for range 2 { // the second time it is merely created
				if err := p.Terminate(t.Context(), l.Worker, l.Fence); err != nil {
					t.Error(err)
				}
				if names := left(t, p); len(names) > 0 {
					t.Errorf("left: %q", names)
				}
				half()
			}
		})
	}
}

func TestCreateWithoutTheNetwork(t *testing.T) {
	p := secured(t, Config{Agent: conformance.StandIn(t), State: t.TempDir()})
	removeNetwork(t, p)
	if st := create(t, p, conformance.Launch(1)); !st.Running {
		t.Errorf("Create gave %+v", st)
	}
}

func TestSecureAtOnceMakesOneNetwork(t *testing.T) {
	agent := conformance.StandIn(t)
	first := secured(t, Config{Agent: agent})
	removeNetwork(t, first)
	errs := make(chan error)
	for range 6 {
		p := open(t, first.cfg)
		go func() { errs <- p.Secure(t.Context()) }()
	}
	for range 6 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if all, err := first.networks(t.Context(), first.cfg.Network); err != nil || len(all) != 1 {
		t.Errorf("there are the networks %+v, %v; want one", all, err)
	}
	create(t, first, conformance.Launch(1))
}

func TestSecureRefuses(t *testing.T) {
	agent := conformance.StandIn(t)
	p := secured(t, Config{Agent: agent})
	other := open(t, Config{Installation: "another" + rand.Text(), Agent: agent, Network: p.cfg.Network})
	if err := other.Secure(t.Context()); err == nil || !strings.Contains(err.Error(), "docker network rm") {
		t.Errorf("Secure with another's network gave %v", err)
	}
	gone := open(t, Config{Installation: "x", Agent: filepath.Join(t.TempDir(), "none")})
	if err := gone.Secure(t.Context()); err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("Secure without an agent gave %v", err)
	}
	names, err := p.cli.NetworkList(t.Context(), network.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(names, func(n network.Summary) bool { return n.Name == p.cfg.Network }) {
		t.Error("the network is gone")
	}
}

func TestDismantle(t *testing.T) {
	p := secured(t, Config{Agent: conformance.StandIn(t)})
	l := conformance.Launch(1)
	create(t, p, l)
	if err := p.Dismantle(t.Context()); err == nil {
		t.Error("the network is removed from under a worker")
	}
	if err := p.Terminate(t.Context(), l.Worker, l.Fence); err != nil {
		t.Fatal(err)
	}
	// One with the same name for its network is none of the installation's.
	other := open(t, Config{Installation: "another" + rand.Text(), Agent: p.cfg.Agent, Network: p.cfg.Network})
	for i, q := range []*Provider{other, p, p} {
		if err := q.Dismantle(t.Context()); err != nil {
			t.Error(err)
		}
		all, err := p.networks(t.Context(), p.cfg.Network)
		if err != nil || i == 0 && len(all) != 1 || i > 0 && len(all) != 0 {
			t.Errorf("after Dismantle %d there are the networks %+v, %v", i, all, err)
		}
	}
}

func TestPortForwardToNobody(t *testing.T) {
	p := secured(t, Config{Agent: conformance.StandIn(t), State: t.TempDir()})
	l := conformance.Launch(1)
	create(t, p, l)
	conn, err := p.PortForward(t.Context(), l.Worker, 9)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("Read gave %v, want that the connection was refused", err)
	}
}
