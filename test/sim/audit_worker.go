package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/provider"
)

func attemptKey(ref events.AttemptRef) string {
	return fmt.Sprintf("%s %s attempt %d fence %s", ref.Run, ref.Job, ref.Attempt, ref.Fence)
}

// born knows an agent by what the control plane sees of its nonce.
func (a *auditor) born(g *agent) {
	h := sha256.Sum256([]byte(g.nonce))
	a.workers[hex.EncodeToString(h[:])] = g.nonce
}

func (a *auditor) launched(l execution.Launch) {
	if l.Fence.IsZero() {
		a.fail("S2: %s launched without a fence", l.Worker)
	}
}

// created holds that whoever asks for a worker gets one of its own fence.
func (a *auditor) created(l execution.Launch, s provider.Status) {
	if s.Fence.Compare(l.Fence) < 0 {
		a.fail("S2: %s got the worker of the older fence %s", attemptKey(l.AttemptRef), s.Fence)
	}
}

// goneFor holds that an attempt is lost by the end of its own worker.
func (a *auditor) goneFor(ref events.AttemptRef) {
	for _, g := range a.w.agents {
		if g.alive && !g.zombie && g.l.AttemptRef == ref {
			a.fail("S2: %s was lost by the word that its worker is gone, and it runs", attemptKey(ref))
		}
	}
}

// removed holds that clean-up is fenced, and does not hit what is under way. A
// restart that lost writes may have brought an attempt back whose end was told.
func (a *auditor) removed(l execution.Launch, by events.Fence) {
	a.after("a removal")
	if l.Fence.Compare(by) > 0 {
		a.fail("S2: the worker of %s was removed by the stale fence %s", attemptKey(l.AttemptRef), by)
	}
	if a.rolled.IsZero() && l.Fence == by && a.runs[l.Run].holds(l.AttemptRef) {
		a.fail("S2: the worker of %s was removed while it is under way", attemptKey(l.AttemptRef))
	}
}

// tooLate tells that a worker was made for an attempt that was over by then:
// its launch was under way when the removal found nothing. Whoever made it
// removes it, which may take a while (S4).
func (a *auditor) tooLate(g *agent) bool {
	r := a.runs[g.l.Run]
	if r == nil {
		return false
	}
	at := r.attempt(g.l.AttemptRef)
	return at != nil && at.State.Over() && !g.born.Before(at.Ended)
}

// released holds that capacity comes back only once its worker is gone.
func (a *auditor) released(d events.AssignmentReleased) {
	if a.rereading {
		return
	}
	for _, g := range a.w.agents {
		if g.alive && !g.zombie && !a.tooLate(g) && g.l.Assignment == d.Assignment && (a.rolled.IsZero() || a.runs[g.l.Run].holds(g.l.AttemptRef)) {
			a.fail("S3: assignment %s was released while its worker runs", d.Assignment)
		}
	}
}

// handled is called when a handler is done: no stale worker is left by the one that
// makes workers. One of an earlier epoch, whose attempt a restart lost, is left to
// the sweep.
func (a *auditor) handled(function string, e events.Envelope, err error) {
	stale := e.Epoch != 0 && int(e.Epoch) <= a.w.life // it was dropped
	if function != "assignment-created" || err != nil || a.fault != "" || e.Type != events.TypeAssignmentCreated || stale {
		return
	}
	d := decode[events.AssignmentCreated](a, e)
	list, _ := a.w.provider.List(context.Background())
	for _, s := range list {
		r := a.runs[s.Run]
		if s.Placement.Worker == d.Worker && int(s.Fence.Epoch) == a.w.life+1 && r != nil && !r.holds(s.AttemptRef) {
			a.fail("S4: %s is done and left the worker of %s, which is over", function, attemptKey(s.AttemptRef))
		}
	}
}

