package inprocess

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// SocketName is the report socket's name in its folder.
const SocketName = "report.sock"

// longestSocket is what the address of a socket holds, in bytes.
const longestSocket = 103 // of macOS; Linux takes 107

// listen serves the agents' reports on a unix socket. The folder is private to
// this user; the token of each attempt guards the rest.
func (h *Host) listen() error {
	if h.opts.Sockets == "" {
		return nil
	}
	path := filepath.Join(h.opts.Sockets, SocketName)
	if len(path) > longestSocket {
		return fmt.Errorf("inprocess: listen for reports: a socket's path may have %d bytes, %s has %d: choose a shorter folder with TMPDIR or --data",
			longestSocket, path, len(path))
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("inprocess: remove old socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("inprocess: listen for reports: %w", err)
	}
	// Containers run as other users too; the folder above keeps others out.
	if err := os.Chmod(path, 0o666); err != nil {
		return errors.Join(fmt.Errorf("inprocess: open socket: %w", err), l.Close())
	}
	h.Serve(l, h.Function("worker").HTTP)
	return nil
}

// Serve serves HTTP until the host is closed.
func (h *Host) Serve(l net.Listener, handler http.Handler) {
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	h.tasks.Go(func() {
		if err := srv.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			h.log.Error("serve", "address", l.Addr().String(), "error", err)
		}
	})
	h.tasks.Go(func() {
		<-h.ctx.Done()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(h.ctx), 2*time.Second)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			_ = srv.Close()
		}
	})
}
