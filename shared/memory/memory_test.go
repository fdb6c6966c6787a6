package memory_test

import (
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/protocol/protocoltest"
)

func fixedClock() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func event(t *testing.T, id string) events.Envelope {
	t.Helper()
	e, err := events.New(id, "/relevo/test", "", fixedClock(), events.ClockTicked{Message: id})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func commit(t *testing.T, s *memory.Store, c protocol.Commit) protocol.Receipt {
	t.Helper()
	r, err := s.Commit(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func load(t *testing.T, s *memory.Store, p protocol.Partition, id protocol.DocID) (protocol.Doc, protocol.Moment) {
	t.Helper()
	docs, m, err := s.Load(t.Context(), p, id)
	if err != nil {
		t.Fatal(err)
	}
	return docs[0], m
}

func TestRestoreLosesWhatCameAfterTheSnapshot(t *testing.T) {
	s := memory.New(fixedClock, "here")
	put := func(v uint64, body string) protocol.Receipt {
		return commit(t, s, protocol.Commit{
			Partition: "p07", Puts: []protocol.Doc{{ID: "run/1", Version: v, Body: []byte(body)}},
			Emitted: []events.Envelope{event(t, body)},
		})
	}
	put(1, "kept")
	snap := s.Snapshot()
	lost := put(2, "lost")
	fresh := commit(t, s, protocol.Commit{Partition: "pool:new", Emitted: []events.Envelope{event(t, "new")}})
	s.Restore(snap)

	d, m := load(t, s, "p07", "run/1")
	if d.Version != 1 || string(d.Body) != "kept" || m.Epoch != 2 || m.Installation != "here" {
		t.Fatalf("restored to %v of %+v", d, m)
	}
	if again := put(2, "again"); again.Record == lost.Record {
		t.Errorf("record %s was given twice", again.Record)
	}
	if r := commit(t, s, protocol.Commit{Partition: "pool:new", Emitted: []events.Envelope{event(t, "new")}}); r.Record == fresh.Record {
		t.Errorf("record %s was given twice", r.Record)
	}
	s.Restore(snap)
	if d, m = load(t, s, "p07", "run/1"); string(d.Body) != "kept" || m.Epoch != 3 {
		t.Fatalf("restored again to %v of %+v", d, m)
	}
}

func TestSetEpoch(t *testing.T) {
	s := memory.New(fixedClock, "here")
	s.SetEpoch(9)
	if _, m := load(t, s, "p00", "run/1"); m.Epoch != 9 {
		t.Fatalf("epoch %d", m.Epoch)
	}
}

func TestSuite(t *testing.T) {
	protocoltest.Suite(t, func(*testing.T) protocoltest.Fixture {
		c := &clock{now: fixedClock()}
		return protocoltest.Fixture{
			Store: memory.New(c.Now, "here"),
			Pass:  func(_ *testing.T, d time.Duration) { c.now = c.now.Add(d) },
		}
	})
}

// clock stands still unless told otherwise.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }
