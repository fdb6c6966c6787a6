package docker

import (
	"context"
	"errors"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"github.com/relevo-ci/relevo/events"
)

// Terminate stops and removes the worker's containers up to the fence, with
// their volumes, and forgets a pull that it waits for.
func (p *Provider) Terminate(ctx context.Context, id events.WorkerID, fence events.Fence) error {
	what := "terminate " + p.nameOf(id, fence)
	unlock, err := p.locks.lock(ctx, string(id))
	if err != nil {
		return p.wrap(what, err)
	}
	defer unlock()
	p.drop(id, fence)
	all, err := p.cli.ContainerList(ctx, container.ListOptions{All: true, Filters: p.mine(id)})
	if err != nil {
		return p.wrap(what, err)
	}
	var errs []error
	for _, c := range all {
		if f, err := events.ParseFence(c.Labels[labelFence]); err != nil || f.Compare(fence) > 0 {
			continue
		}
		errs = append(errs, p.remove(ctx, c))
	}
	if err := errors.Join(errs...); err != nil {
		return p.wrap(what, err)
	}
	return p.wrap(what, p.sweep(id, fence))
}

// remove ends a container and waits until it is gone.
func (p *Provider) remove(ctx context.Context, c container.Summary) error {
	id := c.ID
	stopped := p.stop(ctx, c)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	err := p.cli.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	switch {
	case err == nil || cerrdefs.IsNotFound(err):
		return nil
	case !cerrdefs.IsConflict(err):
		return errors.Join(err, stopped)
	}
	// Another one is at it.
	if err := <-p.wait(ctx, id, container.WaitConditionRemoved); !cerrdefs.IsNotFound(err) {
		return err
	}
	return nil
}

// wait gives one answer: nil once the condition holds, or why that is not
// known, also when ctx ended. It takes the client's answer in any case, since
// the client would wait for ever to give it.
func (p *Provider) wait(ctx context.Context, id string, condition container.WaitCondition) <-chan error {
	held, failed := p.cli.ContainerWait(ctx, id, condition)
	answer := make(chan error, 1)
	go func() {
		select {
		case <-held:
			answer <- nil
		case err := <-failed:
			answer <- err
		}
	}()
	return answer
}

// again is how long a SIGTERM may show no effect before it is repeated.
const again = 500 * time.Millisecond

// stop asks the agent to end, and waits for that as long as the launch grants.
// It asks more than once: the kernel drops a SIGTERM for the first process of
// a container that has not got to handling it yet, and `docker stop` would
// wait in vain. What is not running is stopped.
func (p *Provider) stop(ctx context.Context, c container.Summary) error {
	grace, err := time.ParseDuration(c.Labels[labelGrace])
	if err != nil {
		grace = p.cfg.Grace
	}
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	ended := p.wait(ctx, c.ID, container.WaitConditionNotRunning)
	for {
		err := p.cli.ContainerKill(ctx, c.ID, stopSignal)
		if cerrdefs.IsConflict(err) || cerrdefs.IsNotFound(err) { // ended, or gone
			return nil
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case err := <-ended:
			if ctx.Err() != nil || cerrdefs.IsNotFound(err) {
				return nil // what still runs is removed by force
			}
			return err
		case <-time.After(again):
		}
	}
}
