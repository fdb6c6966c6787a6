// Package e2e tries an installation of Relevo on a real Kubernetes with real
// Knative: `make e2e` brings the cluster up (test/cluster), installs Relevo
// with `kubectl apply -k`, and runs these tests with the tag e2e.
package e2e