// physical holds S3 in the world: what runs on a node fits it, twins aside,
// and S4: what runs for a live attempt holds its capacity. After a restart that
// lost writes only those count that the books still know: the others are there
// until they are swept.
func (a *auditor) physical(function string) {
	if a.fault != "" {
		return
	}
	slots := map[events.NodeID]int64{}
	seen := map[events.WorkerID]bool{}
	for _, g := range a.w.agents {
		if !g.alive || g.zombie || seen[g.l.Worker] || a.tooLate(g) {
			continue
		}
		live := a.runs[g.l.Run].holds(g.l.AttemptRef)
		if _, ok := a.pool.Held[g.l.Assignment]; live && !ok {
			a.fail("S4 after %s: the worker of %s runs and holds no capacity", function, attemptKey(g.l.AttemptRef))
		}
		if !a.rolled.IsZero() && !live {
			continue
		}
		seen[g.l.Worker] = true
		node := a.nodeOf[g.l.Assignment]
		slots[node] += g.l.Resources.Slots
		if n, ok := a.pool.Nodes[node]; ok && slots[node] > n.Capacity.Slots {
			a.fail("S3 after %s: more workers run on %s than it has slots", function, node)
		}
	}
}

// ticked is called after each tick of the clock.
func (a *auditor) ticked() {
	a.ticking = nil
	if a.w.calm && a.fault == "" {
		a.orphans()
		a.silence()
	}
}

// orphans holds S4: a worker of no live attempt is removed in time.
func (a *auditor) orphans() {
	const most = 3 * time.Minute
	list, _ := a.w.provider.List(context.Background())
	stale := map[string]time.Time{}
	for _, s := range list {
		if a.runs[s.Run].holds(s.AttemptRef) {
			continue
		}
		since, ok := a.stale[s.Handle]
		if !ok {
			since = a.w.now
		}
		stale[s.Handle] = since
		if a.w.now.Sub(since) > most {
			a.fail("S4: the worker of %s is over and not removed", attemptKey(s.AttemptRef))
		}
	}
	a.stale = stale
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

// sending is called before a report goes out.
func (a *auditor) sending(r execution.Report) {
	for _, c := range r.Logs {
		a.sent[r.Nonce] = max(a.sent[r.Nonce], c.Offset+int64(len(c.Data)))
	}
}

// reported looks at every answer to an agent, which was heard when its report
// came: the process that took it may have been suspended since.
func (a *auditor) reported(r execution.Report, sent time.Time, reply execution.Reply, err error) {
	a.after("worker")
	run := a.runs[r.Run]
	if err != nil || reply.Gone != "" || run == nil || a.fault != "" {
		return
	}
	key := attemptKey(r.AttemptRef)
	if first := a.workers[run.nonces[key]]; first != "" && first != r.Nonce {
		a.fail("S2: a report of %s counted for %s, which is the work of %s", r.Nonce, key, first)
	}
	if reply.Cancel != "" {
		return
	}
	a.heard[key] = latest(a.heard[key], sent)
	if reply.Acknowledged > a.sent[r.Nonce] && !a.mixes(key) {
		a.fail("S10: more log of %s acknowledged than was sent", key)
	}
}

// wholeLog holds S10 for an attempt that its worker ended: every line of that
// worker, and of no other.
func (a *auditor) wholeLog(r *watched, ref events.AttemptRef) {
	nonce := a.workers[r.nonces[attemptKey(ref)]]
	var want []byte
	for n := 1; n <= logLines; n++ {
		want = append(want, logLine(ref, nonce, n)...)
	}
	got := make([]byte, len(want)+1)
	n, _, closed, err := a.w.logs.Read(context.Background(), ref, 0, got)
	if (err != nil || !bytes.Equal(got[:n], want) || !closed) && !a.mixes(attemptKey(ref)) {
		a.fail("S10: log of %s is %q (closed: %t), want %q (%v)", attemptKey(ref), got[:n], closed, want, err)
	}
}

// logs holds S10 at rest for every attempt that began: what there is of its log
// is its own, from the start and without a gap.
func (a *auditor) logs(r *watched) {
	for _, j := range r.shadow.Jobs {
		for _, at := range j.Attempts {
			ref := r.shadow.AttemptRef(j, at)
			want := ""
			for n := 1; n <= logLines; n++ {
				want += logLine(ref, a.workers[at.Nonce], n)
			}
			got := make([]byte, len(want)+1)
			n, _, _, err := a.w.logs.Read(context.Background(), ref, 0, got)
			if at.Nonce == "" && !a.rolled.IsZero() || a.mixes(attemptKey(ref)) {
				continue // its hello was lost with the store's last writes
			}
			if err != nil || !strings.HasPrefix(want, string(got[:n])) {
				a.fail("S10: log of %s is %q, want the start of %q (%v)", attemptKey(ref), got[:n], want, err)
			}
		}
	}
}
