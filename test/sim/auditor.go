package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// auditor holds the safety properties S1–S9 after every event, by reading the
// ledgers as they grow and replaying them beside the stored state.
type auditor struct {
	w     *World
	fault string // the first property that broke

	runs      map[events.RunID]*watched
	groups    map[string]bool
	pool      *scheduling.Pool
	poolAt    protocol.LedgerID
	sequences map[string]uint64
	used      map[events.OfferID]bool
	nodeOf    map[events.AssignmentID]events.NodeID
	twins     map[events.WorkerID]bool
	ids       map[string]string // what an event id stands for
	rolled    bool              // a restart lost writes: orphans may run until swept
	rereading bool              // the ledgers, after such a restart
}

// watched is a run as its ledger tells it.
type watched struct {
	id        events.RunID
	at        protocol.LedgerID
	shadow    *pipeline.Run
	fence     events.Fence // the highest ever seen, restarts included
	cancelled bool         // a cancel was acknowledged
	ended     map[events.JobKey]events.Type
	nonces    map[string]string // effective nonce by attempt
	ran       map[string]string // nonce whose hello was acknowledged, by attempt
}

func newAuditor(w *World) *auditor {
	a := &auditor{
		w: w, runs: map[events.RunID]*watched{}, groups: map[string]bool{},
		ids: map[string]string{}, twins: map[events.WorkerID]bool{}, nodeOf: map[events.AssignmentID]events.NodeID{},
	}
	a.reset()
	return a
}

func (a *auditor) reset() {
	a.sequences, a.used = map[string]uint64{}, map[events.OfferID]bool{}
	a.poolAt = ""
	a.pool = scheduling.NewPool(scheduling.Root{ID: pool, Policy: scheduling.Policy{Fixed: true}}, scheduling.Settings{OfferTTL: offerTTL})
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
	}
}

func (r *watched) clear() {
	r.at, r.shadow, r.cancelled = "", &pipeline.Run{}, false
	r.ended, r.nonces, r.ran = map[events.JobKey]events.Type{}, map[string]string{}, map[string]string{}
}

// rolledBack follows a restart that lost writes: what was read is read again,
// and a run that is not there any more was lost with them.
func (a *auditor) rolledBack() {
	a.rolled = true
	a.reset()
	for _, id := range sortedKeys(a.runs) {
		r := a.runs[id]
		r.clear()
		docs, _, _ := a.w.store.Store.Load(context.Background(), protocol.PartitionOf(id), protocol.DocID("run/"+id))
		if docs[0].Version == 0 {
			delete(a.runs, id)
			a.w.count("acknowledged run lost by the restart (allowed)")
		}
	}
	a.rereading = true
	a.after("restart")
	a.rereading = false
}

// after is called after every event.
func (a *auditor) after(function string) {
	if a.fault != "" {
		return
	}
	for _, id := range sortedKeys(a.runs) {
		a.readRun(function, a.runs[id])
	}
	a.readPool(function)
}

