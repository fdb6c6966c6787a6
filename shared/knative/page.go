package knative

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"

	"github.com/relevo-ci/relevo/shared/fn"
)

// recovered serves an HTTP function; a panic is answered 500 or, where the
// answer had begun, cuts the connection, so that nobody takes it for whole.
func (h *Host) recovered(f fn.Function) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tracked := &trackedWriter{ResponseWriter: w}
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(http.ErrAbortHandler)
			}
			h.opts.Log.Error("knative: an HTTP function panicked", "function", f.Name,
				"path", r.URL.Path, "panic", cause, "stack", string(debug.Stack()))
			if tracked.begun {
				panic(http.ErrAbortHandler) // net/http's own way to cut a connection
			}
			writeProblem(w, http.StatusInternalServerError, fmt.Errorf("knative: %s panicked", f.Name))
		}()
		f.HTTP.ServeHTTP(tracked, r)
	})
}

// trackedWriter knows whether an answer has begun, and keeps what streams and
// WebSockets need of net/http's own.
type trackedWriter struct {
	http.ResponseWriter
	begun bool
}

func (w *trackedWriter) WriteHeader(status int) {
	w.begun = w.begun || status >= 200 // before it only come 1xx hints
	w.ResponseWriter.WriteHeader(status)
}

func (w *trackedWriter) Write(p []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(p)
}

// ReadFrom lets files be sent by the kernel.
func (w *trackedWriter) ReadFrom(r io.Reader) (int64, error) {
	w.begun = true
	return io.Copy(w.ResponseWriter, r)
}

// Flush sends what was written.
func (w *trackedWriter) Flush() {
	w.begun = true
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack hands the connection over.
func (w *trackedWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.begun = true
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// Unwrap is for http.ResponseController.
func (w *trackedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
