package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/functions/api"
	"github.com/relevo-ci/relevo/shared/feed"
)

const manySubscribers = 1000

// streams is P12. Those who read are another process: it is the CPU of the side
// that writes that counts, on both sides.
func streams(ctx context.Context, b *bench) error {
	window := feed.NewMemory(10_000, 64<<20)
	function := api.New(&api.API{
		Feed: window, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Streams: api.Streams{Life: time.Hour, Beat: time.Hour, Patience: time.Minute},
	})
	srv := httptest.NewServer(function.HTTP)
	b.closes = append(b.closes, srv.CloseClientConnections)
	sent, err := subscribe(ctx, b, srv.Listener.Addr().String(), "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if err != nil {
		return err
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	b.closes = append(b.closes, func() { _ = plain.Close() })
	raw, err := subscribe(ctx, b, plain.Addr().String(), "")
	if err != nil {
		return err
	}
	var conns []net.Conn
	for range manySubscribers {
		conn, err := plain.Accept()
		if err != nil {
			return err
		}
		conns = append(conns, conn)
	}
	serial := 0
	for _, shape := range []struct {
		name        string
		burst, each int
	}{{"one at a time", 1, 30}, {"bursts of 100", 100, 2}} {
		n := shape.burst * shape.each * manySubscribers
		ours := perCPUSecond(cpu(n, func() error {
			return rounds(shape.each, func() error {
				for range shape.burst {
					serial++
					if err := window.Record(ctx, streamed(serial)); err != nil {
						return err
					}
				}
				return sent.have(shape.burst)
			})
		}))
		theirs := perCPUSecond(cpu(n, func() error {
			return rounds(shape.each, func() error {
				serial++
				payload, err := feed.Encode(streamed(serial))
				if err != nil {
					return err
				}
				frames := bytes.Repeat(feed.NewEntry("abcdefghij.100000", events.TypeRunStarted, "", payload).Frame, shape.burst)
				for _, c := range conns {
					if _, err := c.Write(frames); err != nil {
						return err
					}
				}
				return raw.have(shape.burst)
			})
		}))
		fmt.Printf("    %d subscribers, %s\n", manySubscribers, shape.name)
		if err := b.compare(ctx, "a CPU-second", "server-sent events", "raw writes of the same bytes", ours, theirs); err != nil {
			return err
		}
	}
	return nil
}

func streamed(n int) events.Envelope {
	e, err := events.New("bench-"+strconv.Itoa(n), "/relevo/bench", "", requested(n), events.RunStarted{RunRef: events.RunRef{Run: benchRun(n)}})
	if err != nil { // it always encodes
		panic(err)
	}
	return e
}

func rounds(n int, f func() error) error {
	for range n {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// perCPUSecond turns microseconds for one into how many in a second.
func perCPUSecond(f once) once {
	return func(ctx context.Context) (float64, error) {
		v, err := f(ctx)
		return 1e6 / v, err
	}
}

// subscribers are a process that reads from many connections, and counts.
type subscribers struct {
	in  io.Writer
	out *bufio.Reader
}

var errSubscribers = errors.New("the subscribers are gone")

func subscribe(ctx context.Context, b *bench, address, request string) (*subscribers, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-subscribe", address, "-request", request)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	b.closes = append(b.closes, func() { _ = in.Close(); _ = cmd.Wait() })
	s := &subscribers{in: in, out: bufio.NewReader(out)}
	return s, s.have(0)
}

// have waits until each of them has so many messages more.
func (s *subscribers) have(n int) error {
	if _, err := fmt.Fprintln(s.in, n); err != nil {
		return err
	}
	if line, err := s.out.ReadString('\n'); err != nil {
		return fmt.Errorf("%w: %q: %w", errSubscribers, line, err)
	}
	return nil
}

// readMany is the process that reads.
func readMany(ctx context.Context, address, request string) error {
	var got atomic.Int64
	came := make(chan struct{}, 1)
	failed := make(chan error, manySubscribers)
	for range manySubscribers {
		r, err := connect(ctx, address, request)
		if err != nil {
			return err
		}
		go func() {
			for {
				line, err := r.ReadSlice('\n')
				if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
					failed <- err
					return
				}
				if bytes.HasPrefix(line, []byte("data: ")) {
					got.Add(1)
					select {
					case came <- struct{}{}:
					default:
					}
				}
			}
		}()
	}
	var want int64
	for {
		var n int64
		if _, err := fmt.Fscanln(os.Stdin, &n); err != nil {
			return nil //nolint:nilerr // enough: whoever counts went
		}
		for want += n * manySubscribers; got.Load() < want; {
			select {
			case <-came:
			case err := <-failed:
				return err
			}
		}
		fmt.Println(got.Load())
	}
}

// connect opens a connection, where a request is given a HTTP answer that has
// begun.
func connect(ctx context.Context, address, request string) (*bufio.Reader, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(conn, 16<<10)
	if request == "" {
		return r, nil
	}
	if _, err := io.WriteString(conn, request); err != nil {
		return nil, err
	}
	res, err := http.ReadResponse(r, nil) //nolint:bodyclose // as long as the process
	if err != nil {
		return nil, err
	}
	body := bufio.NewReaderSize(res.Body, 16<<10)
	_, err = body.Peek(1) // it stands
	return body, err
}