func (a *auditor) read(p protocol.Partition, at *protocol.LedgerID, mine func(e events.Envelope) bool, take func(r protocol.Record, e events.Envelope)) bool {
	records, err := a.w.store.Store.Ledger(context.Background(), p, *at, 1000)
	if err != nil {
		a.fail("ledger: %v", err)
		return false
	}
	changed := false
	for _, r := range records {
		*at = r.ID
		for _, e := range r.Absorbed {
			if mine(e) {
				changed = true
				take(r, e)
			}
		}
		for _, e := range r.Emitted {
			if mine(e) {
				changed = true
				a.sequence(e)
				take(r, e)
			}
		}
	}
	return changed
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

func (a *auditor) readRun(function string, r *watched) {
	p := protocol.PartitionOf(r.id)
	changed := a.read(p, &r.at, func(e events.Envelope) bool { return e.RunID == string(r.id) }, func(_ protocol.Record, e events.Envelope) {
		if err := r.shadow.Replay(e); err != nil {
			a.fail("S5 after %s: replay %s: %v", function, e.Type, err)
			return
		}
		a.runEvent(r, e)
	})
	if !changed || a.fault != "" {
		return
	}
	docs, _, err := a.w.store.Store.Load(context.Background(), p, protocol.DocID("run/"+r.id))
	if err != nil {
		a.fail("load: %v", err)
		return
	}
	body, err := json.Marshal(r.shadow)
	if err != nil || !bytes.Equal(body, docs[0].Body) {
		a.fail("S7 after %s: run %s\n replayed %s\n stored   %s (%v)", function, r.id, body, docs[0].Body, err)
	}
}

func (a *auditor) runEvent(r *watched, e events.Envelope) {
	switch e.Type {
	case events.TypeJobScheduled:
		d := decode[events.JobScheduled](a, e)
		if !a.rereading {
			if d.Fence.Compare(r.fence) <= 0 {
				a.fail("S6: fence %s of %s after %s", d.Fence, d.Job, r.fence)
			}
			r.fence = d.Fence
		}
		if r.ended[d.Job] != "" {
			a.fail("S5: %s scheduled after it ended", d.Job)
		}
	case events.TypeJobStarted:
		d := decode[events.JobStarted](a, e)
		key := attemptKey(d.AttemptRef)
		if r.nonces[key] != "" {
			a.fail("S2: two workers were let in for %s", key)
		}
		r.nonces[key] = d.Nonce
	case events.TypeJobCompleted:
		d := decode[events.JobCompleted](a, e)
		a.final(r, d.Job, e.Type)
		if d.Fence != r.shadow.Job(d.Job).Current().Fence {
			a.fail("S2: %s completed by the stale fence %s", d.Job, d.Fence)
		}
		if r.cancelled {
			a.fail("S9: %s succeeded after an acknowledged cancel", d.Job)
		}
		a.wholeLog(d.AttemptRef)
	case events.TypeJobFailed:
		a.final(r, decode[events.JobFailed](a, e).Job, e.Type)
	case events.TypeJobCancelled:
		a.final(r, decode[events.JobCancelled](a, e).Job, e.Type)
	case events.TypeJobSkipped:
		a.final(r, decode[events.JobSkipped](a, e).Job, e.Type)
	}
}

func (a *auditor) final(r *watched, key events.JobKey, t events.Type) {
	if first := r.ended[key]; first != "" {
		a.fail("S1: %s ended twice: %s, then %s", key, first, t)
	}
	r.ended[key] = t
}

// wholeLog holds S10 for an attempt that completed.
func (a *auditor) wholeLog(ref events.AttemptRef) {
	var want []byte
	for n := 1; n <= 3; n++ {
		want = fmt.Appendf(want, "%s %d %s line %d\n", ref.Job, ref.Attempt, ref.Fence, n)
	}
	got := make([]byte, len(want)+1)
	n, _, _, err := a.w.logs.Read(context.Background(), ref, 0, got)
	if err != nil || !bytes.Equal(got[:n], want) {
		a.fail("S10: log of %s attempt %d is %q, want %q (%v)", ref.Job, ref.Attempt, got[:n], want, err)
	}
}

func (a *auditor) readPool(function string) {
	p := protocol.PoolPartition(pool)
	changed := a.read(p, &a.poolAt, func(events.Envelope) bool { return true }, func(r protocol.Record, e events.Envelope) {
		if err := a.pool.Replay(e, r.At); err != nil {
			a.fail("S7: replay %s: %v", e.Type, err)
		}
		if e.Type != events.TypeAssignmentCreated {
			return
		}
		d := decode[events.AssignmentCreated](a, e)
		if a.used[d.Offer] {
			a.fail("S8: offer %s was assigned twice", d.Offer)
		}
		a.used[d.Offer], a.nodeOf[d.Assignment] = true, d.Node
	})
	if changed && a.fault == "" {
		a.capacity(function)
		a.samePool(function)
	}
	a.physical(function)
}

// capacity holds S3 on the books.
func (a *auditor) capacity(function string) {
	for node, f := range scheduling.Free(a.pool.Snapshot(a.w.now)) {
		if f.CPU < 0 || f.Memory < 0 || f.Slots < 0 {
			a.fail("S3 after %s: node %s has %+v free", function, node, f)
		}
	}
}

// physical holds S3 in the world: what runs on a node fits it, twins aside.
func (a *auditor) physical(function string) {
	if a.rolled || a.fault != "" {
		return
	}
	slots := map[events.NodeID]int64{}
	seen := map[events.WorkerID]bool{}
	for _, g := range a.w.agents {
		if !g.alive || seen[g.l.Worker] {
			continue
		}
		seen[g.l.Worker] = true
		node := a.nodeOf[g.l.Assignment]
		slots[node] += g.l.Resources.Slots
		if slots[node] > a.pool.Nodes[node].Capacity.Slots {
			a.fail("S3 after %s: more workers run on %s than it has slots", function, node)
		}
	}
}

// samePool holds S7 for the pool: offers, held capacity and nodes.
func (a *auditor) samePool(function string) {
	for kind, want := range map[string]any{"held": a.pool.Held, "offer": a.pool.Queue, "node": a.pool.Nodes} {
		docs, err := a.w.store.Store.List(context.Background(), protocol.PoolPartition(pool), kind)
		if err != nil {
			a.fail("list: %v", err)
			return
		}
		stored := map[string]json.RawMessage{}
		for _, d := range docs {
			stored[string(d.ID)[len(kind)+1:]] = d.Body
		}
		x, _ := json.Marshal(want)
		y, _ := json.Marshal(stored)
		if !bytes.Equal(x, y) {
			a.fail("S7 after %s: %s of the pool\n replayed %s\n stored   %s", function, kind, x, y)
		}
	}
}

// published holds that an id stands for one event.
func (a *auditor) published(e events.Envelope) {
	what := string(e.Type) + " " + e.Subject
	if first, ok := a.ids[e.ID]; ok && first != what {
		a.fail("S7: the id %s stands for %s and for %s", e.ID, first, what)
	}
	a.ids[e.ID] = what
}

func (a *auditor) launched(l execution.Launch) {
	if l.Fence.IsZero() {
		a.fail("S2: %s launched without a fence", l.Worker)
	}
}

// ran is called when an agent's hello was acknowledged to it: its steps run.
func (a *auditor) ran(g *agent) {
	r := a.runs[g.l.Run]
	if r == nil {
		return
	}
	key := attemptKey(g.l.AttemptRef)
	if first := r.ran[key]; first != "" && first != g.nonce {
		a.fail("S2: both %s and %s run the steps of %s", first, g.nonce, key)
	}
	r.ran[key] = g.nonce
}

// reported looks at every answer to an agent.
func (a *auditor) reported(r execution.Report, reply execution.Reply, err error) {
	a.after("worker")
	if err != nil || reply.Gone != "" || reply.Cancel != "" {
		return
	}
	run := a.runs[r.Run]
	if run == nil || run.shadow.Job(r.Job) == nil {
		return
	}
	if len(r.Logs) > 0 && reply.Acknowledged > r.Logs[len(r.Logs)-1].Offset+int64(len(r.Logs[len(r.Logs)-1].Data)) {
		a.fail("S10: more log of %s acknowledged than was sent", r.Job)
	}
}

func attemptKey(ref events.AttemptRef) string {
	return fmt.Sprintf("%s %s attempt %d fence %s", ref.Run, ref.Job, ref.Attempt, ref.Fence)
}

func decode[T events.Data](a *auditor, e events.Envelope) T {
	d, err := events.Decode[T](e)
	if err != nil {
		a.fail("decode: %v", err)
	}
	return d.Data
}
