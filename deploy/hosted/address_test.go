package hosted

import (
	"testing"

	"github.com/relevo-ci/relevo/config"
	"github.com/relevo-ci/relevo/shared/fn"
)

// TestAddress holds where the clock posts to: a function's service, or that of
// its context.
func TestAddress(t *testing.T) {
	table := []fn.Function{{Name: "offer-created", Context: "scheduler"}, {Name: "job-ended", Context: "pipeline"}}
	for pattern, want := range map[string]string{
		"http://{function}.relevo":           "http://job-ended.relevo",
		"http://{context}.relevo/{function}": "http://pipeline.relevo/job-ended",
	} {
		s := &Service{table: table, config: config.Config{Host: config.Host{Functions: pattern}}}
		if got := s.address("job-ended"); got != want {
			t.Errorf("%s: %s, want %s", pattern, got, want)
		}
	}
}
