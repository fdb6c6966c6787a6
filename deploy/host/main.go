// The lean host of functions: those that talk to no provider. Knative starts it
// in milliseconds; which functions it serves, FUNCTION or K_SERVICE says.
package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/relevo-ci/relevo/config"
	"github.com/relevo-ci/relevo/deploy/hosted"
)

func main() {
	if err := run(); err != nil {
		slog.Error("relevo-host ends", "error", err)
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
	service, err := hosted.Open(ctx, c, hosted.Options{})
	if err != nil {
		return err
	}
	return errors.Join(service.Serve(ctx), service.Close())
}
