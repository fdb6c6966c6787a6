package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/relevo-ci/relevo/config"
	"github.com/relevo-ci/relevo/deploy/doors"
	"github.com/relevo-ci/relevo/deploy/inprocess"
	"github.com/relevo-ci/relevo/functions/api"
	"github.com/relevo-ci/relevo/providers/docker"
	"github.com/relevo-ci/relevo/providers/process"
	"github.com/relevo-ci/relevo/shared/bus"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/feed"
	"github.com/relevo-ci/relevo/shared/forge"
	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/provider"
	"github.com/relevo-ci/relevo/shared/view"
	"github.com/relevo-ci/relevo/shared/workers"
)

// machine is what `run` and `up` share: where jobs run and where state is kept.
type machine struct {
	provider, redis, data, image, workspace, chaos string
	parallel, untrusted                            int

	api    *api.API // of `up`
	forges []forge.Forge
}

const agentName = "relevo-agent"

func (m *machine) bind(f *pflag.FlagSet) {
	f.StringVar(&m.provider, "provider", "process", "where jobs run: process (this machine, no isolation) or docker")
	f.StringVar(&m.image, "image", "", "image for jobs that name no container (docker)")
	f.StringVar(&m.redis, "redis", "", "URL of the Redis to keep state in")
	f.StringVar(&m.data, "data", "", "folder to keep state, logs and workers in")
	f.StringVar(&m.workspace, "workspace", ".", "folder that steps run in")
	f.IntVar(&m.parallel, "parallel", max(2, runtime.NumCPU()), "how many jobs may run side by side")
	f.StringVar(&m.chaos, "chaos", "", "break things to see them mended: lose=PERCENT of all events")
}

// parts are what a host is made of, and how to take it apart.
type parts struct {
	host   *inprocess.Host
	logs   logs.Store
	store  *inprocess.Store
	dir    string
	temp   bool // dir goes with this process
	closes []func()
}

func (p *parts) close() {
	for i := len(p.closes) - 1; i >= 0; i-- {
		p.closes[i]()
	}
}

// assemble opens the store and starts the host. keep is for `up`: state goes
// on living in the data folder; otherwise it is gone with the process.
func (m *machine) assemble(ctx context.Context, keep bool) (*parts, error) {
	p := &parts{}
	if err := m.build(ctx, p, keep); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (m *machine) build(ctx context.Context, p *parts, keep bool) error {
	cfg, err := config.FromEnvironment()
	if err != nil {
		return usage(err)
	}
	if err := m.share(cfg.Scheduler.UntrustedSlots); err != nil {
		return usage(err)
	}
	fate, err := chaos(m.chaos)
	if err != nil {
		return usage(err)
	}
	if err := m.folder(p, keep); err != nil {
		return err
	}
	if err := m.open(ctx, p, cfg, keep); err != nil {
		return err
	}
	key, err := inprocess.Key(p.dir)
	if err != nil {
		return err
	}
	_, moment, err := p.store.Load(ctx, "p00")
	if err != nil {
		return err
	}
	providers, err := m.providers(p, cfg, moment.Installation)
	if err != nil {
		return err
	}
	return m.start(ctx, p, cfg, fate, key, moment.Installation, providers)
}

// open opens the stores of state and of logs.
func (m *machine) open(ctx context.Context, p *parts, cfg config.Config, keep bool) (err error) {
	dir := ""
	if keep || m.data != "" {
		dir = p.dir
	}
	url := cmp.Or(m.redis, cfg.Redis.URL.Reveal())
	if p.store, err = inprocess.OpenStore(ctx, url, dir); err != nil {
		return err
	}
	p.closes = append(p.closes, p.store.Close)
	hot, err := logs.NewFiles(filepath.Join(p.dir, "logs"))
	if err != nil {
		return err
	}
	hot.NoSync, p.logs = p.temp, hot
	if !keep { // they go with this process
		return nil
	}
	var closes func() error
	p.logs, closes, err = doors.Cold(ctx, cmp.Or(cfg.Logs.URL.Reveal(), filepath.Join(p.dir, "archive")), hot)
	p.closes = append(p.closes, func() { _ = closes() })
	return err
}

func (m *machine) start(ctx context.Context, p *parts, cfg config.Config, fate bus.Chaos, key []byte, installation string, providers map[string]provider.Provider) error {
	policy := pipeline.DefaultPolicy()
	policy.Lease, policy.StartDeadline, policy.InfraRetries = cfg.Pipeline.Lease, cfg.Pipeline.StartDeadline, cfg.Pipeline.InfraRetries
	policy.Nudge, policy.QueueLimit = 5*time.Second, cfg.Scheduler.OfferTTL+time.Minute
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: max(cfg.Log.Level, slog.LevelWarn)}))
	var watched feed.Feed
	var listed view.Store
	if m.api != nil {
		watched, listed = feed.NewMemory(10_000, 32<<20), p.store.View()
	}
	var err error
	p.host, err = inprocess.Start(ctx, inprocess.Options{
		Store: p.store, Fresh: p.store.Fresh, Logs: p.logs, Providers: providers, Policy: policy, OfferTTL: cfg.Scheduler.OfferTTL,
		Bus:   bus.Options{Concurrency: cfg.Bus.Concurrency, Tries: cfg.Bus.Tries, Backoff: cfg.Bus.Backoff, Memory: cfg.Bus.Memory},
		Chaos: fate, Feed: watched, View: listed, Limits: p.store.Limits(), API: m.api, Forges: m.forges, Public: cfg.Public.URL, CDEvents: bool(cfg.Events.CDEvents), Sockets: p.sockets(), Log: log,
		Secrets: cfg.Secrets.Dir, Telemetry: cfg.Telemetry,
		Workers: workers.Settings{
			Installation: installation, Key: key, Heartbeat: cfg.Pipeline.Heartbeat, Grace: 10 * time.Second,
			Report: map[string]string{
				"process": "unix://" + filepath.Join(p.sockets(), inprocess.SocketName),
				"docker":  "unix://" + containerSockets + "/" + inprocess.SocketName,
			},
			Image:       map[string]string{"docker": m.image},
			OrphanAfter: p.orphanAfter(),
		},
	})
	if err != nil {
		return err
	}
	p.closes = append(p.closes, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = p.host.Close(ctx)
	})
	return m.declare(ctx, p.host)
}

