package protocol_test

import (
	"errors"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/protocol"
)

func FuzzLedgerID(f *testing.F) {
	for _, id := range []string{"", "0-0", "1700000000000-12", "1-", "-1-0", "01-0", "1-18446744073709551615", "1-18446744073709551616"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		p, err := protocol.LedgerID(id).Position()
		switch {
		case err == nil && string(p.ID()) != id:
			t.Errorf("%q was read as %q", id, p.ID())
		case err != nil && !errors.Is(err, protocol.ErrInvalid):
			t.Errorf("%q: %v", id, err)
		}
	})
}

func FuzzPosition(f *testing.F) {
	f.Add(int64(0), uint64(0), int64(0), uint64(1))
	f.Add(int64(2), uint64(0), int64(10), uint64(0))
	f.Fuzz(func(t *testing.T, ms1 int64, n1 uint64, ms2 int64, n2 uint64) {
		p, q := protocol.Position{Millis: ms1, Counter: n1}, protocol.Position{Millis: ms2, Counter: n2}
		if ms1 >= 0 {
			if back, err := p.ID().Position(); err != nil || back != p {
				t.Errorf("%+v comes back from %q as %+v, %v", p, p.ID(), back, err)
			}
		}
		if p.Compare(q) != -q.Compare(p) || (p.Compare(q) == 0) != (p == q) {
			t.Errorf("%+v against %+v: %d and %d", p, q, p.Compare(q), q.Compare(p))
		}
	})
}

func TestPartitionOf(t *testing.T) {
	// What is stored under a run's partition must be found there for ever.
	for run, want := range map[string]protocol.Partition{"": "p05", "01JABC": "p48", "01JABD": "p53"} {
		if got := protocol.PartitionOf(events.RunID(run)); got != want {
			t.Errorf("%q lives in %s, want %s", run, got, want)
		}
	}
}
