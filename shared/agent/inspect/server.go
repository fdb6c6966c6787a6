// Package inspect lets a person look into a running worker: a server on
// loopback that runs commands in the workspace and shows the log that was not
// delivered yet, reached through the provider's port-forward.
package inspect

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// maxCommands and maxOutput bound what is remembered: commands, and bytes
	// of the output of each.
	maxCommands = 64
	maxOutput   = 128 << 10
	maxRequest  = 1 << 20
	// defaultTimeout is how long a command may run that says nothing else.
	defaultTimeout = time.Minute
)

// Request is the body of POST /exec.
type Request struct {
	// ID makes the request idempotent: a command runs once per id.
	ID string `json:"id"`
	// Run is a script for the shell.
	Run string `json:"run"`
	// TimeoutSeconds ends the command; 0: 60.
	TimeoutSeconds int `json:"timeoutSeconds,omitempty"`
}

// The header fields and trailers of the answers.
const (
	// ExitTrailer is the exit code of a command; -1 where a signal ended it.
	ExitTrailer = "Relevo-Exit"
	// TruncatedTrailer is true where a command printed more than is kept.
	TruncatedTrailer = "Relevo-Truncated"
	// OffsetHeader is where the log in an answer begins, EndHeader how long the
	// attempt's log is.
	OffsetHeader = "Relevo-Log-Offset"
	EndHeader    = "Relevo-Log-End"
)

// Server answers behind the attempt's token:
//
//	POST /exec          a Request; streams the output, the exit in a trailer
//	GET  /logs?offset=  the log from there on, as far as it is still here
type Server struct {
	Token string
	// Port to listen on, where the worker has its network for itself and others
	// are to know the port beforehand; empty: any free one.
	Port string
	// Exec runs a script and writes what it prints, masked.
	Exec func(ctx context.Context, script string, out io.Writer) (exit int, err error)
	// Log reads the spooled log at offset, and Bounds tells what there is.
	Log    func(p []byte, offset int64) int
	Bounds func() (base, end int64)
	// Errors is for the people who run Relevo.
	Errors *slog.Logger

	mu       sync.Mutex
	commands map[string]*command
}

// Listen serves on loopback until ctx ends, and writes the port into a file.
// It returns when it listens.
func (s *Server) Listen(ctx context.Context, portFile string) error {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", cmp.Or(s.Port, "0")))
	if err != nil {
		return fmt.Errorf("inspect: listen: %w", err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	if err := writeFile(portFile, port); err != nil {
		_ = listener.Close()
		return fmt.Errorf("inspect: write port: %w", err)
	}
	server := &http.Server{
		Handler: s.handler(ctx), ErrorLog: slog.NewLogLogger(s.Errors.Handler(), slog.LevelWarn),
		ReadTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
	}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() { _ = server.Serve(listener) }() // until it is closed
	return nil
}

// writeFile writes a file whole, for who waits for it to appear.
func writeFile(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".port-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

func (s *Server) handler(ctx context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /exec", func(w http.ResponseWriter, r *http.Request) { s.exec(ctx, w, r) })
	mux.HandleFunc("GET /logs", s.logs)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if s.Token == "" || subtle.ConstantTimeCompare([]byte(token), []byte(s.Token)) != 1 {
			http.Error(w, "the attempt's token is needed", http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (s *Server) logs(w http.ResponseWriter, r *http.Request) {
	offset, err := strconv.ParseInt("0"+r.URL.Query().Get("offset"), 10, 64)
	if err != nil {
		http.Error(w, "offset is not a number", http.StatusBadRequest)
		return
	}
	base, end := s.Bounds()
	offset = min(max(offset, base), end)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set(OffsetHeader, strconv.FormatInt(offset, 10))
	w.Header().Set(EndHeader, strconv.FormatInt(end, 10))
	for buf := make([]byte, 64<<10); offset < end; {
		n := s.Log(buf[:min(int64(len(buf)), end-offset)], offset)
		if _, err := w.Write(buf[:n]); err != nil || n == 0 {
			return
		}
		offset += int64(n)
	}
}

// exec starts a command, or joins one that was started under the same id.
func (s *Server) exec(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	var req Request
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&req); err != nil {
		http.Error(w, "the body is not a request: "+err.Error(), http.StatusBadRequest)
		return
	}
	if req.ID == "" || req.Run == "" || req.TimeoutSeconds < 0 {
		http.Error(w, "id and run are needed, and a timeout of 0 or more", http.StatusBadRequest)
		return
	}
	c, status := s.command(ctx, req)
	if c == nil {
		http.Error(w, map[int]string{
			http.StatusConflict:        "another command has this id",
			http.StatusTooManyRequests: "too many commands for one worker",
		}[status], status)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Trailer", ExitTrailer+", "+TruncatedTrailer)
	exit, truncated, err := c.copyTo(r.Context(), w)
	if err != nil {
		return
	}
	w.Header().Set(ExitTrailer, strconv.Itoa(exit))
	w.Header().Set(TruncatedTrailer, strconv.FormatBool(truncated))
}

// command finds the command of a request or starts it.
func (s *Server) command(ctx context.Context, req Request) (*command, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.commands == nil {
		s.commands = map[string]*command{}
	}
	c, ok := s.commands[req.ID]
	switch {
	case ok && c.script != req.Run:
		return nil, http.StatusConflict
	case ok:
		return c, 0
	case len(s.commands) >= maxCommands:
		return nil, http.StatusTooManyRequests
	}
	c = &command{script: req.Run, changed: make(chan struct{})}
	s.commands[req.ID] = c
	timeout := time.Duration(req.TimeoutSeconds) * time.Second
	if timeout == 0 {
		timeout = defaultTimeout
	}
	go func() {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		exit, err := s.Exec(ctx, req.Run, c)
		if err != nil {
			fmt.Fprintf(c, "error: %v\n", err)
			exit = -1
		}
		c.finish(exit)
	}()
	return c, 0
}
