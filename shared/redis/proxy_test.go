package redis_test

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// fault is what a proxy does to one request.
type fault struct {
	// at is the command that it waits for, in lower case; "" is a script's call.
	at string
	// forward lets the server execute it.
	forward bool
	// answer is sent back instead of the server's; "" hangs up, and so does the
	// answer to what was executed.
	answer string
}

// proxy stands between a store and its server and plants faults.
type proxy struct {
	url    string
	server string

	mu   sync.Mutex
	next *fault
}

func startProxy(t *testing.T, server string) *proxy {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{url: "redis://" + listener.Addr().String(), server: u.Path}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		wg.Wait()
	})
	return p
}

// plant makes the next request of its kind meet with f.
func (p *proxy) plant(f fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.at == "" {
		f.at = "evalsha"
	}
	p.next = &f
}

// meet gives the fault for a request, if any.
func (p *proxy) meet(request []byte) *fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.next
	if f == nil || !bytes.Contains(bytes.ToLower(request), []byte("\r\n"+f.at+"\r\n")) {
		return nil
	}
	p.next = nil
	return f
}

// serve passes chunks to and fro: the client waits for each answer before it
// asks again, so a chunk is a request or an answer, or a part of a large one.
func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	var mu sync.Mutex
	var mute *fault
	go func() {
		defer client.Close()
		chunk := make([]byte, 1<<16)
		for {
			n, err := server.Read(chunk)
			if err != nil {
				return
			}
			mu.Lock()
			f := mute
			mu.Unlock()
			if f != nil {
				io.WriteString(client, f.answer)
				return
			}
			if _, err := client.Write(chunk[:n]); err != nil {
				return
			}
		}
	}()
	chunk := make([]byte, 1<<16)
	for {
		n, err := client.Read(chunk)
		if err != nil {
			return
		}
		if f := p.meet(chunk[:n]); f != nil {
			if !f.forward && f.answer == "" {
				return
			}
			if !f.forward {
				io.WriteString(client, f.answer)
				continue
			}
			mu.Lock()
			mute = f
			mu.Unlock()
		}
		if _, err := server.Write(chunk[:n]); err != nil {
			return
		}
	}
}
