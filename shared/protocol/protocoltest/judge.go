package protocoltest

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// everything is a commit that writes to all there is; the trial has run/1 at 1.
func (t *trial) everything() protocol.Commit {
	t.Helper()
	struck := t.emit("struck by everything")
	now := t.moment().Now
	return protocol.Commit{
		Inbox:    "test/everything",
		Checks:   []protocol.Doc{{ID: "run/1", Version: 1}},
		Puts:     []protocol.Doc{doc("run/1", 2, "changed"), doc("job/1", 1, "new"), {ID: "node/1", Version: 2}},
		Due:      []protocol.Due{{Name: "run/1", At: now.Add(time.Hour)}, {Name: "run/2", At: now.Add(-time.Hour)}, {Name: "run/3"}},
		Queue:    []protocol.QueueOp{{Member: "a", Score: 1}, {Member: "there", Remove: true}},
		Absorbed: t.envelopes("cause"), Emitted: t.envelopes("effect"),
		Struck: []protocol.LedgerID{struck},
	}
}

// furnish writes what everything changes.
func (t *trial) furnish() {
	t.Helper()
	now := t.moment().Now
	t.commit(protocol.Commit{
		Puts:  []protocol.Doc{doc("run/1", 1, "first"), doc("node/1", 1, "first")},
		Due:   []protocol.Due{{Name: "run/1", At: now.Add(-time.Minute)}, {Name: "run/3", At: now.Add(time.Minute)}},
		Queue: []protocol.QueueOp{{Member: "there", Score: 5}},
	})
}

// refusal is a commit of everything with one flaw: it must be refused, leave
// everything as it was, and not be remembered.
func refusal(name string, want error, spoil func(t *trial, c *protocol.Commit)) test {
	return test{name, func(t *trial) {
		t.furnish()
		c := t.everything()
		good := c
		good.Emitted = slices.Clone(c.Emitted)
		spoil(t, &c)
		t.refused(c, want)
		if r := t.commit(good); r.Duplicate {
			t.Fatal("the refused commit was remembered")
		}
		t.equal("documents", t.load("run/1", "job/1", "node/1"),
			[]protocol.Doc{doc("run/1", 2, "changed"), doc("job/1", 1, "new"), {ID: "node/1"}})
	}}
}

func old(t *trial) []events.Envelope {
	return envelopes(t.T, t.moment().Now.Add(-protocol.Horizon-time.Minute), "cause")
}

