package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"

	"github.com/relevo-ci/relevo/events"
)

// PortForward connects to a port on the pod's loopback by way of the API server
// and the node, over a WebSocket, or SPDY where that is not understood. Nothing
// in the cluster is opened to anybody else.
func (p *Provider) PortForward(ctx context.Context, id events.WorkerID, port int) (net.Conn, error) {
	what := "forward to worker " + string(id)
	pod, st, err := p.latest(ctx, id)
	if err != nil {
		return nil, wrap(what, err)
	}
	if !st.Running {
		return nil, fmt.Errorf("kubernetes: %s: it does not run: %s%s", what, st.Preparing, st.Reason)
	}
	if port == 0 {
		port = inspectPort
	}
	streams, err := p.dial(ctx, pod.Name)
	if err != nil {
		return nil, wrap(what, err)
	}
	conn, err := newTunnel(streams, port)
	if err != nil {
		return nil, wrap(what, errors.Join(err, streams.Close()))
	}
	return conn, nil
}

// dial opens a connection that holds streams to a pod's ports.
func (p *Provider) dial(ctx context.Context, pod string) (httpstream.Connection, error) {
	url := p.client.CoreV1().RESTClient().Post().
		Resource("pods").Namespace(p.cfg.Namespace).Name(pod).SubResource("portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(p.rest)
	if err != nil {
		return nil, err
	}
	overSPDY := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	overWebSocket, err := portforward.NewSPDYOverWebsocketDialer(url, p.rest)
	if err != nil {
		return nil, err
	}
	dialer := portforward.NewFallbackDialer(overWebSocket, overSPDY, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	type answer struct {
		streams httpstream.Connection
		err     error
	}
	answers := make(chan answer, 1)
	go func() { // it knows no context
		streams, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
		answers <- answer{streams, err}
	}()
	select {
	case a := <-answers:
		return a.streams, a.err
	case <-ctx.Done():
		go func() {
			if a := <-answers; a.err == nil {
				_ = a.streams.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// tunnel is the connection to one port. A net.Pipe between it and the stream
// gives the deadlines and the addresses of a net.Conn.
type tunnel struct {
	net.Conn
	streams httpstream.Connection
	mu      sync.Mutex
	said    string // by the node, of what went wrong
}

func newTunnel(streams httpstream.Connection, port int) (*tunnel, error) {
	headers := http.Header{}
	headers.Set(corev1.PortHeader, strconv.Itoa(port))
	headers.Set(corev1.PortForwardRequestIDHeader, "0")
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	complaints, err := streams.CreateStream(headers)
	if err != nil {
		return nil, err
	}
	_ = complaints.Close() // nothing is written to it
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := streams.CreateStream(headers)
	if err != nil {
		return nil, err
	}
	near, far := net.Pipe()
	t := &tunnel{Conn: near, streams: streams}
	complained := make(chan struct{})
	go func() {
		defer close(complained)
		text, _ := io.ReadAll(io.LimitReader(complaints, complaintMax))
		t.mu.Lock()
		defer t.mu.Unlock()
		t.said = strings.TrimSpace(string(text))
	}()
	go func() {
		_, _ = io.Copy(data, far)
		_ = data.Close() // the far side was closed, so is the near one
	}()
	go func() {
		_, _ = io.Copy(far, data)
		<-complained // it ends with the connection at the latest
		_ = far.Close()
	}()
	return t, nil
}

// complaintMax bounds what is kept of what went wrong, in bytes.
const complaintMax = 4096

// Read ends with what went wrong, if it did: that nobody listens on the port.
func (t *tunnel) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	if err != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.said != "" {
			return n, fmt.Errorf("kubernetes: forward: %s", line(t.said))
		}
	}
	return n, err
}

// Close ends the connection.
func (t *tunnel) Close() error {
	_ = t.Conn.Close()
	return t.streams.Close()
}
