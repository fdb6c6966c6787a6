// Package process starts the commands of steps and makes sure that they end:
// each in a process group of its own, every orphan adopted and reaped, and in
// the end all that descends from the agent killed.
package process

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// killPatience bounds how long KillAll waits for what does not die: a process
// may hang in the kernel.
const killPatience = 10 * time.Second

// Host starts processes and reaps every child of this one, its own and those
// it inherits as PID 1 or subreaper. There must be one in a program, and
// nothing else in it may wait for children.
type Host struct {
	starts chan func()
	adopts bool // every descendant that loses its parent becomes our child

	mu       sync.Mutex
	children map[int]*Process
	// changed is closed, and made anew, when a child died.
	changed chan struct{}
}

// Command is what to start.
type Command struct {
	Path string   // of the program
	Args []string // with its name as the first
	Dir  string
	Env  []string
	Out  *os.File // standard output and error
}

// Process is a command that was started. It leads a process group.
type Process struct {
	Pid  int
	done chan struct{}
	// status is set when done is closed.
	status syscall.WaitStatus
}

// NewHost makes the host; call it once.
func NewHost() *Host {
	h := &Host{
		children: map[int]*Process{}, starts: make(chan func()), changed: make(chan struct{}),
		adopts: adoptOrphans(),
	}
	// Children die with the thread that started them (see ownGroup), so all
	// are started by one that lives as long as the program.
	go func() {
		runtime.LockOSThread()
		for start := range h.starts {
			start()
		}
	}()
	died := make(chan os.Signal, 1)
	signal.Notify(died, syscall.SIGCHLD)
	go func() {
		for range died {
			h.reap()
		}
	}()
	return h
}

// Start starts a command with an empty standard input.
func (h *Host) Start(c Command) (*Process, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, fmt.Errorf("process: start: %w", err)
	}
	defer func() { _ = null.Close() }()
	p := &Process{done: make(chan struct{})}
	started := make(chan error)
	h.starts <- func() {
		// Not before the child is known may anybody reap it.
		h.mu.Lock()
		defer h.mu.Unlock()
		child, err := os.StartProcess(c.Path, c.Args, &os.ProcAttr{
			Dir: c.Dir, Env: c.Env, Files: []*os.File{null, c.Out, c.Out}, Sys: ownGroup(),
		})
		if err == nil {
			p.Pid = child.Pid
			h.children[p.Pid] = p
			// Its end is seen by reap.
			err = child.Release()
		}
		started <- err
	}
	if err := <-started; err != nil {
		return nil, fmt.Errorf("process: start %s: %w", c.Path, err)
	}
	// Its signal may have come before it was known.
	h.reap()
	return p, nil
}

// reap collects every child that died.
func (h *Host) reap() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		close(h.changed)
		h.changed = make(chan struct{})
		if p := h.children[pid]; p != nil {
			delete(h.children, pid)
			p.status = status
			close(p.done)
		}
	}
}

// Family tells which processes there are, to be spared later.
func (h *Host) Family() map[int]bool {
	family := map[int]bool{}
	for _, pid := range h.descendants(nil) {
		family[pid] = true
	}
	return family
}

// End asks p's group to end, more urgently as time passes, and kills after
// grace whatever is left of it and of what it started, in the group or not.
// Spared are the processes named, the others that were started here, and all
// that descends from either. It returns when they are gone. A grace of zero
// kills at once.
func (h *Host) End(p *Process, grace time.Duration, spare map[int]bool) {
	spare = h.withOthers(spare, p)
	steps := []struct {
		after time.Duration
		send  syscall.Signal
	}{{0, syscall.SIGINT}, {grace * 3 / 4, syscall.SIGTERM}, {grace, 0}}
	began := time.Now()
	for _, step := range steps {
		timer := time.NewTimer(step.after - time.Since(began))
		for waiting := true; waiting; {
			h.mu.Lock()
			changed := h.changed
			h.mu.Unlock()
			if len(h.descendants(spare)) == 0 {
				timer.Stop()
				h.reap()
				return
			}
			select {
			case <-timer.C:
				waiting = false
			case <-changed:
			}
		}
		if step.send != 0 {
			p.Signal(step.send)
		}
	}
	h.KillAll(spare)
}

// withOthers adds what was started here besides p to those to be spared.
func (h *Host) withOthers(spare map[int]bool, p *Process) map[int]bool {
	spare = maps.Clone(spare)
	if spare == nil {
		spare = map[int]bool{}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for pid, other := range h.children {
		spare[pid] = other != p
	}
	return spare
}

// KillAll kills every process that descends from this one, with what they
// spawn meanwhile, but those spared and what descends from them. It returns
// when they are gone, or cannot be killed.
func (h *Host) KillAll(spare map[int]bool) {
	deadline := time.Now().Add(killPatience)
	// Twice without: what was being born during one look shows in the next.
	for empty := 0; empty < 2 && time.Now().Before(deadline); {
		empty++
		for _, pid := range h.descendants(spare) {
			// EPERM: not ours any more, as after sudo.
			if !errors.Is(syscall.Kill(pid, syscall.SIGKILL), syscall.EPERM) {
				empty = 0
			}
		}
		h.reap()
		if empty == 0 {
			time.Sleep(2 * time.Millisecond)
		}
	}
}

// Done is closed when the process ended. What it started may live on.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit is the exit code, or -1 and the signal that ended it; after Done.
func (p *Process) Exit() (code int, by syscall.Signal) {
	if p.status.Signaled() {
		return -1, p.status.Signal()
	}
	return p.status.ExitStatus(), 0
}

// Signal tells the whole process group.
func (p *Process) Signal(s syscall.Signal) {
	// The group may be there when its leader is not; gone is fine.
	_ = syscall.Kill(-p.Pid, s)
}
