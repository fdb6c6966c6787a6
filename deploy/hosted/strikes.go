package hosted

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/relevo-ci/relevo/shared/state"
)

const (
	// strikeAfter is less than what the clock gives a record before it counts as
	// not published.
	strikeAfter = time.Second
	strikeTime  = 5 * time.Second // for the commits
)

// strikes tells the store what was published, soon after: a function that
// scales to zero may commit nothing more that could carry it, and the clock
// would wake everybody to send it again.
type strikes struct {
	Committer *state.Committer
	After     time.Duration
	Log       *slog.Logger

	mu      sync.Mutex
	waiting bool
}

// Published strikes an event, by id.
func (s *strikes) Published(id string) {
	s.Committer.Published(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting {
		return
	}
	s.waiting = true
	time.AfterFunc(s.After, s.Flush)
}

// Flush commits what no other commit carried. What fails stays for the next, or
// is published twice.
func (s *strikes) Flush() {
	s.mu.Lock()
	s.waiting = false
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), strikeTime)
	defer cancel()
	if err := s.Committer.Flush(ctx); err != nil {
		s.Log.Debug("hosted: strike what was published", "error", err)
	}
}
