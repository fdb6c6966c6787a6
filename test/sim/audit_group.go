package main

import (
	"context"
	"encoding/json"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// watchedGroup is a concurrency group as its ledger tells it.
type watchedGroup struct {
	at        protocol.LedgerID
	name      string
	holder    *events.GroupRef
	displaced map[string]bool // were told to go
	occupied  bool            // somebody holds, waits or has yet to leave
}

func member(run events.RunID, job events.JobKey) string { return string(run) + "/" + string(job) }

// readGroup holds that a group has one holder: a capacity of one, S3.
func (a *auditor) readGroup(function string, p protocol.Partition) {
	g := a.groups[p]
	if g == nil {
		g = &watchedGroup{displaced: map[string]bool{}}
		a.groups[p] = g
	}
	asks := ""
	a.read(p, &g.at,
		func(events.Envelope) bool { return true },
		func(_ protocol.Record, e events.Envelope) {
			switch e.Type {
			case events.TypeRunRequested:
				asks = member(decode[events.RunRequested](a, e).Run, "")
			case events.TypeJobRequested:
				d := decode[events.JobRequested](a, e)
				asks = member(d.Run, d.Job)
			case events.TypeConcurrencyReleased:
				d := decode[events.ConcurrencyReleased](a, e)
				if h := g.holder; h != nil && member(h.Run, h.Job) == member(d.Run, d.Job) {
					g.holder = nil
				}
			case events.TypeConcurrencyAcquired:
				d := decode[events.ConcurrencyAcquired](a, e)
				if h := g.holder; h != nil && member(h.Run, h.Job) != member(d.Run, d.Job) {
					a.fail("S3 after %s: group %s has two holders, %s and %s", function, d.Group, member(h.Run, h.Job), member(d.Run, d.Job))
				}
				g.holder = &d.GroupRef
			case events.TypeCancelRequested:
				d := decode[events.CancelRequested](a, e)
				who := member(d.Run, d.Job)
				if who == asks && !g.displaced[who] {
					a.fail("S9 after %s: %s was cancelled by its own asking for a group", function, who)
				}
				g.displaced[who] = true
			}
		},
		func(protocol.Record) { asks = "" })
	a.sameGroup(function, p, g)
}

func (a *auditor) sameGroup(function string, p protocol.Partition, g *watchedGroup) {
	docs, _, err := a.w.store.Store.Load(context.Background(), p, "group/root")
	if err != nil || docs[0].Version == 0 || a.fault != "" {
		return
	}
	var stored pipeline.Group
	if err := json.Unmarshal(docs[0].Body, &stored); err != nil {
		a.fail("S7: group: %v", err)
		return
	}
	g.name, g.occupied = stored.Name, !stored.Empty()
	got, want := "", ""
	if stored.Holder != nil {
		got = member(stored.Holder.Run, stored.Holder.Job)
	}
	if g.holder != nil {
		want = member(g.holder.Run, g.holder.Job)
	}
	if got != want {
		a.fail("S7 after %s: group %s is held by %q, its ledger says %q", function, stored.Name, got, want)
	}
}

// exclusive holds that of those who share a concurrency group one goes on.
func (a *auditor) exclusive() {
	if a.fault != "" {
		return
	}
	active := map[string][]string{}
	for _, id := range sortedKeys(a.runs) {
		r := a.runs[id].shadow
		if r.Group != "" && r.State == pipeline.RunRunning {
			active[r.Group] = append(active[r.Group], member(id, ""))
		}
		for _, j := range r.Jobs {
			if g := j.Request.Group; g != "" && (j.State == pipeline.Scheduled || j.State == pipeline.Running) {
				active[g] = append(active[g], member(id, j.Key))
			}
		}
	}
	for g, who := range active {
		if len(who) > 1 {
			a.fail("S3: %v go on at once in the concurrency group %s", who, g)
		}
	}
}
