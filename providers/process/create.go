package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/providers/changes"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/provider"
)

// Create starts the agent, or adopts the one that was started: by this control
// plane or by one that died meanwhile, even between starting it and writing
// down its pid. The launch that the agent reads has the workspace filled in.
func (p *Provider) Create(ctx context.Context, l execution.Launch) (provider.Status, error) {
	if !plainName(string(l.Worker)) || l.Fence.IsZero() {
		return provider.Status{}, &provider.Failure{
			Reason:    fmt.Sprintf("a worker needs a plain id and a fence, not %q and %q", l.Worker, l.Fence),
			Permanent: true,
		}
	}
	w := p.worker(l.Worker, l.Fence)
	st, err := p.create(ctx, w, l)
	var failure *provider.Failure
	if err != nil && !errors.As(err, &failure) {
		return provider.Status{}, fmt.Errorf("process: create worker %s: %w", w.id, err)
	}
	return st, err
}

func (p *Provider) create(ctx context.Context, w worker, l execution.Launch) (provider.Status, error) {
	if err := ctx.Err(); err != nil {
		return provider.Status{}, err
	}
	if err := os.MkdirAll(p.cfg.State, 0o700); err != nil {
		return provider.Status{}, err
	}
	lock, err := w.lock(ctx, true)
	if err != nil {
		return provider.Status{}, err
	}
	defer lock.Close()
	id, there, err := p.agentOf(w)
	if err != nil {
		return provider.Status{}, err
	}
	if there {
		p.adopt(w, id)
		return p.status(w)
	}
	if err := p.start(w, l); err != nil {
		return provider.Status{}, err
	}
	return p.status(w)
}

// agentOf is the agent that was started for the worker, running or not; there
// is false where none was. An agent whose start was not written down yet is
// found by its mark and its command.
func (p *Provider) agentOf(w worker) (id identity, there bool, err error) {
	if there, err = w.read(agentFile, &id); there || err != nil {
		return id, there, err
	}
	if _, err := os.Stat(w.path(launchFile)); errors.Is(err, fs.ErrNotExist) {
		return identity{}, false, nil
	}
	all, err := processes()
	if err != nil {
		return identity{}, false, err
	}
	for _, s := range all {
		args := command(s.pid)
		if s.session == s.pid && len(args) > 0 && string(args[len(args)-1]) == w.path(launchFile) && marked(s.pid, w.name()) {
			id := identity{PID: s.pid, Start: s.start, Boot: p.boot}
			return id, true, w.write(agentFile, id)
		}
	}
	return identity{}, false, nil
}

func (p *Provider) start(w worker, l execution.Launch) error {
	l.Workspace, l.InPlace = p.cfg.Workspace, p.cfg.Workspace != ""
	if l.Workspace == "" {
		l.Workspace = w.path(workFolder)
	}
	if err := w.write(launchFile, l); err != nil {
		return err
	}
	log, err := os.OpenFile(w.path(logFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.Command(p.cfg.Agent, "run", w.path(launchFile))
	cmd.Dir = w.folder
	cmd.Env = append(append(make([]string, 0, len(p.cfg.Env)+1), p.cfg.Env...), marker+"="+w.name())
	cmd.Stdout, cmd.Stderr = log, log
	// Its own session: neither the terminal's Ctrl-C nor the control plane's
	// end reach it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = log.Close() // the agent has its own
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOEXEC) {
			return &provider.Failure{Reason: "the agent cannot be started (make build makes it): " + err.Error(), Permanent: true}
		}
		return err
	}
	id, err := p.identify(cmd.Process.Pid)
	if err == nil {
		err = w.write(agentFile, id)
	}
	p.watchChild(w, cmd)
	if err != nil {
		_ = cmd.Process.Kill() // nobody would find it: the next Create starts another
		return err
	}
	return nil
}

// launched is what a status needs of a launch.
type launched struct {
	events.AttemptRef
	Assignment events.AssignmentID `json:"assignment"`
	Pool       events.PoolID       `json:"pool"`
	Grace      time.Duration       `json:"grace"`
}

// status reads what is known of a worker whose folder is there.
func (p *Provider) status(w worker) (provider.Status, error) {
	var l launched
	if _, err := w.read(launchFile, &l); err != nil {
		return provider.Status{}, err
	}
	var id identity
	started, err := w.read(agentFile, &id)
	if err != nil {
		return provider.Status{}, err
	}
	// Whether it runs is asked before how it ended: else it could end between.
	running := started && p.alive(id)
	if started && !running {
		<-p.reaped(w)
	}
	var ended exit
	known, err := w.read(exitFile, &ended)
	if err != nil {
		return provider.Status{}, err
	}
	st := provider.Status{AttemptRef: l.AttemptRef, Placement: events.Placement{
		Pool: l.Pool, Assignment: l.Assignment, Worker: w.id, Provider: p.Name(),
	}}
	st.Fence = w.fence
	switch {
	case !started:
		st.Preparing = "not started yet"
		return st, nil
	case running:
		st.Running = true
	case known:
		st.Exit, st.Reason = ended.Code, ended.Reason
	default:
		st.Exit, st.Reason = -1, "ended while nobody watched: its exit code is not known"
	}
	st.Handle = strconv.Itoa(id.PID) + "@" + strconv.FormatUint(id.Start, 10)
	return st, nil
}

// exitOf reads how a child ended.
func exitOf(state *os.ProcessState) exit {
	code := state.ExitCode()
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		code = 128 + int(ws.Signal())
	}
	return exit{Code: code, Reason: changes.Exited(code), At: time.Now()}
}
