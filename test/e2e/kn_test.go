//go:build e2e

package e2e

import "testing"

// A function is deployed with kn in place of the installed one, by the commands
// of docs/deploy.md, and does its work.
func TestKn(t *testing.T) {
	r := begin(t)
	r.without(offerService, offerTrigger)
	r.shell(instead(t, shown(t, "kn", 0), "registry.example/relevo/host:v1", "dev.local/relevo/host:test"))
	r.ready(offerService, offerTrigger)
	r.planned()
}

// The clock's source, likewise.
func TestKnSource(t *testing.T) {
	const source = "pingsources.sources.knative.dev/clock"
	r := begin(t)
	r.without(source)
	r.shell(shown(t, "kn", 1))
	r.ready(source)
}
