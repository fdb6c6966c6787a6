package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/provider"
)

// monitor waits for one agent's end.
type monitor struct {
	child bool          // it reaps the agent and writes down how that ended
	done  chan struct{} // closed when it did
}

// List gives the workers of this installation, running or not.
func (p *Provider) List(ctx context.Context) ([]provider.Status, error) {
	ws, err := p.workers()
	if err != nil {
		return nil, err
	}
	var all []provider.Status
	for _, w := range ws {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if w.removing {
			continue
		}
		st, err := p.status(w)
		if err != nil {
			return nil, err
		}
		if st.Preparing != "" && !w.exists() {
			continue // removed while it was looked at
		}
		all = append(all, st)
	}
	return all, nil
}

func (w worker) exists() bool {
	_, err := os.Stat(w.folder)
	return err == nil
}

// Watch tells of agents that ended, first of those that ended before. It does
// not notice workers that another control plane makes after it began.
func (p *Provider) Watch(ctx context.Context, tell func(provider.Change)) error {
	sub := p.feed.Subscribe()
	defer sub.Close()
	ws, err := p.workers()
	if err != nil {
		return err
	}
	for _, w := range ws {
		var id identity
		if there, err := w.read(agentFile, &id); w.removing || !there || err != nil {
			continue
		}
		p.adopt(w, id)
		if st, err := p.status(w); err == nil && !st.Running && st.Preparing == "" {
			sub.Tell(provider.Change{Status: st})
		}
	}
	return sub.Drain(ctx, tell)
}

// watchChild reaps an agent that this control plane started, and writes down
// how it ended. Close does not stop it: children are to be reaped.
func (p *Provider) watchChild(w worker, cmd *exec.Cmd) {
	st, _ := p.status(w) // the folder may be gone at its end
	m := &monitor{child: true, done: make(chan struct{})}
	p.mu.Lock()
	p.monitors[w.name()] = m
	p.mu.Unlock()
	go func() {
		_ = cmd.Wait() // the state says it
		e := exitOf(cmd.ProcessState)
		_ = w.write(exitFile, e) // no folder any more: it was terminated
		p.forget(w, m)
		st.Running, st.Preparing, st.Exit, st.Reason = false, "", e.Code, e.Reason
		p.feed.Tell(provider.Change{Status: st})
	}()
}

// adopt waits for the end of an agent that is nobody's child here, unless it
// ended or somebody waits for it.
func (p *Provider) adopt(w worker, id identity) {
	h, err := p.hold(id)
	if err != nil {
		return
	}
	st, err := p.status(w)
	m := &monitor{done: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil || p.monitors[w.name()] != nil {
		h.close()
		return
	}
	p.monitors[w.name()] = m
	go func() {
		defer h.close()
		err := h.wait(p.ctx)
		p.forget(w, m)
		if err != nil {
			return
		}
		// Its parent may know how it ended.
		if now, err := p.status(w); err == nil && now.Handle == st.Handle {
			st = now
		} else {
			st.Exit, st.Reason = -1, "removed"
		}
		st.Running = false
		p.feed.Tell(provider.Change{Status: st})
	}()
}

// forget ends a monitor.
func (p *Provider) forget(w worker, m *monitor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.monitors[w.name()] == m {
		delete(p.monitors, w.name())
	}
	close(m.done)
}

// monitorOf is closed once nobody waits for the worker's agent any more.
func (p *Provider) monitorOf(w worker) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m := p.monitors[w.name()]; m != nil {
		return m.done
	}
	done := make(chan struct{})
	close(done)
	return done
}

// reaped is closed once the end of an agent that is a child of this control
// plane is written down. It is to be waited for only after the agent ended.
func (p *Provider) reaped(w worker) <-chan struct{} {
	p.mu.Lock()
	m := p.monitors[w.name()]
	p.mu.Unlock()
	if m != nil && m.child {
		return m.done
	}
	done := make(chan struct{})
	close(done)
	return done
}

// Logs reads what the agent printed.
func (p *Provider) Logs(_ context.Context, id events.WorkerID) (io.ReadCloser, error) {
	w, err := p.latest(id)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(w.path(logFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", provider.ErrNotFound, id)
	}
	if err != nil {
		return nil, fmt.Errorf("process: read the log of worker %s: %w", id, err)
	}
	return f, nil
}
