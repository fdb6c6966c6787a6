package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/relevo-ci/relevo/config"
	"github.com/relevo-ci/relevo/deploy/doors"
	"github.com/relevo-ci/relevo/deploy/gate"
	"github.com/relevo-ci/relevo/functions/api"
	"github.com/relevo-ci/relevo/functions/console"
	"github.com/relevo-ci/relevo/functions/webhook"
	"github.com/relevo-ci/relevo/shared/state"
)

func upCommand() *cobra.Command {
	var m machine
	var listen string
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Serve pipelines on this host",
		Long: `Serve the API on this host and run what it is given.

State, logs and workers are kept in the data folder: started again, also
after a crash, it goes on where it was. Workers go on while it is away.
It starts a redis-server of its own in that folder unless --redis names one.

RELEVO_API_TOKEN, where set, is what callers must show; without it only
callers on this machine are served.`,
		Example: `  relevo up --provider docker --image golang:1.26
  curl -d '{"source": "jobs: {a: {steps: [{run: echo hi}]}}"}' \
    -H 'Content-Type: application/json' localhost:8470/v1/pipelines`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			unheard()
			return up(cmd.Context(), m, listen)
		},
	}
	m.bind(cmd.Flags())
	_ = cmd.Flags().Set("workspace", "")
	cmd.Flags().Lookup("workspace").DefValue = ""
	cmd.Flags().Lookup("workspace").Usage = "folder that all steps run in; empty: a fresh one for each job"
	cmd.Flags().StringVar(&listen, "listen", "", "address to serve the API on (RELEVO_API_LISTEN, 127.0.0.1:8470)")
	return cmd
}

// unheard lets us outlive whoever reads what we print: there may be a store and
// workers to see to yet. Not signal.Ignore: what is ignored stays so in the steps.
func unheard() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

func up(ctx context.Context, m machine, listen string) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg, err := config.FromEnvironment()
	if err != nil {
		return usage(err)
	}
	if listen == "" {
		listen = cfg.API.Listen
	}
	if err := closed(cfg, listen); err != nil {
		return usage(err)
	}
	if m.data == "" {
		if m.data = cfg.Data.Dir; m.data == "" {
			m.data = dataFolder()
		}
	}
	if err := os.MkdirAll(m.data, 0o700); err != nil {
		return infra(err)
	}
	unlock, err := lock(filepath.Join(m.data, "lock"))
	if err != nil {
		return infra(err)
	}
	defer unlock()
	if m.api, err = opened(cfg); err != nil {
		return usage(err)
	}
	m.api.Telemetry = api.Telemetry{Retention: cfg.Telemetry.Retention, Public: cfg.Public.URL}
	if m.forges, err = doors.Forges(cfg.Forges); err != nil {
		return usage(err)
	}
	p, err := m.assemble(ctx, true)
	if err != nil {
		return infra(err)
	}
	defer p.close()
	return p.serve(ctx, &m, listen)
}

func (p *parts) serve(ctx context.Context, m *machine, listen string) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return infra(err)
	}
	pages := &console.Console{}
	srv := &http.Server{Handler: p.handler(pages), ReadHeaderTimeout: 10 * time.Second}
	srv.RegisterOnShutdown(m.api.Close)
	srv.RegisterOnShutdown(pages.Close)
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	fmt.Fprintf(os.Stderr, "relevo is up at http://%s\n  jobs run as %s, %d side by side; state is in %s (%s)\n",
		l.Addr(), m.provider, m.parallel, p.dir, p.store.Kind)
	if link, err := m.api.NewLink(ctx, l.Addr().String()); err == nil {
		fmt.Fprintf(os.Stderr, "  for a browser, once and within ten minutes (relevo login prints another):\n  %s\n", link)
	}
	select {
	case err := <-failed:
		return infra(err)
	case <-ctx.Done():
	}
	fmt.Fprintln(os.Stderr, "relevo goes down; workers go on")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		return errors.Join(err, srv.Close())
	}
	return nil
}

// handler is the API's, that of forges' deliveries and that of people's pages;
// reports come by their own socket.
func (p *parts) handler(pages *console.Console) http.Handler {
	pages.API = p.host.Function("api").HTTP
	mux := http.NewServeMux()
	serve := func(h http.Handler, routes ...string) {
		for _, route := range routes {
			mux.Handle(route, h)
		}
	}
	serve(pages.API, append(api.Routes(), "/healthz")...)
	serve(p.host.Function("webhook").HTTP, webhook.Routes()...)
	serve(console.New(pages).HTTP, console.Routes()...)
	return mux
}

// opened is the API with what the settings say of it; the rest the host fills in.
func opened(cfg config.Config) (*api.API, error) {
	known, err := gate.Open(cfg, &state.Access{}, &state.Audit{})
	return &api.API{Token: cfg.API.Token.Reveal(), EventSecrets: cfg.Events.Secrets(), Access: known}, err
}

// closed refuses to listen for other machines where nobody would have to show
// who they are.
func closed(cfg config.Config, listen string) error {
	if cfg.API.Token == "" && cfg.OIDC.Issuer == "" && !loopback(listen) {
		return fmt.Errorf("--listen %s: other machines could reach it: set RELEVO_API_TOKEN or RELEVO_OIDC_ISSUER", listen)
	}
	return nil
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// dataFolder is where state is kept by default: the user's, as XDG says.
func dataFolder() string {
	home, err := os.UserHomeDir()
	if err != nil {
		home = "."
	}
	return filepath.Join(home, ".local", "state", "relevo")
}

// lock keeps a second relevo off the same data folder. The kernel drops the
// lock with the process, however it ends.
func lock(path string) (func(), error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another relevo uses %s", filepath.Dir(path)), f.Close())
	}
	return func() { _ = f.Close() }, nil
}
