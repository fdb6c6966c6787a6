// Package server gives a host that has no Redis one of its own: a redis-server
// process that outlives its parent, or one embedded in the process.
package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// ErrNotInstalled: there is no redis-server on this machine.
var ErrNotInstalled = errors.New("redis-server is not installed")

// Fsync says when the append-only file reaches the disk.
type Fsync string

// The ways of Redis. Only with FsyncAlways is an acknowledged commit never lost.
const (
	FsyncAlways      Fsync = "always"
	FsyncEverySecond Fsync = "everysec"
	FsyncNever       Fsync = "no"
)

// Options tune a Server; the zero value will do.
type Options struct {
	// Fsync is FsyncAlways where empty.
	Fsync Fsync
	// Binary is redis-server, looked up in PATH, where empty.
	Binary string
}

// Server is a redis-server that keeps its data in a folder and listens on a
// socket there, on no port.
type Server struct {
	dir     string
	pid     int
	adopted bool
	child   *os.Process   // nil for an adopted one
	ended   chan struct{} // closed when the child has ended
}

const (
	socketName = "redis.sock"
	logName    = "redis.log"
	lockName   = "redis.lock"
	// longestSocket is what every Unix has room for in a socket's address.
	longestSocket = 100
	pause         = 2 * time.Millisecond
)

// Start starts redis-server in dir, or adopts the one that a former process
// left running there, and waits until it answers or ctx ends. The folder is
// made if need be, and closed to other users. The server is in a session of its own:
// it outlives its parent, and Stop ends it.
func Start(ctx context.Context, dir string, o Options) (*Server, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	s := &Server{dir: dir}
	if n := len(s.socket()); n > longestSocket {
		return nil, fmt.Errorf("server: %s has %d bytes, more than the %d that a socket's path may have: choose a shorter folder", s.socket(), n, longestSocket)
	}
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.Chmod(dir, 0o700)); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	if o.Fsync == "" {
		o.Fsync = FsyncAlways
	}
	if err := s.run(ctx, o); err != nil {
		return nil, fmt.Errorf("server: redis-server in %s: %w", dir, err)
	}
	return s, nil
}

// run adopts or spawns. The lock tells which: a server holds it as long as it
// lives, whoever its parent was, and the kernel takes it back when it dies.
func (s *Server) run(ctx context.Context, o Options) error {
	for {
		lock, err := s.lock()
		if err != nil {
			return err
		}
		if lock != nil {
			err = s.spawn(o, lock)
			_ = lock.Close() // the child has its own
			if err != nil {
				return err
			}
			return s.await(ctx)
		}
		if err = s.adopt(ctx, o); err == nil {
			return nil
		}
		// It is on its way up, or down: look again.
		if err := wait(ctx, err); err != nil {
			return err
		}
	}
}

