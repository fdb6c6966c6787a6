package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"knative.dev/networking/pkg/apis/networking/v1alpha1"
)

// routes maps a host to its paths, in the order in which they are tried.
type routes struct {
	hosts atomic.Pointer[map[string][]v1alpha1.HTTPIngressPath]
}

func (t *routes) set(ingresses []*v1alpha1.Ingress) {
	hosts := map[string][]v1alpha1.HTTPIngressPath{}
	for _, ing := range ingresses {
		if !ours(ing) || ing.DeletionTimestamp != nil {
			continue
		}
		for _, rule := range ing.Spec.Rules {
			for _, host := range rule.Hosts {
				hosts[host] = append(hosts[host], rule.HTTP.Paths...)
			}
		}
	}
	t.hosts.Store(&hosts)
}

// find returns the first path that fits r: one that asks for headers stands
// above one that does not, whatever their order.
func (t *routes) find(r *http.Request) (found v1alpha1.HTTPIngressPath, ok bool) {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	for _, path := range (*t.hosts.Load())[host] {
		if fits(path, r) && (!ok || len(path.Headers) > len(found.Headers)) {
			found, ok = path, true
		}
	}
	return found, ok
}

func fits(path v1alpha1.HTTPIngressPath, r *http.Request) bool {
	for name, match := range path.Headers {
		if r.Header.Get(name) != match.Exact {
			return false
		}
	}
	return strings.HasPrefix(r.URL.Path, path.Path)
}

// pick draws one of the splits by their percentages.
func pick(splits []v1alpha1.IngressBackendSplit) v1alpha1.IngressBackendSplit {
	n := rand.IntN(100)
	for _, split := range splits {
		if n -= split.Percent; n < 0 {
			return split
		}
	}
	return splits[0] // an only split may leave its percentage out
}

type target struct {
	url     *url.URL
	host    string
	headers map[string]string
}

type targetKey struct{}

// newProxy serves the routes. An HTTP/2 request (gRPC) goes on as HTTP/2.
func newProxy(routes *routes) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			to := p.In.Context().Value(targetKey{}).(target)
			p.SetURL(to.url)
			p.SetXForwarded()
			p.Out.Host = to.host
			for name, value := range to.headers {
				p.Out.Header.Set(name, value)
			}
		},
		Transport:     byProtocol{one: transport(false), two: transport(true)},
		FlushInterval: -1, // event streams
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, ok := routes.find(r)
		if !ok || len(path.Splits) == 0 {
			http.Error(w, "no ingress for host "+r.Host, http.StatusNotFound)
			return
		}
		split := pick(path.Splits)
		to := target{
			// The last dot spares the search through the pod's DNS domains.
			url: &url.URL{Scheme: "http", Host: fmt.Sprintf("%s.%s.svc.cluster.local.:%s",
				split.ServiceName, split.ServiceNamespace, split.ServicePort.String())},
			host:    r.Host,
			headers: map[string]string{},
		}
		if path.RewriteHost != "" {
			to.host = path.RewriteHost
		}
		maps.Copy(to.headers, path.AppendHeaders)
		maps.Copy(to.headers, split.AppendHeaders)
		proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), targetKey{}, to)))
	})
}

type byProtocol struct{ one, two http.RoundTripper }

func (b byProtocol) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Content-Type") == "application/grpc" || r.ProtoMajor == 2 {
		return b.two.RoundTrip(r)
	}
	return b.one.RoundTrip(r)
}

// transport keeps no idle connection: behind the Service's address there is
// now the activator, now a pod, and a kept one would stay with the old.
func transport(two bool) http.RoundTripper {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!two)
	protocols.SetUnencryptedHTTP2(two)
	return &http.Transport{
		Protocols:          protocols,
		DialContext:        dial,
		DisableKeepAlives:  !two,
		IdleConnTimeout:    time.Second,
		DisableCompression: true,
	}
}

// dial tries again for a moment: a Service whose pod just went refuses until
// kube-proxy has learnt of the next.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	deadline := time.Now().Add(2 * time.Second)
	for {
		conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, address)
		if !errors.Is(err, syscall.ECONNREFUSED) || time.Now().After(deadline) {
			return conn, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}
