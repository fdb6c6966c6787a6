package docker

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/container"

	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/provider"
)

// errNone: there is no such container.
var errNone = errors.New("docker: no such container")

// Create makes and starts the container, or adopts the one that has its name.
// Where the image is not there yet it is pulled in the background, and the
// container made afterwards; if the control plane dies meanwhile, the next
// Create pulls on.
func (p *Provider) Create(ctx context.Context, l execution.Launch) (provider.Status, error) {
	name := p.nameOf(l.Worker, l.Fence)
	unlock, err := p.locks.lock(ctx, string(l.Worker))
	if err != nil {
		return provider.Status{}, p.wrap("create "+name, err)
	}
	defer unlock()
	if err := p.check(l); err != nil {
		return provider.Status{}, err
	}
	if failure := p.untold(name); failure != nil {
		return provider.Status{}, failure
	}
	st, err := p.create(ctx, l)
	return st, p.wrap("create "+name, err)
}

// check refuses what can never be a container.
func (p *Provider) check(l execution.Launch) error {
	name := p.nameOf(l.Worker, l.Fence)
	switch _, err := reference.ParseNormalizedNamed(p.image(l)); {
	case l.Worker == "" || l.Fence.IsZero() || filepath.Base(name) != name:
		return &provider.Failure{Reason: fmt.Sprintf("a worker needs a plain id and a fence, not %q and %q", l.Worker, l.Fence), Permanent: true}
	case p.image(l) == "":
		return &provider.Failure{Reason: "the job names no image and the pool has no default: set container", Permanent: true}
	case err != nil:
		return &provider.Failure{Reason: fmt.Sprintf("%q is not the name of an image: %v", p.image(l), err), Permanent: true}
	}
	return nil
}

// create goes on under the worker's lock.
func (p *Provider) create(ctx context.Context, l execution.Launch) (provider.Status, error) {
	image, err := p.cli.ImageInspect(ctx, p.image(l))
	if cerrdefs.IsNotFound(err) {
		// The image may have been removed from under a container that is there.
		if st, err := p.adopt(ctx, l); !errors.Is(err, errNone) {
			return st, err
		}
		return p.pull(l), nil
	}
	if err != nil {
		return provider.Status{}, refused(err)
	}
	p.wanted(l)
	user := ""
	if image.Config != nil {
		user = image.Config.User
	}
	return p.createFrom(ctx, l, user)
}

// createFrom makes the container of an image that is there and has this user.
func (p *Provider) createFrom(ctx context.Context, l execution.Launch, user string) (provider.Status, error) {
	if l.Workspace == "" || l.Workspace[0] != '/' {
		l.Workspace = workspace
	}
	l.InPlace = p.inPlace(l)
	mounts := p.shared(l)
	mounting, err := p.mountable(ctx, user)
	if err != nil {
		return provider.Status{}, err
	}
	if mounting {
		hand, err := p.layOut(l)
		if err != nil {
			return provider.Status{}, err
		}
		mounts = append(mounts, hand...)
	}
	made, err := p.cli.ContainerCreate(ctx, p.config(l), p.hostConfig(l, mounts), nil, nil, p.nameOf(l.Worker, l.Fence))
	if cerrdefs.IsConflict(err) {
		return p.adopt(ctx, l)
	}
	if err != nil {
		return provider.Status{}, refused(err)
	}
	return p.start(ctx, l, made.ID, user, mounting)
}

// adopt takes over the container that has the worker's name; errNone. One that
// was made but not started is started: its maker died, or is at it just now.
func (p *Provider) adopt(ctx context.Context, l execution.Launch) (provider.Status, error) {
	name := p.nameOf(l.Worker, l.Fence)
	c, err := p.cli.ContainerInspect(ctx, name)
	if cerrdefs.IsNotFound(err) {
		return provider.Status{}, errNone
	}
	if err != nil {
		return provider.Status{}, err
	}
	if !p.ours(c.Config.Labels, l) {
		return provider.Status{}, &provider.Failure{
			Reason: fmt.Sprintf("the name %s is taken by a container that is not this worker: docker rm -f %s", name, c.ID),
		}
	}
	switch c.State.Status {
	case container.StateCreated:
		mounted := false
		for _, m := range c.Mounts {
			mounted = mounted || m.Destination == launchAt
		}
		if l.Workspace == "" || l.Workspace[0] != '/' {
			l.Workspace = workspace
		}
		l.InPlace = p.inPlace(l)
		return p.start(ctx, l, c.ID, c.Config.User, mounted)
	case container.StateRemoving:
		return provider.Status{}, fmt.Errorf("container %s is being removed", c.ID)
	}
	return p.inspected(c), nil
}

// start hands the launch over, unless it is mounted, and starts the container.
func (p *Provider) start(ctx context.Context, l execution.Launch, id, user string, mounted bool) (provider.Status, error) {
	if !mounted {
		if err := p.copyIn(ctx, l, id, user); err != nil {
			return provider.Status{}, err
		}
	}
	err := p.cli.ContainerStart(ctx, id, container.StartOptions{})
	if cerrdefs.IsNotFound(err) || ambiguous(err) {
		// The network was removed since Secure, or is that of the first untrusted
		// worker, or the container was removed just now; or another control plane
		// makes the network too.
		if err = p.ensureNetwork(ctx, p.networkOf(l)); err == nil {
			err = p.cli.ContainerStart(ctx, id, container.StartOptions{})
		}
	}
	if err != nil {
		return provider.Status{}, unstartable(err)
	}
	st := p.described(p.labels(l), id)
	st.Running = true
	return st, nil
}
