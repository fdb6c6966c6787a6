package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// auditor holds the safety properties S1–S10 after every event, by reading the
// ledgers as they grow and replaying them beside the stored state, and what
// liveness rests on: that whatever waits has a due entry, and that nothing waits
// that could go on. It keeps its own tables and counts: a check that asked the
// code under test would believe it.
type auditor struct {
	w     *World
	fault string // the first property that broke

	runs      map[events.RunID]*watched
	groups    map[protocol.Partition]*watchedGroup
	pool      *scheduling.Pool
	poolAt    protocol.LedgerID
	sequences map[string]uint64
	used      map[events.OfferID]bool
	nodeOf    map[events.AssignmentID]events.NodeID
	workers   map[string]string      // nonces of agents by digest
	heard     map[string]time.Time   // last report that counted, by attempt
	ids       map[string]string      // what a published id stands for
	told      map[string]bool        // ids ever published
	sent      map[string]int64       // how much of its log a worker sent, by nonce
	emitted   map[string]events.Type // what the ledgers say was emitted
	arrived   map[string][]time.Time // events from outside that were acknowledged, by subject
	stale     map[string]time.Time   // since when a worker is of no live attempt
	rolled    time.Time              // the last restart that lost writes
	unheard   map[string]bool        // attempts whose worker's hello a restart lost
	rereading bool                   // the ledgers, after such a restart
	ticking   *process               // whose clock is at work
}

func newAuditor(w *World) *auditor {
	a := &auditor{
		w: w, runs: map[events.RunID]*watched{}, workers: map[string]string{}, heard: map[string]time.Time{},
		nodeOf: map[events.AssignmentID]events.NodeID{}, stale: map[string]time.Time{}, unheard: map[string]bool{},
		told: map[string]bool{}, sent: map[string]int64{}, arrived: map[string][]time.Time{},
	}
	a.reset()
	return a
}

// reset forgets what was read.
func (a *auditor) reset() {
	a.sequences, a.used = map[string]uint64{}, map[events.OfferID]bool{}
	a.groups, a.ids, a.emitted = map[protocol.Partition]*watchedGroup{}, map[string]string{}, map[string]events.Type{}
	a.poolAt = ""
	a.pool = scheduling.NewPool(
		scheduling.Root{ID: pool, Policy: scheduling.Policy{Fixed: a.w.fixed}},
		scheduling.Settings{OfferTTL: a.w.offerTTL})
}

func (a *auditor) fail(format string, args ...any) {
	if a.fault == "" {
		a.fault = fmt.Sprintf(format, args...)
		a.w.note("FAULT %s", a.fault)
	}
}

// accepted starts to watch a run that was acknowledged.
func (a *auditor) accepted(id events.RunID) {
	if a.runs[id] == nil {
		a.runs[id] = &watched{id: id}
		a.runs[id].clear()
		a.w.store.dirty[protocol.PartitionOf(id)] = true
	}
}

// rolledBack follows a restart that lost writes: what was read is read again,
// and a run that is not there any more was lost with them.
func (a *auditor) rolledBack() {
	a.rolled = a.w.now
	a.reset()
	dirty := a.w.store.dirty
	before := map[*watched]map[string]string{}
	for _, id := range sortedKeys(a.runs) {
		r := a.runs[id]
		before[r] = r.nonces
		r.clear()
		dirty[protocol.PartitionOf(id)] = true
		docs, _, _ := a.w.store.Store.Load(context.Background(), protocol.PartitionOf(id), protocol.DocID("run/"+id))
		if docs[0].Version == 0 {
			delete(a.runs, id)
			a.w.count("acknowledged run lost by the restart (allowed)")
		}
	}
	ps, _ := a.w.store.Store.Partitions(context.Background())
	for _, p := range ps[protocol.RunPartitions:] {
		dirty[p] = true
	}
	a.rereading = true
	a.after("restart")
	a.rereading = false
	for r, nonces := range before {
		for key := range nonces {
			a.unheard[key] = a.unheard[key] || r.nonces[key] == ""
		}
	}
}

// after is called after every event; it reads what was committed since.
func (a *auditor) after(function string) {
	dirty := a.w.store.dirty
	if a.fault != "" {
		return
	}
	if len(dirty) > 0 {
		for _, id := range sortedKeys(a.runs) {
			if dirty[protocol.PartitionOf(id)] {
				a.readRun(function, a.runs[id])
			}
		}
		for _, p := range sortedKeys(dirty) {
			if p == protocol.PoolPartition(pool) {
				a.readPool(function)
			} else if strings.HasPrefix(string(p), "group:") {
				a.readGroup(function, p)
			}
			a.dueEntries(p)
		}
		a.exclusive()
		clear(dirty)
	}
	a.physical(function)
}