// lock gives the folder's lock, or nil where a server, or another process that
// is about to start one, holds it.
func (s *Server) lock() (*os.File, error) {
	f, err := os.OpenFile(s.path(lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, fmt.Errorf("lock %s: %w", s.path(lockName), err)
}

// spawn starts the child, which inherits the lock.
func (s *Server) spawn(o Options, lock *os.File) error {
	binary := o.Binary
	if binary == "" {
		binary = "redis-server"
	}
	found, err := exec.LookPath(binary)
	if err != nil {
		return fmt.Errorf("%w: install Redis 6.2 or later, or name a running one by its URL: %w", ErrNotInstalled, err)
	}
	// Names are relative to dir, so that no character in it needs quoting.
	child := exec.Command(found,
		"--port", "0", "--unixsocket", socketName, "--unixsocketperm", "700",
		"--appendonly", "yes", "--appendfsync", string(o.Fsync), "--save", "",
		"--dir", ".", "--logfile", logName, "--daemonize", "no")
	child.Dir = s.dir
	child.Env = []string{"LC_ALL=C"} // no secret of ours is any business of its
	child.ExtraFiles = []*os.File{lock}
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := child.Start(); err != nil {
		return err
	}
	s.pid, s.child, s.ended = child.Process.Pid, child.Process, make(chan struct{})
	go func() {
		defer close(s.ended)
		child.Wait() //nolint:errcheck // the log says why it ended
	}()
	return nil
}

// await waits until our child answers.
func (s *Server) await(ctx context.Context) error {
	for {
		_, err := s.ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("ended at its start:\n%s", s.lastWords())
		default:
		}
		if err := wait(ctx, err); err != nil {
			return err
		}
	}
}

// adopt takes on the server that runs already.
func (s *Server) adopt(ctx context.Context, o Options) error {
	pid, err := s.ask(ctx)
	if err != nil {
		return err
	}
	client := s.client()
	defer func() { _ = client.Close() }()
	if err := client.ConfigSet(ctx, "appendfsync", string(o.Fsync)).Err(); err != nil {
		return err
	}
	s.pid, s.adopted = pid, true
	return nil
}

// ask gives the server's process id once it is ready to serve.
func (s *Server) ask(ctx context.Context) (int, error) {
	// The client would log each vain dial.
	conn, err := new(net.Dialer).DialContext(ctx, "unix", s.socket())
	if err != nil {
		return 0, err
	}
	_ = conn.Close()
	client := s.client()
	defer func() { _ = client.Close() }()
	if err := client.Ping(ctx).Err(); err != nil {
		return 0, err
	}
	info, err := client.Info(ctx, "server").Result()
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(info, "\nprocess_id:")
	text, _, _ := strings.Cut(rest, "\r\n")
	return strconv.Atoi(text)
}

func (s *Server) client() *goredis.Client {
	return goredis.NewClient(&goredis.Options{
		Network: "unix", Addr: s.socket(), Protocol: 2, DisableIdentity: true,
		MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
		DialTimeout: time.Second, ReadTimeout: time.Second,
	})
}

// Stop ends the server in order and waits until it has ended or ctx does.
// Stopping twice does no harm. A child of ours ends also where somebody removed
// its folder, and with it the lock and the ways to ask.
func (s *Server) Stop(ctx context.Context) error {
	for {
		lock, err := s.lock()
		if lock != nil {
			_ = lock.Close()
		}
		switch {
		case s.child != nil && (lock != nil || errors.Is(err, fs.ErrNotExist)):
			return s.end(ctx)
		case err != nil:
			return fmt.Errorf("server: stop: %w", err)
		case lock != nil:
			return nil
		}
		if _, err = s.ask(ctx); err == nil {
			client := s.client()
			err = client.Do(ctx, "SHUTDOWN").Err() // obeying, it answers nothing
			_ = client.Close()
		}
		if err := wait(ctx, err); err != nil {
			return fmt.Errorf("server: stop redis-server in %s: %w", s.dir, err)
		}
	}
}

// end sees to it that our child has ended.
func (s *Server) end(ctx context.Context) error {
	if err := s.child.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("server: stop: %w", err)
	}
	select {
	case <-s.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("server: stop redis-server %d: %w", s.pid, ctx.Err())
	}
}

// URL is where to connect to.
func (s *Server) URL() string {
	u := url.URL{Scheme: "unix", Path: s.socket()}
	return u.String()
}

// PID is the server's process.
func (s *Server) PID() int { return s.pid }

// Adopted tells that the server ran already.
func (s *Server) Adopted() bool { return s.adopted }

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }
func (s *Server) socket() string          { return s.path(socketName) }

// lastWords is the end of the server's log.
func (s *Server) lastWords() string {
	log, err := os.ReadFile(s.path(logName))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}

// wait pauses before another try; it gives the last failure where ctx ends.
func wait(ctx context.Context, last error) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ctx.Err(), last)
	case <-time.After(pause):
		return nil
	}
}
