package protocoltest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/protocol"
)

func (t *trial) ledger(after protocol.LedgerID, n int) []protocol.Record {
	t.Helper()
	records, err := t.Store.Ledger(t.Context(), t.p, after, n)
	if err != nil {
		t.Fatalf("ledger: %v", err)
	}
	return records
}

func (t *trial) outbox(age time.Duration, n int) []protocol.Record {
	t.Helper()
	records, err := t.Store.Outbox(t.Context(), t.p, age, n)
	if err != nil {
		t.Fatalf("outbox: %v", err)
	}
	return records
}

var recording = []test{
	{"a commit is one record with what it absorbed and emitted", func(t *trial) {
		before := t.moment().Now
		c := protocol.Commit{Absorbed: t.envelopes("a", "b"), Emitted: t.envelopes("c", "d", "e")}
		r := t.commit(c)
		got := t.ledger("", many)
		if len(got) != 1 || got[0].ID != r.Record || r.Record == "" {
			t.Fatalf("%+v", got)
		}
		if text(got[0].Absorbed) != text(c.Absorbed) || text(got[0].Emitted) != text(c.Emitted) {
			t.Fatalf("%+v", got[0])
		}
		if at := got[0].At; at.Before(before) || at.After(t.moment().Now) || at.Location() != time.UTC {
			t.Fatalf("recorded at %v, not after %v", at, before)
		}
	}},
	{"every attribute of an event comes back", func(t *trial) {
		e := events.Envelope{
			ID: "1 ü \u2028 <&>", Source: "/relevo/test", Type: "com.example.other", Subject: "a/b",
			Time: time.Date(2026, 2, 3, 4, 5, 6, 789_000_000, time.UTC), Data: json.RawMessage(`{"a":[1,"ü",null]}`),
			CauseID: "c", RunID: "r", Sequence: 1<<63 + 1, PartitionKey: "p", Traceparent: "tp", Tracestate: "ts", Epoch: 7,
		}
		t.commit(protocol.Commit{Inbox: "test/1", Emitted: []events.Envelope{e, {ID: "2", Source: "/s", Type: "t"}}})
		again := t.commit(protocol.Commit{Inbox: "test/1"}).Emitted
		for _, list := range [][]events.Envelope{t.ledger("", many)[0].Emitted, t.outbox(0, many)[0].Emitted, again} {
			t.equal("events", list, []events.Envelope{e, {ID: "2", Source: "/s", Type: "t"}})
		}
	}},
	{"times are UTC to the millisecond", func(t *trial) {
		e := t.envelopes("e")
		at := time.Date(2026, 2, 3, 4, 5, 6, 789_654_321, time.FixedZone("", 3600))
		e[0].Time = at
		r := t.commit(protocol.Commit{Emitted: e})
		want := at.UTC().Truncate(time.Millisecond)
		if got := r.Emitted[0].Time; got != want {
			t.Fatalf("answered %v, want %v", got, want)
		}
		if got := t.ledger("", 1)[0].Emitted[0].Time; got != want {
			t.Fatalf("recorded %v, want %v", got, want)
		}
	}},
	{"records stand in the order of their commits and are read in pages", func(t *trial) {
		var want []string
		var all []protocol.LedgerID
		for i := range 25 { // more than ten in a millisecond, where the clock is slow
			want = append(want, fmt.Sprint("e", i))
			all = append(all, t.emit(want[i]))
		}
		t.equal("ledger", ids(t.ledger("", many)), want)
		t.equal("first page", ids(t.ledger("", 4)), want[:4])
		t.equal("next page", ids(t.ledger(all[3], 18)), want[4:22])
		t.equal("last page", ids(t.ledger(all[21], 4)), want[22:])
		t.equal("after the last", ids(t.ledger(all[24], 4)), want[25:])
		t.equal("outbox", ids(t.outbox(0, many)), want)
		t.equal("first of the outbox", ids(t.outbox(0, 13)), want[:13])
		t.equal("nothing", len(t.ledger("", 0))+len(t.ledger("", -1))+len(t.outbox(0, 0))+len(t.outbox(0, -1)), 0)
	}},
	{"reading after what is no ledger id is invalid", func(t *trial) {
		for _, id := range []protocol.LedgerID{"x", "-", "1", "1-", "-1", "1-x", "1-1-1", " 1-1", "01-1"} {
			if _, err := t.Store.Ledger(t.Context(), t.p, id, 1); !errors.Is(err, protocol.ErrInvalid) {
				t.Fatalf("after %q: %v", id, err)
			}
		}
	}},
	{"a commit without events writes no record", func(t *trial) {
		t.put("run/1", 1, "x")
		if got := t.ledger("", many); len(got) != 0 {
			t.Fatalf("%+v", got)
		}
	}},
}

