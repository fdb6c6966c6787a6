// The ingress program stands in for Kourier, Contour or Istio, which need an
// Envoy: it serves Knative's Ingresses of its class over plain HTTP. It is test
// equipment: no TLS, no retries, no limits, one replica, and the hosts that
// should be seen inside the cluster alone are served like all others.
package main

import (
	"log"
	"net/http"
	"time"

	"k8s.io/client-go/rest"
	networking "knative.dev/networking/pkg/client/clientset/versioned"
)

func main() {
	config, err := rest.InClusterConfig()
	if err != nil {
		log.Fatal(err)
	}
	client, err := networking.NewForConfig(config)
	if err != nil {
		log.Fatal(err)
	}
	routes := &routes{}
	watch(client, routes)

	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Addr:              ":8080",
		Handler:           newProxy(routes),
		Protocols:         protocols,
		ReadHeaderTimeout: 30 * time.Second,
	}
	go func() { log.Fatal(server.ListenAndServe()) }()
	// Asked by the kubelet: by now the routes are known.
	log.Fatal(http.ListenAndServe(":8081", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
}
