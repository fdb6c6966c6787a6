// Package provider is the port to whatever runs workers: processes of this
// machine, Docker containers, Kubernetes Jobs. The implementations stand in
// providers/ and pass the suite in providers/conformance.
package provider

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
)

// Provider makes and removes workers. Every worker carries the installation,
// its worker id and its fence; a provider sees and touches only those of its
// own installation. All methods may be called from many goroutines.
type Provider interface {
	// Name is process, docker, kubernetes or fake.
	Name() string
	// Create makes the worker of l and starts it, or adopts the one that is
	// there under the same (installation, worker id, fence): idempotent. It does
	// not wait for an image to be pulled: then Status.Preparing says so, and
	// what comes of it is told to Watch. A *Failure says that the worker cannot
	// be had; any other error that it is not known and to be tried again.
	Create(ctx context.Context, l execution.Launch) (Status, error)
	// Terminate removes a worker of this fence or an older one, with all its
	// processes and files: first asked to end, killed after the grace period of
	// its launch. A worker that is not there is removed already: no error. A
	// worker of a later fence is left alone. It returns when the worker is gone.
	Terminate(ctx context.Context, id events.WorkerID, fence events.Fence) error
	// List gives the workers of this installation, running or not.
	List(ctx context.Context) ([]Status, error)
	// Watch tells of workers that ended or could not start, until ctx ends. It
	// may tell twice, and loses what happens while nobody watches: the clock
	// finds that.
	Watch(ctx context.Context, tell func(Change)) error
	// Logs reads what the worker's agent itself printed (not the steps' logs).
	// ErrNotFound when the worker is gone.
	Logs(ctx context.Context, id events.WorkerID) (io.ReadCloser, error)
	// PortForward connects to a port on the worker's loopback; port 0 is the
	// agent's inspection port. ErrNotFound when the worker is gone.
	PortForward(ctx context.Context, id events.WorkerID, port int) (net.Conn, error)
	// Secure checks and prepares what isolation needs (networks, policies)
	// before the first worker; idempotent. The error says what to do.
	Secure(ctx context.Context) error
}

// ErrNotFound: no such worker here.
var ErrNotFound = errors.New("provider: worker not found")

// Status is what a provider knows of a worker.
type Status struct {
	events.AttemptRef
	Placement events.Placement
	// Handle is the container's or Job's own id; clean-up goes by it.
	Handle string
	// Preparing says what the start waits for; empty once it started.
	Preparing string
	// Running is false once the worker exited (or before it started).
	Running bool
	// Exit is the agent's exit code once it exited.
	Exit int
	// Reason in the provider's words: exited 137 (killed), OOM …
	Reason string
}

// Looker is a provider that says of one worker what Watch would tell of it now:
// for hosts that watch nothing, and hear by an event that something changed. It
// is not ok where there is nothing to tell, or nothing left of the worker.
type Looker interface {
	Look(ctx context.Context, id events.WorkerID, fence events.Fence) (change Change, ok bool, err error)
}

// Change is what Watch tells: one of three things happened.
type Change struct {
	Status
	// Failed: could not be made or started.
	Failed *Failure
	// Doomed: it was told to end from outside, for Reason, and may still run. That
	// it exited or vanished, which is what happened where it is neither, follows.
	Doomed bool
}

// Failure says that a worker cannot be had, and what to do about it.
type Failure struct {
	Reason string
	// Permanent marks what another attempt cannot mend.
	Permanent bool
}

// Error is the reason.
func (f *Failure) Error() string { return f.Reason }
