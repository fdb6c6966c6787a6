// The host of the front doors and of what works behind them: it compiles
// pipelines and asks git forges, and does without the client of Kubernetes. Which
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
	"github.com/relevo-ci/relevo/deploy/front"
	"github.com/relevo-ci/relevo/deploy/hosted"
)

func main() {
	if err := run(); err != nil {
		slog.Error("relevo-host-front ends", "error", err)
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
	service, err := hosted.Open(ctx, c, options)
	if err != nil {
		return err
	}
	return errors.Join(service.Serve(ctx), service.Close())
}
