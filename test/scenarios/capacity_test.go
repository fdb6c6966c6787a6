package scenarios_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
)

// numbered is the nth run's id.
func numbered(n int) events.RunID { return events.RunID(fmt.Sprintf("01J1%022d", n)) }

// assignment is what it costs to bring a job from its submit to its worker,
// and leaves nothing behind.
func (r *rig) assignment(id events.RunID) tally {
	r.Helper()
	before, launched := r.store.tally, len(r.agents)
	r.submit(id, job("a"))
	after := r.store.tally
	if len(r.agents) != launched+1 {
		r.Fatalf("%d workers were made", len(r.agents)-launched)
	}
	r.play()
	if s := r.run(id).State; s != pipeline.RunSucceeded {
		r.Fatalf("run %s is %s", id, s)
	}
	r.agents, r.seen = nil, nil
	return tally{
		loads: after.loads - before.loads, lists: after.lists - before.lists, heads: after.heads - before.heads,
		commits: after.commits - before.commits, read: after.read - before.read, written: after.written - before.written,
	}
}

// TestF11AssignmentCostIsIndependentOfHistory: an assignment query slowed with
// the history (Buildkite, May). What one asks of the store, in calls and in
// documents, is the same after 2,000 finished runs, for a process that knows its
// pool and for one that has just begun.
func TestF11AssignmentCostIsIndependentOfHistory(t *testing.T) {
	r := newRig(t)
	r.node("n", slots(4))
	cost := func(first int) (warm, cold tally) {
		r.assignment(numbered(first))
		warm = r.assignment(numbered(first + 1))
		r.boot()
		return warm, r.assignment(numbered(first + 2))
	}
	warm, cold := cost(0)
	for n := 10; n < 2010; n++ {
		r.assignment(numbered(n))
	}
	warmLater, coldLater := cost(3000)
	if warmLater != warm || coldLater != cold {
		t.Errorf("after 2,000 runs an assignment costs\n%+v\n%+v\nand cost\n%+v\n%+v", warmLater, coldLater, warm, cold)
	}
	if warm.commits == 0 || warm.read == 0 || cold.lists == 0 {
		t.Errorf("nothing was counted: %+v, %+v", warm, cold)
	}
}

// idle finds a job that waits though a node has room for it. It asks neither the
// planner nor what it keeps.
func idle(p *scheduling.Pool) string {
	free := map[events.NodeID]events.Resources{}
	for id, n := range p.Nodes {
		free[id] = n.Capacity
	}
	for _, h := range p.Held {
		f := free[h.Node]
		free[h.Node] = events.Resources{CPU: f.CPU - h.Resources.CPU, Memory: f.Memory - h.Resources.Memory, Slots: f.Slots - h.Resources.Slots}
	}
	for _, o := range p.Queue {
		for id, n := range p.Nodes {
			want, f := o.Requirements.Resources, free[id]
			lacks := slices.ContainsFunc(o.Requirements.Labels, func(l string) bool { return !slices.Contains(n.Labels, l) })
			if !lacks && !n.Gone && want.CPU <= f.CPU && want.Memory <= f.Memory && want.Slots <= f.Slots {
				return fmt.Sprintf("%s waits though %s has %+v free", o.For.Subject(), id, f)
			}
		}
	}
	return ""
}

// TestF12NoJobWaitsWhileANodeIsIdle: jobs stood queued though a runner idled
// (GitHub). Whatever comes, ends, joins or restarts: once the events have run
// dry, no job waits that a node has room for. Time stays within what lets a
// later job overtake.
func TestF12NoJobWaitsWhileANodeIsIdle(t *testing.T) {
	rapid.Check(t, func(draw *rapid.T) {
		r := newRig(t)
		for i := range rapid.IntRange(4, 40).Draw(draw, "length") {
			r.pass(time.Second)
			switch what := rapid.IntRange(0, 9).Draw(draw, "what"); {
			case what < 5:
				j := job("a")
				j.Requirements.Resources.CPU = 1000 * rapid.Int64Range(1, 4).Draw(draw, "cpu")
				j.Requirements.Labels = rapid.SampledFrom([][]string{nil, {"x"}, {"y"}}).Draw(draw, "labels")
				r.submit(numbered(i), j)
			case what < 8:
				r.settle(draw)
			case what < 9:
				id := rapid.SampledFrom([]events.NodeID{"n1", "n2"}).Draw(draw, "node")
				size := events.Resources{CPU: 1000 * rapid.Int64Range(1, 8).Draw(draw, "size"), Memory: 8 << 30, Slots: 4}
				r.node(id, size, rapid.SampledFrom([]string{"x", "y"}).Draw(draw, "label"))
			default:
				r.boot()
			}
			if waits := idle(r.pool()); waits != "" {
				draw.Fatal(waits)
			}
		}
	})
}

// settle lets a worker end in one of the ways there are.
func (r *rig) settle(draw *rapid.T) {
	r.Helper()
	live := slices.DeleteFunc(slices.Clone(r.agents), func(a *agent) bool { return !r.run(a.l.Run).Holds(a.l.AttemptRef) })
	if len(live) == 0 {
		return
	}
	a := rapid.SampledFrom(live).Draw(draw, "worker")
	a.hello("")
	a.end(rapid.SampledFrom([]events.Verdict{events.Succeeded, events.Failed, events.Infra}).Draw(draw, "verdict"), "")
}