// read goes through the new records of a partition: take is called for each
// event, done after each record of which one was mine.
func (a *auditor) read(p protocol.Partition, at *protocol.LedgerID, mine func(e events.Envelope) bool, take func(r protocol.Record, e events.Envelope), done func(r protocol.Record)) {
	records, err := a.w.store.Store.Ledger(context.Background(), p, *at, 1000)
	if err != nil {
		a.fail("S7: ledger: %v", err)
		return
	}
	for _, r := range records {
		*at = r.ID
		touched := false
		for _, e := range r.Absorbed {
			if mine(e) && a.fault == "" {
				touched = true
				take(r, e)
			}
		}
		for _, e := range r.Emitted {
			if mine(e) && a.fault == "" {
				touched = true
				a.emitted[e.ID] = e.Type
				a.sequence(e)
				take(r, e)
			}
		}
		if touched && a.fault == "" {
			done(r)
		}
	}
}

// sequence holds part of S5: sequences strictly rise within a subject.
func (a *auditor) sequence(e events.Envelope) {
	if e.Sequence == 0 {
		return // not an aggregate of this partition
	}
	if last, ok := a.sequences[e.Subject]; ok && e.Sequence <= last {
		a.fail("S5: sequence of %s went from %d to %d", e.Subject, last, e.Sequence)
	}
	a.sequences[e.Subject] = e.Sequence
}

// published holds that an id stands for one event.
func (a *auditor) published(e events.Envelope) {
	what := string(e.Type) + " " + e.Subject
	if first, ok := a.ids[e.ID]; ok && first != what {
		a.fail("S7: the id %s stands for %s and for %s", e.ID, first, what)
	}
	a.ids[e.ID], a.told[e.ID] = what, true
}

// dueEntries holds that every aggregate of a partition that is not final, and
// no other, has a due entry, and one that is not too far away: a clock alone
// must be able to finish every run.
func (a *auditor) dueEntries(p protocol.Partition) {
	if a.fault != "" {
		return
	}
	now := a.w.now
	a.w.now = now.Add(1000 * time.Hour)
	due, _, err := a.w.store.Store.Overdue(context.Background(), []protocol.Partition{p}, 1<<20)
	a.w.now = now
	if err != nil {
		a.fail("L1: due entries: %v", err)
		return
	}
	if isFront(p) {
		a.frontDues(p, due)
		return
	}
	want := map[string]time.Duration{}
	a.wantedDues(p, want)
	got := map[string]bool{}
	for _, d := range due {
		most, ok := want[d.Name]
		switch {
		case !ok && a.strange(d.Name):
		case !ok:
			a.fail("L4: %s is done and still has a due entry", d.Name)
		case d.At.Sub(now) > most:
			a.fail("L2: %s is looked at only in %s", d.Name, d.At.Sub(now))
		}
		got[d.Name] = true
	}
	for _, name := range sortedKeys(want) {
		if !got[name] {
			a.fail("L1: %s waits without a due entry: nothing would wake it", name)
		}
	}
}

// strange tells that a due entry is of a run that nobody was promised.
func (a *auditor) strange(name string) bool {
	rest, ok := strings.CutPrefix(name, "run/")
	if !ok {
		return false
	}
	id, _, _ := strings.Cut(rest, "/")
	return a.runs[events.RunID(id)] == nil
}

// wantedDues says what must have a due entry, and how far away at most.
func (a *auditor) wantedDues(p protocol.Partition, want map[string]time.Duration) {
	const nudge = 10 * time.Minute
	if p == protocol.PoolPartition(pool) {
		for id := range a.pool.Queue {
			want[events.OfferRef{Pool: pool, Offer: id}.Subject()] = a.w.offerTTL
		}
		for id := range a.pool.Held {
			want[events.AssignmentRef{Pool: pool, Assignment: id}.Subject()] = nudge
		}
		return
	}
	if g := a.groups[p]; g != nil && g.occupied {
		want[events.GroupRef{Group: g.name}.Subject()] = nudge
	}
	for id, r := range a.runs {
		if protocol.PartitionOf(id) == p {
			r.wantedDues(want, nudge)
		}
	}
}

func decode[T events.Data](a *auditor, e events.Envelope) T {
	d, err := events.Decode[T](e)
	if err != nil {
		a.fail("S7: decode: %v", err)
	}
	return d.Data
}
