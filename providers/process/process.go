// Package process runs workers as processes of this machine (Linux), for
// `relevo run` and for pipelines that are trusted: it isolates nothing. A job
// sees the files, the network and the processes of the user that Relevo runs
// as, and limits of CPU and memory are not set.
//
// A worker is a folder below Config.State and one agent process in a session
// of its own, so that it outlives the control plane:
//
//	<installation>-<worker>-f<fence>/
//	  launch.json   what the agent is born with, mode 0600
//	  agent.json    which process it is: pid, start time, boot
//	  agent.log     what the agent printed
//	  exit.json     how it ended, once its parent saw that
//	  workspace/    where the steps run, unless Config.Workspace says where
//
// The folder itself is the lock: whoever makes or removes the worker holds an
// flock on it, so that two control planes do not meet in one.
//
// The agent's environment carries RELEVO_WORKER=<folder>, which its children
// inherit. Terminate kills what carries it, what belongs to the agent's
// session, and the descendants of both, whatever session they moved to. Out of
// its reach is only a process that cleared its environment, left the session
// and lost its parent.
package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/providers/changes"
	"github.com/relevo-ci/relevo/shared/provider"
)

// Config is what New needs.
type Config struct {
	// Installation is the id of the store that the workers belong to.
	Installation string
	// Agent is the path of the agent's binary.
	Agent string
	// State is the folder that the workers' folders stand in; made when missing.
	State string
	// Workspace is the folder that every worker's steps run in. Empty: each
	// worker has one of its own, which is removed with it.
	Workspace string
	// Env is all that an agent inherits, as NAME=value. Nothing else of the
	// control plane's environment reaches the jobs. Empty: a plain PATH.
	Env []string
	// Grace is between asking an agent to end and killing it, where its launch
	// says nothing; 0: 10 seconds.
	Grace time.Duration
}

const (
	defaultGrace = 10 * time.Second
	defaultPath  = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	// marker is the variable by which a worker's processes are found.
	marker = "RELEVO_WORKER"
)

// Provider is the provider of this machine's processes.
type Provider struct {
	cfg    Config
	prefix string // of the folders' names: the installation
	boot   string // this boot's id

	feed changes.Feed
	ctx  context.Context // ends with Close
	end  context.CancelFunc

	mu       sync.Mutex
	monitors map[string]*monitor // by folder name
}

var _ provider.Provider = (*Provider)(nil)

// New gives the provider of an installation. It touches nothing yet.
func New(cfg Config) (*Provider, error) {
	if cfg.Installation == "" || cfg.Agent == "" || cfg.State == "" {
		return nil, errors.New("process: an installation, an agent and a state folder are needed")
	}
	for _, path := range []*string{&cfg.Agent, &cfg.State, &cfg.Workspace} {
		if *path == "" {
			continue
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			return nil, fmt.Errorf("process: find %s: %w", *path, err)
		}
		*path = abs
	}
	if cfg.Grace <= 0 {
		cfg.Grace = defaultGrace
	}
	if len(cfg.Env) == 0 {
		cfg.Env = []string{defaultPath}
	}
	boot, err := bootID()
	if err != nil {
		return nil, fmt.Errorf("process: read this boot's id: %w", err)
	}
	ctx, end := context.WithCancel(context.Background())
	return &Provider{
		cfg: cfg, prefix: prefixOf(cfg.Installation), boot: boot,
		ctx: ctx, end: end, monitors: map[string]*monitor{},
	}, nil
}

// Close ends what runs in the background. The workers go on.
func (p *Provider) Close() error {
	p.end()
	return nil
}

// Name is process.
func (p *Provider) Name() string { return "process" }

// Secure makes the state folder, which only this user can read, and removes
// what an interrupted Terminate left. There is nothing to isolate with.
func (p *Provider) Secure(ctx context.Context) error {
	info, err := os.Stat(p.cfg.Agent)
	if err != nil {
		return fmt.Errorf("process: the agent's binary is missing (make build makes it): %w", err)
	}
	if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("process: %s is not executable: chmod +x it", p.cfg.Agent)
	}
	if err := os.MkdirAll(p.cfg.State, 0o700); err != nil {
		return fmt.Errorf("process: make the state folder: %w", err)
	}
	workers, err := p.workers()
	if err != nil {
		return err
	}
	for _, w := range workers {
		if err := ctx.Err(); err != nil {
			return err
		}
		if w.removing {
			if err := removeAll(w.folder); err != nil {
				return fmt.Errorf("process: remove what is left of worker %s: %w", w.id, err)
			}
		}
	}
	return nil
}

// PortForward connects to the port on this machine's loopback: all workers
// share it. Port 0 is the agent's inspection port.
func (p *Provider) PortForward(ctx context.Context, id events.WorkerID, port int) (net.Conn, error) {
	w, err := p.latest(id)
	if err != nil {
		return nil, err
	}
	if st, err := p.status(w); err != nil {
		return nil, err
	} else if !st.Running {
		return nil, fmt.Errorf("process: forward to worker %s: it does not run: %s%s", id, st.Preparing, st.Reason)
	}
	target := strconv.Itoa(port)
	if port == 0 {
		text, err := os.ReadFile(w.path(portFile))
		if err != nil {
			return nil, fmt.Errorf("process: forward to worker %s: nobody can look into it: %w", id, err)
		}
		target = strings.TrimSpace(string(text))
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", target))
	if err != nil {
		return nil, fmt.Errorf("process: forward to worker %s: %w", id, err)
	}
	return conn, nil
}
