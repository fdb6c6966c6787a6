package console_test

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/deadletter"
	"github.com/relevo-ci/relevo/shared/redis"
)

// undelivered puts an event among the dead letters, as the bus does that tried in
// vain.
func (s *server) undelivered(run, function, why string) string {
	s.t.Helper()
	store, err := redis.Open(s.t.Context(), "unix://"+filepath.Join(s.dir, "redis", "redis.sock"), redis.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	defer store.Close()
	e, err := events.New("of-"+run+function, "/relevo/job-completed", "", time.Now(), events.RunCompleted{RunRef: events.RunRef{Run: events.RunID(run)}})
	if err != nil {
		s.t.Fatal(err)
	}
	raw, err := json.Marshal(e)
	if err != nil {
		s.t.Fatal(err)
	}
	l, err := (&deadletter.Box{Store: store}).Add(s.t.Context(), deadletter.Letter{Event: raw, Destination: function, Code: 500, Error: why})
	if err != nil {
		s.t.Fatal(err)
	}
	return l.ID
}

// TestDeadLetters sends one again, is told that another is still refused, and
// discards it.
func TestDeadLetters(t *testing.T) {
	s := start(t, "", "127.0.0.1:0")
	run := s.submit("jobs:\n  a: {steps: [{run: echo}]}\n", push)
	s.ended(run)
	good, bad := s.undelivered(run, "run-completed", "the store was away"), s.undelivered(run, "nobody", "no such function")
	b := open(t, s)
	b.visit("/events")
	b.reads("#letter-"+good, "to run-completed: 500 the store was away")
	b.press("#letter-"+good+` a[href$="/replay"]`, "", "dialog .primary")
	b.reads("#letter-"+good, "sent again")

	b.allow = []string{"409 (Conflict)", "htmx:responseError"}
	b.press("#letter-"+bad+` a[href$="/replay"]`, "", "dialog .primary")
	b.reads("main", "It failed again")
	b.visit("/events")
	b.press("#letter-"+bad+` a[href$="/discard"]`, "", "dialog .danger.primary")
	b.reads("#deadletters", "Dead letters 1")
}
