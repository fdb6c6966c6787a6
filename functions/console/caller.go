package console

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
)

// inProcess asks a handler in this process, without a network between, in the
// name of the caller in the request's context. What streams, streams.
type inProcess struct{ handler http.Handler }

type callerKey struct{}

// withCaller keeps who asks, for the requests that follow from theirs.
func withCaller(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), callerKey{}, r))
}

// carried are the headers that say who asks, and from where: the api decides by
// them as if it had been asked itself.
var carried = []string{"Cookie", "Authorization", "Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode", "X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "User-Agent", headerForgery}

// RoundTrip answers as soon as the handler began to.
func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	asked := r.Clone(ctx)
	asked.RequestURI = asked.URL.RequestURI()
	if asked.Body == nil {
		asked.Body = http.NoBody
	}
	if caller, ok := ctx.Value(callerKey{}).(*http.Request); ok {
		asked.RemoteAddr, asked.Host, asked.TLS = caller.RemoteAddr, caller.Host, caller.TLS
		for _, h := range carried {
			if v := caller.Header.Values(h); len(v) > 0 && asked.Header.Get(h) == "" {
				asked.Header[h] = v
			}
		}
	}
	in, out := io.Pipe()
	w := &answer{header: http.Header{}, began: make(chan struct{}), body: out}
	go func() {
		var cause error // nil: the whole answer
		defer func() {
			if p := recover(); p != nil {
				cause = io.ErrUnexpectedEOF
				if e, ok := p.(error); !ok || !errors.Is(e, http.ErrAbortHandler) {
					w.WriteHeader(http.StatusInternalServerError)
				}
			}
			w.WriteHeader(http.StatusOK)
			_ = out.CloseWithError(cause)
		}()
		t.handler.ServeHTTP(w, asked)
	}()
	select {
	case <-w.began:
	case <-ctx.Done():
		cancel()
		_ = in.Close()
		return nil, ctx.Err()
	}
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Header: w.sent, Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: -1,
		Body: &body{PipeReader: in, cancel: cancel},
	}, nil
}

// body gives the handler up when it is closed.
type body struct {
	*io.PipeReader
	cancel context.CancelFunc
}

func (b *body) Close() error {
	b.cancel()
	return b.PipeReader.Close()
}

// answer is what the handler writes to.
type answer struct {
	header http.Header
	once   sync.Once
	began  chan struct{}
	status int
	sent   http.Header
	body   *io.PipeWriter
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if status < 200 {
		return
	}
	a.once.Do(func() {
		a.status, a.sent = status, a.header.Clone()
		close(a.began)
	})
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	// A copy: a handler may use its buffer again while the reader still reads.
	return a.body.Write(bytes.Clone(p))
}

// Flush is here for handlers that look for it: a pipe holds nothing back.
func (a *answer) Flush() { a.WriteHeader(http.StatusOK) }
