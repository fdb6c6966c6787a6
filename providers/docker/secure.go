package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"

	"github.com/relevo-ci/relevo/shared/domain/execution"
)

// Secure looks whether the daemon answers and can run the agent, and makes the
// installation's network.
func (p *Provider) Secure(ctx context.Context) error {
	info, err := os.Stat(p.cfg.Agent)
	if err != nil {
		return fmt.Errorf("docker: the agent's binary is missing (make build makes it): %w", err)
	}
	if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("docker: %s is not executable: chmod +x it", p.cfg.Agent)
	}
	daemon, err := p.cli.Info(ctx)
	if err != nil {
		return p.wrap("look at the daemon", err)
	}
	if daemon.OSType != "linux" {
		return fmt.Errorf("docker: %s runs %s containers: switch it to Linux containers", p.cli.DaemonHost(), daemon.OSType)
	}
	if p.cfg.State != "" {
		if err := os.MkdirAll(p.cfg.State, 0o700); err != nil {
			return fmt.Errorf("docker: make the state folder: %w", err)
		}
	}
	return p.wrap("make network "+p.cfg.Network, p.ensureNetwork(ctx, p.cfg.Network))
}

// networkOf is the network that a worker is on: the strangers are on one of
// their own, from which the others are not reached. The first of them makes it.
func (p *Provider) networkOf(l execution.Launch) string {
	if l.Untrusted {
		return p.untrusted()
	}
	return p.cfg.Network
}

func (p *Provider) untrusted() string {
	name := p.cfg.Network
	if name == network.NetworkBridge { // that is no installation's
		name = p.prefix
	}
	return name + "-untrusted"
}

// ensureNetwork makes one of the installation's networks unless it is there.
func (p *Provider) ensureNetwork(ctx context.Context, name string) error {
	if name == network.NetworkBridge {
		return nil
	}
	p.network.Lock()
	defer p.network.Unlock()
	there, err := p.networks(ctx, name)
	if err != nil {
		return err
	}
	if len(there) == 0 {
		if err := p.makeNetwork(ctx, name); err != nil && !cerrdefs.IsConflict(err) {
			return err
		}
		if there, err = p.networks(ctx, name); err != nil {
			return err
		}
	}
	for _, n := range there {
		if n.Labels[labelInstallation] != p.cfg.Installation {
			return fmt.Errorf("there is a network of this name that is not this installation's: choose another name, or docker network rm %s", n.ID)
		}
	}
	return p.keepOne(ctx, there)
}

// Dismantle removes the installation's networks, for an installation that ends
// with its control plane. Docker has room for some thirty networks. While a
// worker is on one, it stays.
func (p *Provider) Dismantle(ctx context.Context) error {
	p.network.Lock()
	defer p.network.Unlock()
	return errors.Join(p.dismantle(ctx, p.cfg.Network), p.dismantle(ctx, p.untrusted()))
}

func (p *Provider) dismantle(ctx context.Context, name string) error {
	there, err := p.networks(ctx, name)
	if err != nil {
		return p.wrap("look for network "+name, err)
	}
	for _, n := range there {
		if n.Labels[labelInstallation] != p.cfg.Installation {
			continue
		}
		if err := p.cli.NetworkRemove(ctx, n.ID); err != nil && !cerrdefs.IsNotFound(err) {
			return p.wrap("remove network "+name, err)
		}
	}
	return nil
}

// keepOne removes all networks but one. Old daemons let several of one name be
// made at once, and then cannot tell which is meant. The first by id stays, on
// which all agree who are at it, unless another has workers on it already.
func (p *Provider) keepOne(ctx context.Context, there []network.Summary) error {
	if len(there) < 2 {
		return nil
	}
	busy := 0
	for _, n := range slices.Backward(there) {
		if n.ID == there[0].ID && busy == 0 {
			return nil
		}
		err := p.cli.NetworkRemove(ctx, n.ID)
		switch {
		case cerrdefs.IsPermissionDenied(err), cerrdefs.IsConflict(err): // it has workers
			busy++
		case err != nil && !cerrdefs.IsNotFound(err):
			return err
		}
	}
	if busy > 1 {
		return fmt.Errorf("there are %d networks of this name with workers on them: try again when these ended", busy)
	}
	return nil
}

func (p *Provider) makeNetwork(ctx context.Context, name string) error {
	_, err := p.cli.NetworkCreate(ctx, name, network.CreateOptions{
		Driver: "bridge",
		// Workers reach out, not each other.
		Options: map[string]string{"com.docker.network.bridge.enable_icc": "false"},
		Labels:  map[string]string{labelInstallation: p.cfg.Installation},
	})
	if err != nil && strings.Contains(err.Error(), "address pool") {
		return fmt.Errorf("%w: remove networks that nobody uses (docker network prune), or give the daemon more default-address-pools", err)
	}
	return err
}

// networks are those of a name, the smallest id first.
func (p *Provider) networks(ctx context.Context, name string) ([]network.Summary, error) {
	all, err := p.cli.NetworkList(ctx, network.ListOptions{Filters: filters.NewArgs(filters.Arg("name", name))})
	if err != nil {
		return nil, err
	}
	// The daemon's filter also finds parts of names.
	all = slices.DeleteFunc(all, func(n network.Summary) bool { return n.Name != name })
	slices.SortFunc(all, func(a, b network.Summary) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}
