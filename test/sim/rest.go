package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// states says where a run is, or a job of it, or all of its jobs.
func (a *auditor) states(id events.RunID, job events.JobKey) []string {
	r := a.runs[id]
	if r == nil || r.shadow.State == "" {
		return nil
	}
	if r.shadow.State == pipeline.RunRequested || r.shadow.State.Final() {
		return []string{"the run is " + string(r.shadow.State)}
	}
	seen := map[string]bool{}
	for _, j := range r.shadow.Jobs {
		if job == "" || j.Key == job {
			seen["a job is "+cmp.Or(string(j.State), "not asked for yet")] = true
		}
	}
	return sortedKeys(seen)
}

// cancelled holds S9 where it is acknowledged: what was cancelled is over.
func (a *auditor) cancelled(id events.RunID, job events.JobKey) {
	r := a.runs[id]
	if r == nil || a.fault != "" {
		return
	}
	if job == "" {
		r.cancelled = true
		if !r.shadow.State.Final() {
			a.fail("S9: the cancel of %s was acknowledged and it is %s", id, r.shadow.State)
		}
		return
	}
	r.job(job).cancelled = true
	if s := r.shadow.Job(job).State; !s.Final() {
		a.fail("S9: the cancel of %s of %s was acknowledged and it is %q", job, id, s)
	}
}

// unrest names what is left to do, and the property that asks for it.
func (w *World) unrest() string {
	if why := w.undone(); why != "" {
		w.settled = time.Time{}
		return why
	}
	return w.stale()
}

// undone is unrest, but for rows.
func (w *World) undone() string {
	ctx := context.Background()
	for _, id := range sortedKeys(w.checks.runs) {
		if r := w.checks.runs[id]; !r.shadow.State.Final() {
			return fmt.Sprintf("L1: run %s is %s", id, r.shadow.State)
		}
	}
	if list, _ := w.provider.List(ctx); len(list) > 0 {
		return fmt.Sprintf("L4: the worker of %s is left", attemptKey(list[0].AttemptRef))
	}
	ps, _ := w.store.Store.Partitions(ctx)
	for _, kind := range []string{"held", "offer"} {
		if docs, _ := w.store.Store.List(ctx, protocol.PoolPartition(pool), kind); len(docs) > 0 {
			return fmt.Sprintf("L4: %s is left", docs[0].ID)
		}
	}
	due, next, _ := w.store.Store.Overdue(ctx, ps, 1)
	if len(due) > 0 || !next.IsZero() {
		return fmt.Sprintf("L4: due entries are left: %v, next %s", due, next)
	}
	for _, p := range ps {
		if out, _ := w.store.Store.Outbox(ctx, p, 0, 1); len(out) > 0 {
			return "L3: the outbox of " + string(p) + " is not drained"
		}
	}
	return ""
}

// rest holds what must be so at the end.
func (a *auditor) rest() {
	if a.fault != "" {
		return
	}
	if u := a.w.unrest(); u != "" {
		a.fail("%s", u)
	}
	for _, id := range sortedKeys(a.runs) {
		r := a.runs[id]
		for _, j := range r.shadow.Jobs {
			if !j.State.Final() || r.job(j.Key).ended == "" {
				a.fail("S1: job %s of %s is %q at rest", j.Key, id, j.State)
			}
			a.w.count("jobs that ended as " + string(j.State))
		}
		a.logs(r)
	}
	for _, id := range sortedKeys(a.emitted) {
		if !a.told[id] {
			a.fail("L3: %s %s was committed and never published", a.emitted[id], id)
		}
	}
	for _, p := range sortedKeys(a.groups) {
		if h := a.groups[p].holder; h != nil {
			a.fail("L4: %s is held by %s at rest", p, member(h.Run, h.Job))
		}
	}
	if len(a.pool.Held)+len(a.pool.Queue) > 0 {
		a.fail("L4: capacity is held or asked for at rest")
	}
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