var judging = []test{
	refusal("a check of an older version conflicts", protocol.ErrConflict, func(_ *trial, c *protocol.Commit) {
		c.Checks = []protocol.Doc{{ID: "run/1", Version: 0}}
	}),
	refusal("a check of a newer version conflicts", protocol.ErrConflict, func(_ *trial, c *protocol.Commit) {
		c.Checks = []protocol.Doc{{ID: "run/1", Version: 11}}
	}),
	refusal("a check of what is not there conflicts", protocol.ErrConflict, func(_ *trial, c *protocol.Commit) {
		c.Checks = append(c.Checks, protocol.Doc{ID: "job/none", Version: 1})
	}),
	refusal("the last check counts too", protocol.ErrConflict, func(_ *trial, c *protocol.Commit) {
		c.Checks = append(c.Checks, protocol.Doc{ID: "job/none"}, protocol.Doc{ID: "run/1", Version: 2})
	}),
	refusal("a put of the stored version conflicts", protocol.ErrConflict, func(_ *trial, c *protocol.Commit) {
		c.Puts = []protocol.Doc{doc("job/1", 1, "new"), doc("run/1", 1, "x")}
	}),
	refusal("a put that leaves a version out conflicts", protocol.ErrConflict, func(_ *trial, c *protocol.Commit) {
		c.Puts = []protocol.Doc{doc("job/1", 1, "new"), doc("run/1", 3, "x")}
	}),
	refusal("a put of version 0 conflicts", protocol.ErrConflict, func(_ *trial, c *protocol.Commit) {
		c.Puts = []protocol.Doc{doc("job/1", 0, "new")}
	}),
	refusal("a delete of another version conflicts", protocol.ErrConflict, func(_ *trial, c *protocol.Commit) {
		c.Puts = []protocol.Doc{{ID: "run/1", Version: 1}}
	}),
	refusal("another epoch conflicts", protocol.ErrConflict, func(t *trial, c *protocol.Commit) {
		c.Epoch = t.moment().Epoch + 1
	}),
	refusal("a cause older than the horizon is too old", protocol.ErrTooOld, func(t *trial, c *protocol.Commit) {
		c.Absorbed = old(t)
	}),
	refusal("too old goes before conflicts", protocol.ErrTooOld, func(t *trial, c *protocol.Commit) {
		c.Absorbed, c.Epoch, c.Checks = old(t), t.moment().Epoch+1, []protocol.Doc{{ID: "run/1", Version: 9}}
	}),
	refusal("a document put twice is invalid", protocol.ErrInvalid, func(_ *trial, c *protocol.Commit) {
		c.Puts = append(c.Puts, doc("job/1", 2, "again"))
	}),
	refusal("a score that is no number is invalid", protocol.ErrInvalid, func(_ *trial, c *protocol.Commit) {
		c.Queue = append(c.Queue, protocol.QueueOp{Member: "nan", Score: math.NaN()})
	}),
	refusal("an event without an id is invalid", protocol.ErrInvalid, func(t *trial, c *protocol.Commit) {
		c.Emitted = t.envelopes("")
	}),
	refusal("an event with data that is no JSON is invalid", protocol.ErrInvalid, func(_ *trial, c *protocol.Commit) {
		c.Emitted[0].Data = []byte(`{"run":`)
	}),
	refusal("an event that is not UTF-8 is invalid", protocol.ErrInvalid, func(_ *trial, c *protocol.Commit) {
		c.Emitted[0].Subject = "run/\xff"
	}),
	refusal("an event of the year 10000 is invalid", protocol.ErrInvalid, func(_ *trial, c *protocol.Commit) {
		c.Emitted[0].Time = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
	}),
	refusal("a strike of what is no ledger id is invalid", protocol.ErrInvalid, func(_ *trial, c *protocol.Commit) {
		c.Struck = append(c.Struck, "no id")
	}),
	{"a commit without a partition is invalid", func(t *trial) {
		if _, err := t.Store.Commit(t.Context(), protocol.Commit{}); !errors.Is(err, protocol.ErrInvalid) {
			t.Fatal(err)
		}
	}},
	{"the epoch of the moment is good", func(t *trial) {
		t.commit(protocol.Commit{Epoch: t.moment().Epoch, Puts: []protocol.Doc{doc("run/1", 1, "x")}})
		t.equal("document", t.load("run/1"), []protocol.Doc{doc("run/1", 1, "x")})
	}},
	{"a check looks at the version alone", func(t *trial) {
		t.put("run/1", 1, "x")
		t.commit(protocol.Commit{Checks: []protocol.Doc{doc("run/1", 1, "another body")}})
	}},
	{"a repeated put without an inbox conflicts", func(t *trial) {
		t.put("run/1", 1, "x")
		t.refused(protocol.Commit{Puts: []protocol.Doc{doc("run/1", 1, "x")}}, protocol.ErrConflict)
	}},
	{"without an inbox no cause is too old", func(t *trial) {
		t.commit(protocol.Commit{Absorbed: old(t)})
	}},
	{"a context that is over commits nothing", func(t *trial) {
		t.furnish()
		c := t.everything()
		c.Partition = t.p
		before := t.dump()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := t.Store.Commit(ctx, c)
		if !errors.Is(err, context.Canceled) || errors.Is(err, protocol.ErrConflict) {
			t.Fatal(err)
		}
		t.same(before)
	}},
}
