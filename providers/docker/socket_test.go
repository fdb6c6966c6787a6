package docker

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
)

// answer listens on a new socket and says the same to whoever calls; hang ends
// that.
func answer(t testing.TB, path, text string) (hang func()) {
	t.Helper()
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, text)
			conn.Close()
		}
	}()
	return func() { l.Close() }
}

// relay stands between a provider and the daemon, and can be cut.
type relay struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
}

// newRelay listens on a socket and passes everything on to the daemon's.
func newRelay(t testing.TB, path, daemon string) *relay {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{listener: l, target: daemon, conns: map[net.Conn]bool{}}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go r.pass(conn)
		}
	}()
	return r
}

func (r *relay) pass(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("unix", r.target)
	if err != nil {
		return
	}
	defer far.Close()
	r.mu.Lock()
	if r.cut {
		r.mu.Unlock()
		return
	}
	r.conns[near] = true
	r.mu.Unlock()
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1])
			done <- struct{}{}
		}()
	}
	<-done
	r.mu.Lock()
	delete(r.conns, near)
	r.mu.Unlock()
}

// set cuts every connection and refuses new ones, or lets them pass again.
func (r *relay) set(cut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = cut
	for conn := range r.conns {
		conn.Close()
	}
}
