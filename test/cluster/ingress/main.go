// The ingress program stands in for Kourier, Contour or Istio, which need an
// Envoy: it serves Knative's Ingresses of its class over plain HTTP. It is test
// equipment: no TLS, no retries, no limits, one replica, and the hosts that
// should be seen inside the cluster alone are served like all others.
package main

import (
	"log/slog"
	"net/http"
	"os"
	"time"

	"k8s.io/client-go/rest"
	networking "knative.dev/networking/pkg/client/clientset/versioned"
)

func main() {
	slog.Error("stopped", "error", run())
	os.Exit(1)
}

func run() error {
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	client, err := networking.NewForConfig(config)
	if err != nil {
		return err
	}
	routes := &routes{}
	if err := watch(client, routes); err != nil {
		return err
	}

	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Addr:              ":8080",
		Handler:           newProxy(routes),
		Protocols:         protocols,
		ReadHeaderTimeout: 30 * time.Second,
	}
	stopped := make(chan error, 2)
	go func() { stopped <- server.ListenAndServe() }()
	// Asked by the kubelet: by now the routes are known.
	healthy := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	go func() { stopped <- http.ListenAndServe(":8081", healthy) }()
	return <-stopped
}
