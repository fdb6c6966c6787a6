package protocoltest

import (
	"time"

	"github.com/relevo-ci/relevo/shared/protocol"
)

var remembering = []test{
	{"a second commit changes nothing and gets the first answer", func(t *trial) {
		t.furnish()
		c := t.everything()
		first := t.commit(c)
		if first.Duplicate || first.Record == "" || text(first.Emitted) != text(c.Emitted) {
			t.Fatalf("first: %+v", first)
		}
		before := t.dump()
		c.Emitted = t.envelopes("another effect", "and another")
		second := t.commit(c)
		if !second.Duplicate || second.Record != first.Record || text(second.Emitted) != text(first.Emitted) {
			t.Fatalf("second: %+v, first %+v", second, first)
		}
		t.same(before)
		t.equal("documents", t.load("run/1"), []protocol.Doc{doc("run/1", 2, "changed")})
	}},
	{"strikes of a duplicate do not count", func(t *trial) {
		t.commit(protocol.Commit{Inbox: "test/1"})
		waits := t.emit("waits")
		before := t.dump()
		t.commit(protocol.Commit{Inbox: "test/1", Struck: []protocol.LedgerID{waits}})
		t.same(before)
	}},
	{"a commit that wrote no record is remembered", func(t *trial) {
		c := protocol.Commit{Inbox: "test/1", Puts: []protocol.Doc{doc("run/1", 1, "x")}}
		t.commit(c)
		before := t.dump()
		if r := t.commit(c); !r.Duplicate || r.Record != "" || len(r.Emitted) != 0 {
			t.Fatalf("%+v", r)
		}
		t.same(before)
	}},
	{"a commit that only absorbed is remembered with its record", func(t *trial) {
		c := protocol.Commit{Inbox: "test/1", Absorbed: t.envelopes("cause")}
		first := t.commit(c)
		if second := t.commit(c); !second.Duplicate || second.Record == "" || second.Record != first.Record || len(second.Emitted) != 0 {
			t.Fatalf("%+v, first %+v", second, first)
		}
	}},
	{"an answer of many events comes back whole", func(t *trial) {
		c := protocol.Commit{Inbox: "test/1", Absorbed: t.envelopes("cause", "beside"), Emitted: t.envelopes("a", "b", "c")}
		t.commit(c)
		if r := t.commit(c); text(r.Emitted) != text(c.Emitted) {
			t.Fatalf("%s, want %s", text(r.Emitted), text(c.Emitted))
		}
	}},
	{"a duplicate is answered though its checks, epoch and age no longer hold", func(t *trial) {
		c := protocol.Commit{Inbox: "test/1", Puts: []protocol.Doc{doc("run/1", 1, "x")}, Emitted: t.envelopes("e")}
		first := t.commit(c)
		t.put("run/1", 2, "y")
		c.Epoch = t.moment().Epoch + 1
		c.Absorbed = old(t)
		if second := t.commit(c); !second.Duplicate || second.Record != first.Record {
			t.Fatalf("%+v", second)
		}
	}},
	{"a struck record still answers", func(t *trial) {
		c := protocol.Commit{Inbox: "test/1", Emitted: t.envelopes("e")}
		first := t.commit(c)
		t.commit(protocol.Commit{Struck: []protocol.LedgerID{first.Record}})
		if second := t.commit(c); text(second.Emitted) != text(c.Emitted) {
			t.Fatalf("%+v", second)
		}
	}},
	{"an inbox is of one partition and one function", func(t *trial) {
		t.commit(protocol.Commit{Inbox: "test/1"})
		if r := t.commit(protocol.Commit{Inbox: "test/2"}); r.Duplicate {
			t.Fatal("another event is a duplicate")
		}
		if r := t.commit(protocol.Commit{Inbox: "tester/1"}); r.Duplicate {
			t.Fatal("another function's is a duplicate")
		}
		if r := t.commit(protocol.Commit{Partition: t.p + "/other", Inbox: "test/1"}); r.Duplicate {
			t.Fatal("another partition's is a duplicate")
		}
	}},
	{"a commit without an inbox is not remembered", func(t *trial) {
		c := protocol.Commit{Emitted: t.envelopes("e")}
		if first, second := t.commit(c), t.commit(c); second.Duplicate || first.Record == second.Record {
			t.Fatalf("%+v after %+v", second, first)
		}
	}},
	{"a cause within the horizon is young enough", func(t *trial) {
		at := t.moment().Now.Add(-protocol.Horizon + time.Minute)
		if r := t.commit(protocol.Commit{Inbox: "test/1", Absorbed: envelopes(t.T, at, "cause")}); r.Duplicate {
			t.Fatalf("%+v", r)
		}
	}},
	{"only the first of the absorbed is the cause", func(t *trial) {
		absorbed := append(t.envelopes("cause"), old(t)...)
		t.commit(protocol.Commit{Inbox: "test/1", Absorbed: absorbed})
	}},
	{"a cause without a time has no age", func(t *trial) {
		absorbed := t.envelopes("cause")
		absorbed[0].Time = time.Time{}
		t.commit(protocol.Commit{Inbox: "test/1", Absorbed: absorbed})
	}},
}
