package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"

	"github.com/relevo-ci/relevo/providers/conformance"
	"github.com/relevo-ci/relevo/shared/provider"
)

func TestNoDaemon(t *testing.T) {
	for _, host := range []string{"tcp://127.0.0.1:1", "unix://" + t.TempDir() + "/none.sock"} {
		p := open(t, Config{Installation: t.Name(), Agent: conformance.StandIn(t), Host: host, Image: testImage})
		l := conformance.Launch(1)
		_, created := p.Create(t.Context(), l)
		_, listed := p.List(t.Context())
		_, logged := p.Logs(t.Context(), l.Worker)
		for what, err := range map[string]error{
			"Create": created, "List": listed, "Logs": logged, "Secure": p.Secure(t.Context()),
			"Terminate": p.Terminate(t.Context(), l.Worker, l.Fence),
		} {
			var failure *provider.Failure
			if errors.As(err, &failure) || errors.Is(err, provider.ErrNotFound) || err == nil || !strings.Contains(err.Error(), "DOCKER_HOST") {
				t.Errorf("%s gave %v, want an error to be tried again that says what to look at", what, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if err := p.Watch(ctx, func(provider.Change) {}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Watch gave %v, want it to wait for the daemon", err)
		}
		cancel()
	}
	if _, err := New(Config{Installation: "x", Agent: "y", Host: "nonsense"}); err == nil {
		t.Error("New takes any host")
	}
}

func TestFinal(t *testing.T) {
	for text, want := range map[string]bool{
		"manifest for x/y:1 not found: manifest unknown: manifest unknown":                             true,
		"pull access denied for x, repository does not exist or may require 'docker login'":            true,
		"no matching manifest for linux/arm64 in the manifest list entries":                            true,
		"Head \"https://h/v2/x/manifests/1\": no basic auth credentials":                               true,
		"unauthorized: authentication required":                                                        true,
		"denied: requested access to the resource is denied":                                           true,
		"Get \"https://h/v2/\": dial tcp: lookup h on 10.0.0.1:53: no such host":                       false,
		"Get \"http://localhost:1/v2/\": dial tcp [::1]:1: connect: connection refused":                false,
		"toomanyrequests: You have reached your pull rate limit":                                       false,
		"received unexpected HTTP status: 503 Service Unavailable":                                     false,
		"failed to register layer: write /x: no space left on device":                                  false,
		"net/http: TLS handshake timeout":                                                              false,
		"error pulling image configuration: download failed after attempts=6: unexpected EOF":          false,
		"Get \"https://h/v2/\": net/http: request canceled (Client.Timeout exceeded while awaiting …)": false,
	} {
		if got := final(errors.New(text)); got != want {
			t.Errorf("%s: got %v", text, got)
		}
	}
	for _, err := range []error{cerrdefs.ErrNotFound, cerrdefs.ErrUnauthenticated, cerrdefs.ErrPermissionDenied, cerrdefs.ErrInvalidArgument} {
		if !final(fmt.Errorf("x: %w", err)) {
			t.Errorf("%v is not final", err)
		}
	}
	if final(fmt.Errorf("x: %w", cerrdefs.ErrUnavailable)) {
		t.Error("an unavailable registry is final")
	}
}

func TestReason(t *testing.T) {
	for _, c := range []struct {
		exit  int
		oom   bool
		limit int64
		want  string
	}{
		{0, false, 0, "exited 0"},
		{137, false, 512 << 20, "exited 137 (killed)"},
		{137, true, 512 << 20, "killed: out of memory (limit 512 MiB): raise resources.memory"},
		{1, true, 512 << 20, "exited 1, a step was killed: out of memory (limit 512 MiB): raise resources.memory"},
	} {
		if got := reason(c.exit, c.oom, c.limit); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestFindUser(t *testing.T) {
	const passwd = "root:x:0:0:root:/root:/bin/sh\n# comment\n\nbroken\nbuild:x:1000:1000::/home/build:/bin/sh\nbad:x:many:0::/:\nlast:x:7:7::/:/bin/sh"
	for name, want := range map[string]int{"root": 0, "build": 1000, "last": 7} {
		if got, err := findUser(passwd, name); err != nil || got != want {
			t.Errorf("%s: got %d, %v; want %d", name, got, err, want)
		}
	}
	for _, name := range []string{"bad", "nobody", "uild", "build:x", "broken"} {
		if got, err := findUser(passwd, name); err == nil {
			t.Errorf("%s: got %d, want an error", name, got)
		}
	}
}

func FuzzFindUser(f *testing.F) {
	f.Add("root:x:0:0:root:/root:/bin/sh\n", "root")
	f.Fuzz(func(t *testing.T, passwd, name string) {
		if uid, err := findUser(passwd, name); uid < 0 || err == nil && !strings.Contains(passwd, name+":") {
			t.Errorf("%q in %q: got %d, %v", name, passwd, uid, err)
		}
	})
}

// TestWatchCatchesUp cuts the connection to the daemon, and lets one worker
// exit and one be removed meanwhile.
func TestWatchCatchesUp(t *testing.T) {
	cli := daemon(t)
	socket, ok := strings.CutPrefix(cli.DaemonHost(), "unix://")
	if !ok {
		t.Fatalf("the daemon listens at %s, this needs its socket", cli.DaemonHost())
	}
	between := t.TempDir() + "/relay.sock"
	line := newRelay(t, between, socket)
	direct := secured(t, Config{Agent: conformance.StandIn(t), State: t.TempDir()})
	cfg := direct.cfg
	cfg.Host = "unix://" + between
	changes := told(t, open(t, cfg))

	// A worker that ended tells that it watches.
	probe := conformance.Launch(1, "exit 1")
	create(t, direct, probe)
	if c := <-changes; c.Placement.Worker != probe.Worker || c.Exit != 1 {
		t.Fatalf("Watch told %+v", c)
	}
	exits, removed := conformance.Launch(2), conformance.Launch(3)
	st := create(t, direct, exits)
	create(t, direct, removed)
	line.set(true)
	if err := cli.ContainerKill(t.Context(), st.Handle, "KILL"); err != nil {
		t.Fatal(err)
	}
	if err := direct.Terminate(t.Context(), removed.Worker, removed.Fence); err != nil {
		t.Fatal(err)
	}
	line.set(false)
	heard := map[string]bool{}
	for len(heard) < 2 {
		c := <-changes
		if c.Placement.Worker == exits.Worker && c.Exit == 137 || c.Placement.Worker == removed.Worker {
			heard[string(c.Placement.Worker)] = true
		}
	}
}