// containerSockets is where the report socket is in containers.
const containerSockets = "/relevo/sockets"

// orphanAfter is when workers give up on this process: none comes after it that would
// know of them where its state goes with it.
func (p *parts) orphanAfter() time.Duration {
	if p.temp {
		return 10 * time.Second
	}
	return 0
}

func (p *parts) sockets() string { return filepath.Join(p.dir, "run") }

func (m *machine) folder(p *parts, keep bool) error {
	p.dir = m.data
	if p.dir == "" && keep {
		return errors.New("no data folder: name one with --data")
	}
	if p.dir == "" {
		dir, err := os.MkdirTemp("", "relevo-")
		if err != nil {
			return fmt.Errorf("make a folder for state: %w", err)
		}
		p.dir, p.temp = dir, true
		p.closes = append(p.closes, func() { _ = os.RemoveAll(dir) })
	}
	dir, err := filepath.Abs(p.dir)
	if err != nil {
		return err
	}
	p.dir = dir
	return os.MkdirAll(p.sockets(), 0o700)
}

func (m *machine) providers(p *parts, cfg config.Config, installation string) (map[string]provider.Provider, error) {
	one, err := m.newProvider(p, cfg, installation)
	if err != nil {
		return nil, err
	}
	if err := one.Secure(context.Background()); err != nil {
		return nil, err
	}
	if c, ok := one.(interface{ Close() error }); ok {
		p.closes = append(p.closes, func() { _ = c.Close() })
	}
	if d, ok := one.(*docker.Provider); ok && p.store.Fresh {
		// The installation ends with this process, and its network with it.
		p.closes = append(p.closes, func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			_ = d.Dismantle(ctx)
		})
	}
	return map[string]provider.Provider{m.provider: one}, nil
}

func (m *machine) newProvider(p *parts, cfg config.Config, installation string) (provider.Provider, error) {
	bin, err := agentBinary(p.dir, m.provider == "process")
	if err != nil {
		return nil, err
	}
	workspace := m.workspace
	if workspace != "" {
		if workspace, err = filepath.Abs(workspace); err != nil {
			return nil, err
		}
	}
	state := filepath.Join(p.dir, "workers")
	switch m.provider {
	case "process":
		return process.New(process.Config{
			Installation: installation, Agent: bin, State: state, Workspace: workspace, Env: os.Environ(),
		})
	case "docker":
		return docker.New(docker.Config{
			Installation: installation, Agent: bin, Host: cfg.Provider.DockerHost, Image: m.image,
			Untrusted: m.part(1), State: state, Workspace: workspace, Sockets: p.sockets(), SocketsAt: containerSockets,
		})
	}
	return nil, usage(fmt.Errorf("no provider %q: there is process and docker", m.provider))
}

// agentBinary is the agent beside this program. Processes make do with a link
// to this program under the agent's name; a container needs the static one.
func agentBinary(dir string, link bool) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	beside := filepath.Join(filepath.Dir(self), agentName)
	if _, err := os.Stat(beside); err == nil {
		return beside, nil
	}
	if !link {
		return "", fmt.Errorf("no %s beside %s: build it there, make build does", agentName, self)
	}
	path := filepath.Join(dir, agentName)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	return path, os.Symlink(self, path)
}

// chaos reads the --chaos flag.
func chaos(s string) (bus.Chaos, error) {
	if s == "" {
		return nil, nil
	}
	v, ok := strings.CutPrefix(s, "lose=")
	n, err := strconv.Atoi(v)
	if !ok || err != nil || n < 0 || n > 100 {
		return nil, fmt.Errorf("--chaos %q: it takes lose=0 to lose=100", s)
	}
	return bus.Lose(n, 1), nil
}
