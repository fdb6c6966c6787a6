package protocoltest

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// Equivalence gives two stores the same random commands: their answers and what
// they hold in the end must be equal, ledger ids and times of recording apart.
func Equivalence(t *testing.T, one, other func(t *testing.T) Fixture) {
	a, b := one(t).Store, other(t).Store
	var runs atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		base := protocol.GroupPartition(fmt.Sprint(t.Name(), "/", runs.Add(1)))
		p := &pair{
			T: rt, outer: t, stores: [2]protocol.Store{a, b}, ps: []protocol.Partition{base, base + "/2"},
			known: map[protocol.Partition][][2]protocol.LedgerID{},
		}
		for i := range p.ordinals {
			p.ordinals[i] = map[record]int{}
		}
		for range rapid.IntRange(1, 40).Draw(rt, "commands") {
			rapid.SampledFrom(commands).Draw(rt, "command")(p)
		}
		for _, ps := range p.ps {
			p.both("dump", func(i int) string { return dump(t, p.stores[i], ps, p.name(i, ps)) })
		}
	})
}

// pair is two stores that should not be told apart.
type pair struct {
	*rapid.T
	outer    *testing.T
	stores   [2]protocol.Store
	ps       []protocol.Partition
	ordinals [2]map[record]int                             // what the records of each store are called
	known    map[protocol.Partition][][2]protocol.LedgerID // records that both wrote
}

// record names one in all partitions: ledger ids are of one partition.
type record struct {
	partition protocol.Partition
	id        protocol.LedgerID
}

// both runs f on each store and fails where the answers differ.
func (p *pair) both(what string, f func(i int) string) {
	first, second := f(0), f(1)
	if first != second {
		p.Fatalf("%s: one answers\n%s\nthe other\n%s", what, first, second)
	}
}

// name gives a ledger id a name that is the same for both stores.
func (p *pair) name(i int, at protocol.Partition) func(protocol.LedgerID) string {
	return func(id protocol.LedgerID) string {
		if id == "" {
			return "-"
		}
		n, ok := p.ordinals[i][record{at, id}]
		if !ok {
			n = len(p.ordinals[i])
			p.ordinals[i][record{at, id}] = n
		}
		return fmt.Sprint("#", n)
	}
}

// kindOf names the sentinel in an error.
func kindOf(err error) string {
	for _, known := range []error{protocol.ErrConflict, protocol.ErrTooOld, protocol.ErrInvalid} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return fmt.Sprint(err)
}

func (p *pair) partition() protocol.Partition { return rapid.SampledFrom(p.ps).Draw(p.T, "partition") }

func (p *pair) docID() protocol.DocID {
	return rapid.SampledFrom([]protocol.DocID{"run/1", "run/2", "job/1", "odd/\xff|", "node"}).Draw(p.T, "document")
}

// ages are so far from now that no delay between the stores counts.
var ages = []time.Duration{-time.Hour, 0, time.Hour}

var commands = []func(*pair){
	(*pair).commitRandom, (*pair).commitRandom, (*pair).commitRandom, (*pair).commitRandom,
	func(p *pair) {
		at, ids := p.partition(), rapid.SliceOfN(rapid.Custom(func(*rapid.T) protocol.DocID { return p.docID() }), 0, 4).Draw(p.T, "documents")
		p.both("load", func(i int) string {
			docs, m, err := p.stores[i].Load(p.outer.Context(), at, ids...)
			return describeDocs(docs, err) + fmt.Sprint(m.Epoch)
		})
	},
	func(p *pair) {
		at, kind := p.partition(), rapid.SampledFrom(kinds).Draw(p.T, "kind")
		p.both("list", func(i int) string {
			docs, err := p.stores[i].List(p.outer.Context(), at, kind)
			return describeDocs(docs, err)
		})
	},
	func(p *pair) {
		at, n := p.partition(), rapid.IntRange(-1, 6).Draw(p.T, "n")
		p.both("head", func(i int) string {
			members, length, err := p.stores[i].Head(p.outer.Context(), at, n)
			return fmt.Sprintf("%q %d %v", members, length, err)
		})
	},
	func(p *pair) {
		n := rapid.IntRange(-1, 6).Draw(p.T, "n")
		p.both("overdue", func(i int) string {
			due, next, err := p.stores[i].Overdue(p.outer.Context(), p.ps, n)
			out := fmt.Sprintf("%v %d\n", err, next.UnixMilli())
			for _, d := range due {
				out += fmt.Sprintf("%s %q %d\n", d.Partition, d.Name, d.At.UnixMilli())
			}
			return out
		})
	},
	func(p *pair) {
		at, n, age := p.partition(), rapid.IntRange(-1, 6).Draw(p.T, "n"), rapid.SampledFrom(ages).Draw(p.T, "age")
		p.both("outbox", func(i int) string {
			records, err := p.stores[i].Outbox(p.outer.Context(), at, age, n)
			return p.describe(i, at, records, err)
		})
	},
	func(p *pair) {
		at, n := p.partition(), rapid.IntRange(-1, 6).Draw(p.T, "n")
		after := p.record(at)
		p.both("ledger", func(i int) string {
			records, err := p.stores[i].Ledger(p.outer.Context(), at, after[i], n)
			return p.describe(i, at, records, err)
		})
	},
	func(p *pair) {
		at, horizon := p.partition(), rapid.SampledFrom([]time.Duration{-time.Hour, time.Hour}).Draw(p.T, "horizon")
		p.both("prune", func(i int) string {
			n, err := p.stores[i].Prune(p.outer.Context(), at, horizon)
			return fmt.Sprint(n, err)
		})
	},
}

