package docker

import (
	"context"
	"fmt"
	"io"
	"slices"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/providers/changes"
	"github.com/relevo-ci/relevo/shared/provider"
)

// List gives the containers of this installation, and the workers that wait
// for an image here.
func (p *Provider) List(ctx context.Context) ([]provider.Status, error) {
	found, err := p.list(ctx, "")
	if err != nil {
		return nil, p.wrap("list workers", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.waiting {
		found = append(found, p.preparing(l))
	}
	return found, nil
}

// list gives the containers of all workers, or of one.
func (p *Provider) list(ctx context.Context, worker events.WorkerID) ([]provider.Status, error) {
	all, err := p.cli.ContainerList(ctx, container.ListOptions{All: true, Filters: p.mine(worker)})
	if err != nil {
		return nil, err
	}
	sts := make([]provider.Status, 0, len(all))
	for _, c := range all {
		st := p.described(c.Labels, c.ID)
		switch c.State {
		case container.StateRunning, container.StatePaused, container.StateRestarting:
			st.Running = true
		case container.StateCreated:
			st.Preparing = notStarted
		case container.StateRemoving:
			continue
		default: // how it ended is in the details alone
			details, err := p.cli.ContainerInspect(ctx, c.ID)
			if cerrdefs.IsNotFound(err) {
				continue
			}
			if err != nil {
				return nil, err
			}
			st = p.inspected(details)
		}
		sts = append(sts, st)
	}
	return sts, nil
}

const notStarted = "not started yet"

// inspected is the status of a container.
func (p *Provider) inspected(c container.InspectResponse) provider.Status {
	st := p.described(c.Config.Labels, c.ID)
	switch {
	case c.State.Running:
		st.Running = true
	case c.State.Status == container.StateCreated:
		st.Preparing = notStarted
	default:
		st.Exit = c.State.ExitCode
		st.Reason = reason(c.State.ExitCode, c.State.OOMKilled, c.HostConfig.Memory)
		if c.State.Error != "" {
			st.Reason += ": " + c.State.Error
		}
	}
	return st
}

// reason says how a container ended. It ran out of memory when any of its
// processes was killed for that; the agent may have lived on and told of it.
func reason(exit int, oom bool, limit int64) string {
	const advice = "out of memory (limit %d MiB): raise resources.memory"
	switch {
	case oom && exit == 137:
		return "killed: " + fmt.Sprintf(advice, limit>>20)
	case oom:
		return changes.Exited(exit) + ", a step was killed: " + fmt.Sprintf(advice, limit>>20)
	}
	return changes.Exited(exit)
}

// latest is the container of the worker with the highest fence; ErrNotFound.
func (p *Provider) latest(ctx context.Context, id events.WorkerID) (provider.Status, error) {
	sts, err := p.list(ctx, id)
	if err != nil {
		return provider.Status{}, err
	}
	if len(sts) == 0 {
		return provider.Status{}, fmt.Errorf("%w: %s", provider.ErrNotFound, id)
	}
	return slices.MaxFunc(sts, func(a, b provider.Status) int { return a.Fence.Compare(b.Fence) }), nil
}

// Logs reads what the agent printed so far.
func (p *Provider) Logs(ctx context.Context, id events.WorkerID) (io.ReadCloser, error) {
	what := "read the log of worker " + string(id)
	st, err := p.latest(ctx, id)
	if err != nil {
		return nil, p.wrap(what, err)
	}
	body, err := p.cli.ContainerLogs(ctx, st.Handle, container.LogsOptions{ShowStdout: true, ShowStderr: true})
	if cerrdefs.IsNotFound(err) {
		return nil, fmt.Errorf("%w: %s", provider.ErrNotFound, id)
	}
	if err != nil {
		return nil, p.wrap(what, err)
	}
	r, w := io.Pipe()
	go func() {
		_, err := stdcopy.StdCopy(w, w, body)
		w.CloseWithError(err)
	}()
	return &printed{PipeReader: r, body: body}, nil
}

// printed is a log, out of the frames that Docker keeps it in.
type printed struct {
	*io.PipeReader
	body io.Closer
}

func (l *printed) Close() error {
	_ = l.PipeReader.Close()
	return l.body.Close()
}
