// Package docker runs workers as containers of a Docker daemon (API 1.40 or
// later, which Docker 19.03 speaks).
//
// A worker is one container, named relevo-<installation>-<worker>-f<fence> and
// labelled with what it is for; the agent is its first process, so that all
// that a job starts dies with it. The name makes Create idempotent: a second
// container of that name cannot be made. Nothing is removed by name: Terminate
// looks containers up by their labels, compares the fence, and goes by id.
//
// The agent and the launch stand in /relevo. Where the control plane runs on
// the daemon's host (Config.State), they are mounted from there, which costs
// nothing; else they are copied in, which takes a fifth of a start's time.
//
// A job has no privileges: see spec.go. It is on a network of its installation
// on which containers do not reach each other. It never sees Docker's socket.
package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/client"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/providers/changes"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/provider"
)

// Config is what New needs.
type Config struct {
	// Installation is the id of the store that the workers belong to.
	Installation string
	// Agent is the path of the agent's binary: static, for the daemon's
	// architecture.
	Agent string
	// Host is where the daemon listens, as in DOCKER_HOST. Empty: the local
	// socket.
	Host string
	// Certificates is a folder with ca.pem, cert.pem and key.pem, where the
	// daemon wants TLS.
	Certificates string
	// Image is for launches that name none.
	Image string
	// Network is the name of the installation's own network. Empty:
	// relevo-<installation>. "bridge" is Docker's own: containers start a quarter
	// faster there, since it has no name server, but they reach each other.
	Network string
	// Untrusted is what the worker of an untrusted run may take where its job does
	// not say; 0: no bound. Such workers are on a network of their own beside the
	// installation's, and never in Workspace.
	Untrusted events.Resources
	// State is a folder on the daemon's host that holds the launches while their
	// workers exist; made when missing. Agent is then a path on that host too.
	// Empty: the daemon is elsewhere, both are copied into each container.
	State string
	// Workspace is a folder on the daemon's host that every worker's steps run
	// in, at /workspace. Empty: each has a fresh one in its container.
	Workspace string
	// Sockets is a folder on the daemon's host that holds the socket for reports,
	// and SocketsAt where it is in the containers. It is the folder that is
	// mounted: a restarted control plane makes a new socket, and that is seen.
	Sockets, SocketsAt string
	// Credentials gives what a registry wants for an image; nil, or a zero
	// answer: nothing.
	Credentials func(ctx context.Context, image string) (registry.AuthConfig, error)
	// Grace is between asking an agent to end and killing it, where its launch
	// says nothing; 0: 10 seconds.
	Grace time.Duration
}

const defaultGrace = 10 * time.Second

// Provider is the provider of one Docker daemon.
type Provider struct {
	cfg    Config
	prefix string // of the names of containers and networks
	cli    *client.Client
	locks  locks // by worker id
	feed   changes.Feed
	ctx    context.Context // ends with Close
	end    context.CancelFunc

	mu      sync.Mutex
	mounts  *bool // see mountable
	pulls   map[string]*pull
	waiting map[string]execution.Launch // for an image, by the container's name
	failed  map[string]provider.Change  // and nobody was there to be told
	network sync.Mutex                  // held while the network is made
}

var _ provider.Provider = (*Provider)(nil)

// New gives the provider of an installation. It does not talk to the daemon
// yet.
func New(cfg Config) (*Provider, error) {
	if cfg.Installation == "" || cfg.Agent == "" {
		return nil, errors.New("docker: an installation and an agent are needed")
	}
	if (cfg.Sockets == "") != (cfg.SocketsAt == "") {
		return nil, errors.New("docker: a folder of sockets needs a place on the host and one in the containers")
	}
	for _, path := range []*string{&cfg.Agent, &cfg.State, &cfg.Workspace, &cfg.Sockets} {
		if *path == "" {
			continue
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			return nil, fmt.Errorf("docker: find %s: %w", *path, err)
		}
		*path = abs
	}
	opts := []client.Opt{client.WithAPIVersionNegotiation()}
	if cfg.Host != "" {
		opts = append(opts, client.WithHost(cfg.Host))
	}
	if dir := cfg.Certificates; dir != "" {
		opts = append(opts, client.WithTLSClientConfig(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")))
	}
	cli, err := client.NewClientWithOpts(opts...)
	if err != nil {
		return nil, fmt.Errorf("docker: use host %q: %w", cfg.Host, err)
	}
	sum := sha256.Sum256([]byte(cfg.Installation))
	p := &Provider{
		cfg: cfg, cli: cli, prefix: "relevo-" + hex.EncodeToString(sum[:4]),
		pulls: map[string]*pull{}, waiting: map[string]execution.Launch{}, failed: map[string]provider.Change{},
	}
	if p.cfg.Network == "" {
		p.cfg.Network = p.prefix
	}
	if p.cfg.Grace <= 0 {
		p.cfg.Grace = defaultGrace
	}
	p.ctx, p.end = context.WithCancel(context.Background())
	return p, nil
}

// Close ends what runs in the background, pulls of images included. The
// workers go on.
func (p *Provider) Close() error {
	p.end()
	return p.cli.Close()
}

// Name is docker.
func (p *Provider) Name() string { return "docker" }

// locks are held by key. Their zero value is ready.
type locks struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed when given back
}

// lock waits until nobody holds key, or ctx ends.
func (l *locks) lock(ctx context.Context, key string) (unlock func(), err error) {
	for {
		l.mu.Lock()
		held, busy := l.held[key]
		if !busy {
			mine := make(chan struct{})
			if l.held == nil {
				l.held = map[string]chan struct{}{}
			}
			l.held[key] = mine
			l.mu.Unlock()
			return func() {
				l.mu.Lock()
				delete(l.held, key)
				l.mu.Unlock()
				close(mine)
			}, nil
		}
		l.mu.Unlock()
		select {
		case <-held:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