func (p *pair) describe(i int, at protocol.Partition, records []protocol.Record, err error) string {
	out := fmt.Sprintln(err)
	for _, r := range records {
		out += describe(r, p.name(i, at))
	}
	return out
}

func describeDocs(docs []protocol.Doc, err error) string {
	out := fmt.Sprintln(err)
	for _, d := range docs {
		out += fmt.Sprintf("%q %d %q %t\n", d.ID, d.Version, d.Body, d.Body == nil)
	}
	return out
}

// record gives the ids of a record that was written to a partition, or none.
func (p *pair) record(at protocol.Partition) [2]protocol.LedgerID {
	return rapid.SampledFrom(append([][2]protocol.LedgerID{{}}, p.known[at]...)).Draw(p.T, "record")
}

func (p *pair) commitRandom() {
	c := p.randomCommit()
	var struck [][2]protocol.LedgerID
	for range rapid.IntRange(0, 2).Draw(p.T, "strikes") {
		if r := p.record(c.Partition); r[0] != "" {
			struck = append(struck, r)
		}
	}
	var written [2]protocol.LedgerID
	p.both("commit", func(i int) string {
		mine := c
		for _, s := range struck {
			mine.Struck = append(mine.Struck, s[i])
		}
		r, err := p.stores[i].Commit(p.outer.Context(), mine)
		written[i] = r.Record
		return fmt.Sprint(kindOf(err), r.Duplicate, p.name(i, c.Partition)(r.Record), text(r.Emitted))
	})
	if written[0] != "" {
		p.known[c.Partition] = append(p.known[c.Partition], written)
	}
}

func (p *pair) randomCommit() protocol.Commit {
	c := protocol.Commit{
		Partition: p.partition(),
		Inbox:     rapid.SampledFrom([]string{"", "", "f/1", "f/2", "f/3", "g/1"}).Draw(p.T, "inbox"),
		Absorbed:  p.randomEvents("absorbed"), Emitted: p.randomEvents("emitted"),
	}
	if rapid.IntRange(0, 9).Draw(p.T, "epoch") == 0 {
		c.Epoch = 1 << 31
	}
	for range rapid.IntRange(0, 2).Draw(p.T, "checks") {
		c.Checks = append(c.Checks, p.versioned(c.Partition, 0))
	}
	for range rapid.IntRange(0, 3).Draw(p.T, "puts") {
		d := p.versioned(c.Partition, 1)
		d.Body = rapid.SampledFrom([][]byte{nil, {}, []byte("x"), []byte("1|\x00\xff"), []byte(strings.Repeat("y", 100))}).Draw(p.T, "body")
		c.Puts = append(c.Puts, d)
	}
	for range rapid.IntRange(0, 2).Draw(p.T, "dues") {
		at := rapid.SampledFrom([]int64{0, 1, 1_000_000_000, 1_000_000_001, 7_000_000_000, 7_000_000_001}).Draw(p.T, "at")
		d := protocol.Due{Name: rapid.SampledFrom([]string{"a", "b", "c/d"}).Draw(p.T, "aggregate")}
		if at > 0 {
			d.At = time.Unix(at, 0)
		}
		c.Due = append(c.Due, d)
	}
	for range rapid.IntRange(0, 2).Draw(p.T, "queued") {
		c.Queue = append(c.Queue, protocol.QueueOp{
			Member: rapid.SampledFrom([]string{"a", "b", "c", "\xff"}).Draw(p.T, "member"),
			Score:  rapid.SampledFrom([]float64{-1, 0, 0.1, 1, 1e18}).Draw(p.T, "score"),
			Remove: rapid.IntRange(0, 3).Draw(p.T, "remove") == 0,
		})
	}
	return c
}

// versioned gives a document with its stored version plus ahead, or, seldom, a
// wrong one.
func (p *pair) versioned(at protocol.Partition, ahead uint64) protocol.Doc {
	id := p.docID()
	if rapid.IntRange(0, 9).Draw(p.T, "wrong") == 0 {
		return protocol.Doc{ID: id, Version: rapid.Uint64Range(0, 3).Draw(p.T, "version")}
	}
	docs, _, err := p.stores[0].Load(p.outer.Context(), at, id)
	if err != nil {
		p.Fatalf("load: %v", err)
	}
	return protocol.Doc{ID: id, Version: docs[0].Version + ahead}
}

func (p *pair) randomEvents(label string) []events.Envelope {
	var list []events.Envelope
	for i := range rapid.IntRange(0, 2).Draw(p.T, label) {
		at := rapid.SampledFrom([]time.Time{{}, time.Unix(1_000_000_000, 123_456_789), time.Unix(7_000_000_000, 0)}).Draw(p.T, "time")
		e := envelopes(p.outer, at, fmt.Sprint(label, i, rapid.Byte().Draw(p.T, "id")))[0]
		list = append(list, e)
	}
	return list
}
