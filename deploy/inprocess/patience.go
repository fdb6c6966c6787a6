package inprocess

import (
	"time"

	"github.com/relevo-ci/relevo/shared/provider"
	"github.com/relevo-ci/relevo/shared/workers"
)

const (
	// providerPatience is how long a provider may take to make or remove a worker,
	// whose grace is part of it.
	providerPatience = 3 * time.Minute
	// providerCalls is how many may be under way at once.
	providerCalls = 256
)

// bulkheads keep a provider that does not answer from holding up the others.
func bulkheads(all map[string]provider.Provider) map[string]provider.Provider {
	bounded := map[string]provider.Provider{}
	for name, p := range all {
		bounded[name] = workers.Bulkhead(p, providerPatience, providerCalls)
	}
	return bounded
}
