package docker

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"github.com/relevo-ci/relevo/providers/conformance"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/provider"
)

// testImage is made by test/setup: busybox and nothing else.
const testImage = "relevo-test/busybox:latest"

// TestConformance mounts the launches; that they can be copied in too is tested
// in TestUserOfTheImage and TestCreateAfterACrash.
func TestConformance(t *testing.T) {
	agent := conformance.StandIn(t)
	conformance.Suite(t, func(t *testing.T) conformance.Harness {
		return harness(t, Config{Agent: agent, Image: testImage, State: t.TempDir()})
	})
}

func harness(t *testing.T, cfg Config) conformance.Harness {
	cli := daemon(t)
	of := func(installation string) *Provider {
		c := cfg
		c.Installation = installation
		return open(t, c)
	}
	return conformance.Harness{
		Open: func(_ *testing.T, installation string) provider.Provider { return of(installation) },
		Kill: func(t *testing.T, st provider.Status) {
			if err := cli.ContainerKill(context.WithoutCancel(t.Context()), st.Handle, "KILL"); err != nil {
				t.Fatal(err)
			}
		},
		Remove: func(t *testing.T, st provider.Status) {
			if err := cli.ContainerRemove(context.WithoutCancel(t.Context()), st.Handle, container.RemoveOptions{Force: true}); err != nil {
				t.Fatal(err)
			}
		},
		Left:       func(t *testing.T, installation string) []string { return left(t, of(installation)) },
		Close:      func(t *testing.T, installation string) { removeNetwork(t, of(installation)) },
		Impossible: func(l *execution.Launch) { l.Resources.Memory = 1 },
		Processes:  true,
		Parallel:   true,
	}
}

// daemon is a client of its own, for looking and for doing harm.
func daemon(t testing.TB) *client.Client {
	t.Helper()
	cli, err := client.NewClientWithOpts(client.WithAPIVersionNegotiation(), client.WithHostFromEnv())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cli.Close() })
	return cli
}

func open(t testing.TB, cfg Config) *Provider {
	t.Helper()
	if cfg.Host == "" {
		cfg.Host = os.Getenv("DOCKER_HOST")
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// left names the containers and folders of an installation.
func left(t testing.TB, p *Provider) []string {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	all, err := p.cli.ContainerList(ctx, container.ListOptions{All: true, Filters: p.mine("")})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range all {
		names = append(names, c.Names...)
	}
	if p.cfg.State == "" {
		return names
	}
	entries, err := os.ReadDir(p.cfg.State)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), p.prefix) {
			names = append(names, e.Name())
		}
	}
	return names
}

func removeNetwork(t testing.TB, p *Provider) {
	t.Helper()
	if err := p.Dismantle(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

// eventually polls until holds answers true.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}
