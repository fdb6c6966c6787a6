package knative

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Serve answers on l with h until ctx ends, then takes no more, lets what runs
// finish for up to drain, and returns. Knative stops sending before it ends a
// pod, and ends it after the revision's timeoutSeconds.
func Serve(ctx context.Context, l net.Listener, h http.Handler, drain time.Duration) error {
	server := &http.Server{
		Handler: h,
		// No bound on writing: streams end themselves.
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("knative: serve: %w", err)
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := server.Shutdown(patience); err != nil {
		return errors.Join(fmt.Errorf("knative: drain: %w", err), server.Close())
	}
	return nil
}
