package worker

import (
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/state"
)

// TestAttemptsHeardOfElsewhereAreForgotten: where several processes take the
// reports, most never hear of an attempt's end.
func TestAttemptsHeardOfElsewhereAreForgotten(t *testing.T) {
	s := &Reports{Runs: &state.Runs{Policy: pipeline.Policy{Lease: time.Minute}}}
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	hear := func(n int) {
		s.tail(events.AttemptRef{Attempt: n}).heard = now
		s.forgetSilent(now)
	}
	hear(1)
	hear(2)
	for range 10 {
		now = now.Add(30 * time.Second)
		hear(2)
	}
	if _, known := s.attempts[events.AttemptRef{Attempt: 2}]; len(s.attempts) != 1 || !known {
		t.Errorf("%d attempts are kept, the one that reports: %v", len(s.attempts), known)
	}
}
