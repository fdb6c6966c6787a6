package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/relevo-ci/relevo/events"
)

// Terminate asks the agent to end, kills after the grace period whatever is
// left of it and its children, and removes the folder.
func (p *Provider) Terminate(ctx context.Context, id events.WorkerID, fence events.Fence) error {
	ws, err := p.workers()
	if err != nil {
		return err
	}
	var errs []error
	for _, w := range ws {
		if w.id != id || w.fence.Compare(fence) > 0 {
			continue
		}
		if err := p.remove(ctx, w); err != nil {
			errs = append(errs, fmt.Errorf("process: terminate worker %s: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

func (p *Provider) remove(ctx context.Context, w worker) error {
	if w.removing {
		return removeAll(w.folder)
	}
	lock, err := w.lock(ctx, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	id, _, err := p.agentOf(w)
	if err != nil {
		return err
	}
	if err := p.stop(ctx, w, id); err != nil {
		return err
	}
	select {
	case <-p.monitorOf(w):
	case <-ctx.Done():
		return ctx.Err()
	}
	// In one step, so that half a folder is never taken for a worker.
	gone := w.folder + removing
	if err := os.Rename(w.folder, gone); err != nil {
		return err
	}
	return removeAll(gone)
}

// stop ends the agent and everything that it started. A zero id is an agent
// that is not known: there may still be something of it.
func (p *Provider) stop(ctx context.Context, w worker, id identity) error {
	var l launched
	if _, err := w.read(launchFile, &l); err != nil {
		return err
	}
	grace := l.Grace
	if grace <= 0 {
		grace = p.cfg.Grace
	}
	f := family{p: p, name: w.name(), known: map[identity]bool{}}
	agent, err := p.hold(id)
	switch {
	case errors.Is(err, errGone):
	case err != nil:
		return err
	default:
		defer agent.close()
		f.agent = id
		// Before it is asked: its death takes the descent of its children along.
		if _, err := f.scan(); err != nil {
			return err
		}
		if err := agent.signal(syscall.SIGTERM); err != nil {
			return err
		}
		patience, cancel := context.WithTimeout(ctx, grace)
		err := agent.wait(patience)
		cancel()
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return f.kill(ctx)
}

// family is a worker's agent and what descends from it.
type family struct {
	p     *Provider
	name  string
	agent identity          // zero where it had ended before: then its session may be another's
	known map[identity]bool // false: another user's (a setuid program), not ours to kill
}

// scan adds to the known what can be found, and tells whether that was
// something new.
func (f *family) scan() (grown bool, err error) {
	all, err := processes()
	if err != nil {
		return false, err
	}
	members := map[int]bool{}
	var rest []stat
	for _, s := range all {
		switch {
		case s.pid == os.Getpid():
		case f.has(s), f.agent.PID != 0 && s.session == f.agent.PID, marked(s.pid, f.name):
			members[s.pid] = true
			grown = f.add(s) || grown
		default:
			rest = append(rest, s)
		}
	}
	for found := true; found; {
		found = false
		for i, s := range rest {
			if !members[s.pid] && members[s.parent] {
				members[s.pid], found = true, true
				grown = f.add(rest[i]) || grown
			}
		}
	}
	return grown, nil
}

func (f *family) identity(s stat) identity {
	return identity{PID: s.pid, Start: s.start, Boot: f.p.boot}
}

func (f *family) has(s stat) bool {
	_, ok := f.known[f.identity(s)]
	return ok
}

func (f *family) add(s stat) (grown bool) {
	if f.has(s) {
		return false
	}
	f.known[f.identity(s)] = true
	return true
}

// kill stops all that can be found, until nothing new turns up, and kills it
// then: what is stopped does not fork, and a child whose parent is only
// stopped can still be told by its parent. It returns when all are dead.
func (f *family) kill(ctx context.Context) error {
	for {
		grown, err := f.scan()
		if err != nil {
			return err
		}
		if err := f.signal(syscall.SIGSTOP); err != nil {
			return err
		}
		if !grown {
			break
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if err := f.signal(syscall.SIGKILL); err != nil {
		return err
	}
	return f.each(func(h handle) error { return h.wait(ctx) })
}

// signal sends to each that still lives.
func (f *family) signal(sig syscall.Signal) error {
	return f.each(func(h handle) error { return h.signal(sig) })
}

// each calls do with every known process that still lives and is ours.
func (f *family) each(do func(handle) error) error {
	for id, ours := range f.known {
		if !ours {
			continue
		}
		h, err := f.p.hold(id)
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return err
		}
		err = do(h)
		h.close()
		if errors.Is(err, syscall.EPERM) {
			f.known[id] = false
		} else if err != nil {
			return err
		}
	}
	return nil
}
