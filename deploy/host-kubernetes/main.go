// The host of the functions that launch and remove workers on Kubernetes, and
// of the front doors: what they link would slow the lean host's start. Which
// functions it serves, FUNCTION or K_SERVICE says.
package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/relevo-ci/relevo/config"
	"github.com/relevo-ci/relevo/deploy/cluster"
	"github.com/relevo-ci/relevo/deploy/front"
	"github.com/relevo-ci/relevo/deploy/hosted"
	"github.com/relevo-ci/relevo/shared/provider"
)

func main() {
	if err := run(); err != nil {
		slog.Error("relevo-host-kubernetes ends", "error", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	c, err := config.FromEnvironment()
	if err != nil {
		return err
	}
	options, err := front.Options(c)
	if err != nil {
		return err
	}
	options.Launching = func(installation string) (provider.Provider, error) {
		return cluster.Open(c.Provider, installation)
	}
	if c.Provider.KubernetesUntrustedNamespace != "" {
		options.Untrusted = func(installation string) (provider.Provider, error) {
			return cluster.OpenUntrusted(c.Provider, installation)
		}
	}
	options.Labels = c.Provider.KubernetesLabels
	service, err := hosted.Open(ctx, c, options)
	if err != nil {
		return err
	}
	return errors.Join(service.Serve(ctx), service.Close())
}