var waiting = []test{
	{"what was emitted waits until it is struck", func(t *trial) {
		a, b, c := t.emit("a"), t.emit("b"), t.emit("c")
		t.equal("outbox", ids(t.outbox(0, many)), []string{"a", "b", "c"})
		t.commit(protocol.Commit{Struck: []protocol.LedgerID{b}})
		t.equal("one struck", ids(t.outbox(0, many)), []string{"a", "c"})
		r := t.commit(protocol.Commit{Struck: []protocol.LedgerID{a, c}, Emitted: t.envelopes("d")})
		t.equal("all struck", ids(t.outbox(0, many)), []string{"d"})
		t.commit(protocol.Commit{Struck: []protocol.LedgerID{a, r.Record, b, r.Record, "1-1"}})
		t.equal("struck again", len(t.outbox(0, many)), 0)
		t.equal("ledger", ids(t.ledger("", many)), []string{"a", "b", "c", "d"})
	}},
	{"what was only absorbed does not wait", func(t *trial) {
		t.commit(protocol.Commit{Absorbed: t.envelopes("a")})
		t.equal("outbox", len(t.outbox(0, many)), 0)
	}},
	{"a record waits whole", func(t *trial) {
		t.commit(protocol.Commit{Absorbed: t.envelopes("a"), Emitted: t.envelopes("b", "c")})
		if got, want := t.outbox(0, many), t.ledger("", many); !slices.Equal(ids(got), ids(want)) || got[0].ID != want[0].ID || got[0].At != want[0].At {
			t.Fatalf("%+v, ledger %+v", got, want)
		}
	}},
	{"age holds back what is younger", func(t *trial) {
		t.emit("a")
		if got := t.outbox(time.Hour, many); len(got) != 0 {
			t.Fatalf("an hour old: %v", ids(got))
		}
		t.Pass(t.T, 20*time.Millisecond)
		t.equal("20ms old", ids(t.outbox(20*time.Millisecond, many)), []string{"a"})
	}},
	{"strikes are of one partition", func(t *trial) {
		a := t.emit("a")
		t.commit(protocol.Commit{Partition: t.p + "/other", Struck: []protocol.LedgerID{a}})
		t.equal("outbox", ids(t.outbox(0, many)), []string{"a"})
	}},
}

// prune calls Prune until it has surely gone round.
func (t *trial) prune(horizon time.Duration) int {
	t.Helper()
	sum := 0
	for range 10 {
		n, err := t.Store.Prune(t.Context(), t.p, horizon)
		if err != nil {
			t.Fatalf("prune: %v", err)
		}
		sum += n
	}
	return sum
}

var pruning = []test{
	{"what is older than the horizon is forgotten", func(t *trial) {
		c := protocol.Commit{Inbox: "test/1", Emitted: t.envelopes("struck")}
		struck := t.commit(c).Record
		t.commit(protocol.Commit{Inbox: "test/2", Absorbed: t.envelopes("absorbed"), Struck: []protocol.LedgerID{struck}})
		t.equal("within the horizon", t.prune(time.Hour), 0)
		t.Pass(t.T, 5*time.Millisecond)
		t.equal("forgotten", t.prune(time.Millisecond), 4)
		t.equal("ledger", len(t.ledger("", many)), 0)
		if r := t.commit(c); r.Duplicate {
			t.Fatal("the inbox still knows it")
		}
	}},
	{"what waits in the outbox stays", func(t *trial) {
		t.emit("a")
		t.commit(protocol.Commit{Absorbed: t.envelopes("b")})
		t.emit("c")
		t.Pass(t.T, 5*time.Millisecond)
		t.equal("forgotten", t.prune(time.Millisecond), 1)
		t.equal("ledger", ids(t.ledger("", many)), []string{"a", "c"})
		t.equal("outbox", ids(t.outbox(0, many)), []string{"a", "c"})
	}},
	{"documents, due entries and queue stay", func(t *trial) {
		t.furnish()
		before := t.dump()
		t.Pass(t.T, 5*time.Millisecond)
		t.prune(0)
		t.same(before)
	}},
	{"a call does not forget without bound, and calls get to the end", func(t *trial) {
		const n = 1500
		for i := range n / 4 {
			t.commit(protocol.Commit{Inbox: fmt.Sprint("test/", i), Absorbed: t.envelopes("x")})
		}
		t.Pass(t.T, 5*time.Millisecond)
		forgotten, calls := 0, 0
		for ; forgotten < n/2 && calls < n; calls++ {
			pruned, err := t.Store.Prune(t.Context(), t.p, time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			forgotten += pruned
		}
		if forgotten != n/2 || calls < 2 {
			t.Fatalf("%d forgotten in %d calls, want %d in a few", forgotten, calls, n/2)
		}
	}},
	{"an empty partition has nothing to forget", func(t *trial) {
		t.equal("forgotten", t.prune(0), 0)
	}},
	{"the ledger goes on after everything was forgotten", func(t *trial) {
		last := t.emit("a")
		t.commit(protocol.Commit{Struck: []protocol.LedgerID{last}})
		t.Pass(t.T, 5*time.Millisecond)
		t.prune(time.Millisecond)
		next := t.emit("b")
		got := t.ledger(last, many)
		if len(got) != 1 || got[0].ID != next || next == last {
			t.Fatalf("after %s: %+v", last, got)
		}
	}},
}
