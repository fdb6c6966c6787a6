package agent

import (
	"sync"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// stops is how the job hears that it is to end before its last step.
type stops struct {
	asked     chan struct{}
	cancelled chan struct{}

	mu      sync.Mutex
	verdict events.Verdict
	reason  string
	at      time.Time
}

func newStops() *stops {
	return &stops{asked: make(chan struct{}), cancelled: make(chan struct{})}
}

// ask stops the job. The first one to ask gives the verdict, but for a cancel:
// the control plane cancels and has the worker removed, and its word may come
// after the worker's end was asked for.
func (s *stops) ask(verdict events.Verdict, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.verdict == "" {
		close(s.asked)
		s.at = time.Now()
	} else if verdict != events.Cancelled || s.verdict != events.Infra {
		return
	}
	if verdict == events.Cancelled {
		close(s.cancelled)
	}
	s.verdict, s.reason = verdict, reason
}

// why tells the verdict; empty while the job goes on.
func (s *stops) why() (events.Verdict, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.verdict, s.reason
}
