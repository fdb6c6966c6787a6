// Package protocoltest is what every protocol.Store must pass: a test for each
// sentence of the port's comments, and random commands under which two stores
// must not be told apart.
package protocoltest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// Fixture is a store under test.
type Fixture struct {
	// Store may have been used before: tests keep to partitions of their own.
	Store protocol.Store
	// Pass lets at least d go by on the store's clock; d is a few milliseconds.
	Pass func(t *testing.T, d time.Duration)
}

// Suite tries the store that open gives, in a subtest per promise of the port.
func Suite(t *testing.T, open func(t *testing.T) Fixture) {
	groups := []struct {
		name  string
		tests []test
	}{
		{"load", loading},
		{"put", putting},
		{"judge", judging},
		{"inbox", remembering},
		{"ledger", recording},
		{"outbox", waiting},
		{"due", falling},
		{"queue", queueing},
		{"prune", pruning},
		{"partitions", listing},
		{"limits", limits},
		{"concurrent", racing},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for _, one := range g.tests {
				t.Run(one.name, func(t *testing.T) {
					f := open(t)
					one.run(&trial{T: t, Fixture: f, p: protocol.GroupPartition(t.Name())})
				})
			}
		})
	}
}

// test is one promise.
type test struct {
	name string
	run  func(*trial)
}

// trial is a store with a partition to try it on.
type trial struct {
	*testing.T
	Fixture
	p protocol.Partition
}

// commit must succeed.
func (t *trial) commit(c protocol.Commit) protocol.Receipt {
	t.Helper()
	if c.Partition == "" {
		c.Partition = t.p
	}
	r, err := t.Store.Commit(t.Context(), c)
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	return r
}

// refused must be refused with want, and change nothing.
func (t *trial) refused(c protocol.Commit, want error) {
	t.Helper()
	if c.Partition == "" {
		c.Partition = t.p
	}
	before := t.dump()
	r, err := t.Store.Commit(t.Context(), c)
	if !errors.Is(err, want) {
		t.Fatalf("commit: receipt %+v, error %v, want %v", r, err, want)
	}
	t.same(before)
}

// same fails where the partition is not as it was.
func (t *trial) same(before string) {
	t.Helper()
	if after := t.dump(); after != before {
		t.Fatalf("the partition changed from\n%s\nto\n%s", before, after)
	}
}

func (t *trial) load(ids ...protocol.DocID) []protocol.Doc {
	t.Helper()
	docs, _, err := t.Store.Load(t.Context(), t.p, ids...)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return docs
}

func (t *trial) moment() protocol.Moment {
	t.Helper()
	_, m, err := t.Store.Load(t.Context(), t.p)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return m
}

// put writes a document at the version given.
func (t *trial) put(id protocol.DocID, version uint64, body string) {
	t.Helper()
	t.commit(protocol.Commit{Puts: []protocol.Doc{doc(id, version, body)}})
}

// emit commits one record that emits events with these ids.
func (t *trial) emit(ids ...string) protocol.LedgerID {
	t.Helper()
	return t.commit(protocol.Commit{Emitted: t.envelopes(ids...)}).Record
}

func doc(id protocol.DocID, version uint64, body string) protocol.Doc {
	return protocol.Doc{ID: id, Version: version, Body: []byte(body)}
}

// envelopes makes events of the store's present.
func (t *trial) envelopes(ids ...string) []events.Envelope {
	t.Helper()
	return envelopes(t.T, t.moment().Now, ids...)
}

func envelopes(t testing.TB, at time.Time, ids ...string) []events.Envelope {
	t.Helper()
	list := make([]events.Envelope, len(ids))
	for i, id := range ids {
		e, err := events.New(id, "/relevo/test", "cause of "+id, at, events.RunCancelled{
			RunRef: events.RunRef{Run: events.RunID("run of " + id)},
		})
		if err != nil {
			t.Fatal(err)
		}
		e.Sequence = uint64(i + 1)
		list[i] = e
	}
	return list
}

// many is more than any test writes.
const many = 10_000

// kinds are those of the documents that the tests write.
var kinds = []string{"run", "job", "node", "", "odd"}

// dump writes down all that the port shows of the trial's partition.
func (t *trial) dump() string {
	t.Helper()
	return dump(t.T, t.Store, t.p, func(id protocol.LedgerID) string { return string(id) })
}

func dump(t testing.TB, s protocol.Store, p protocol.Partition, name func(protocol.LedgerID) string) string {
	t.Helper()
	ctx := t.Context()
	out := ""
	fail := func(err error) {
		if err != nil {
			t.Fatalf("dump: %v", err)
		}
	}
	for _, kind := range kinds {
		docs, err := s.List(ctx, p, kind)
		fail(err)
		for _, d := range docs {
			out += fmt.Sprintf("doc %q %d %q\n", d.ID, d.Version, d.Body)
		}
	}
	members, length, err := s.Head(ctx, p, many)
	fail(err)
	out += fmt.Sprintf("queue %d %q\n", length, members)
	due, next, err := s.Overdue(ctx, []protocol.Partition{p}, many)
	fail(err)
	out += fmt.Sprintf("next %d\n", next.UnixMilli())
	for _, d := range due {
		out += fmt.Sprintf("due %q %d\n", d.Name, d.At.UnixMilli())
	}
	ledger, err := s.Ledger(ctx, p, "", many)
	fail(err)
	for _, r := range ledger {
		out += "ledger " + describe(r, name)
	}
	outbox, err := s.Outbox(ctx, p, 0, many)
	fail(err)
	for _, r := range outbox {
		out += "outbox " + describe(r, name)
	}
	return out
}

func describe(r protocol.Record, name func(protocol.LedgerID) string) string {
	return fmt.Sprintf("%s %s -> %s\n", name(r.ID), text(r.Absorbed), text(r.Emitted))
}

// text writes events down to the last attribute.
func text(list []events.Envelope) string {
	out := ""
	for _, e := range list {
		json, err := e.MarshalJSON()
		if err != nil {
			return err.Error()
		}
		out += string(json) + ";"
	}
	return out
}

// ids are the ids of the events of records, in order.
func ids(records []protocol.Record) []string {
	var list []string
	for _, r := range records {
		for _, e := range slices.Concat(r.Absorbed, r.Emitted) {
			list = append(list, e.ID)
		}
	}
	return list
}

func (t *trial) equal(what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprintf("%q", got), fmt.Sprintf("%q", want); g != w {
		t.Fatalf("%s: %s, want %s", what, g, w)
	}
}
