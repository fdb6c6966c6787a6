package docker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/provider"
)

// PortForward connects to a port in the container through a second agent that
// is started there (docker exec): it works where the container's network
// cannot be reached, and opens nothing to anybody else. Port 0 is the agent's
// inspection port.
func (p *Provider) PortForward(ctx context.Context, id events.WorkerID, port int) (net.Conn, error) {
	what := "forward to worker " + string(id)
	st, err := p.latest(ctx, id)
	if err != nil {
		return nil, p.wrap(what, err)
	}
	if !st.Running {
		return nil, fmt.Errorf("docker: %s: it does not run: %s%s", what, st.Preparing, st.Reason)
	}
	target := strconv.Itoa(port)
	if port == 0 {
		target = portAt
	}
	made, err := p.cli.ContainerExecCreate(ctx, st.Handle, container.ExecOptions{
		AttachStdin: true, AttachStdout: true, AttachStderr: true,
		Cmd: []string{agentAt, "dial", target},
	})
	if cerrdefs.IsNotFound(err) {
		return nil, fmt.Errorf("%w: %s", provider.ErrNotFound, id)
	}
	if err != nil {
		return nil, p.wrap(what, err)
	}
	attached, err := p.cli.ContainerExecAttach(ctx, made.ID, container.ExecAttachOptions{})
	if err != nil {
		return nil, p.wrap(what, err)
	}
	return newTunnel(attached), nil
}

// tunnel is the connection: what is written goes to the second agent's
// standard input, what it prints is read. A net.Pipe in between gives the
// deadlines and the addresses of a net.Conn.
type tunnel struct {
	net.Conn
	attached types.HijackedResponse
	mu       sync.Mutex
	said     bytes.Buffer // on standard error
}

func newTunnel(attached types.HijackedResponse) *tunnel {
	near, far := net.Pipe()
	t := &tunnel{Conn: near, attached: attached}
	go func() {
		_, _ = io.Copy(attached.Conn, far)
		_ = attached.CloseWrite() // the far side was closed, so is the near one
	}()
	go func() {
		_, _ = stdcopy.StdCopy(far, complaints{t}, attached.Reader)
		_ = far.Close()
	}()
	return t
}

// complaints takes what the second agent says on standard error.
type complaints struct{ t *tunnel }

func (c complaints) Write(b []byte) (int, error) {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if c.t.said.Len() < complaintMax {
		c.t.said.Write(b)
	}
	return len(b), nil
}

// complaintMax bounds what is kept of it, in bytes.
const complaintMax = 4096

// Read ends with what the second agent complained of, if it did: that nobody
// listens on the port.
func (t *tunnel) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	if err != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		if said := bytes.TrimSpace(t.said.Bytes()); len(said) > 0 {
			return n, fmt.Errorf("docker: forward: %s", said)
		}
	}
	return n, err
}

// Close ends the connection and, with its input, the second agent.
func (t *tunnel) Close() error {
	_ = t.Conn.Close()
	t.attached.Close()
	return nil
}
