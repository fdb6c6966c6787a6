package scenarios_test

import (
	"slices"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// TestF2RequeueIsOneDurableTransition: requeue was only in memory, and the next
// poll dropped live work (woodpecker#7063). Here the end of the lost attempt,
// the job's return to the queue and the time of its next attempt stand in one
// commit; a process that dies at that commit, before or after it, loses nothing.
func TestF2RequeueIsOneDurableTransition(t *testing.T) {
	requeues := func(c protocol.Commit) bool {
		return slices.ContainsFunc(c.Emitted, func(e events.Envelope) bool { return e.Type == events.TypeJobRetried })
	}
	for _, c := range []struct {
		name string
		arm  func(r *rig, die func(protocol.Commit))
		left pipeline.JobState // by the crash
	}{
		{"crash before the commit", func(r *rig, die func(protocol.Commit)) { r.store.before = die }, pipeline.Running},
		{"crash after the commit", func(r *rig, die func(protocol.Commit)) { r.store.after = die }, pipeline.Pending},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.node("n", slots(4))
			r.submit(runID, job("a"))
			r.agent("a", 1).hello("")
			crashed := false
			c.arm(r, func(c protocol.Commit) {
				if requeues(c) && !crashed {
					crashed = true
					panic(crash{})
				}
			})
			for range int(2 * r.policy.Lease / time.Second) {
				if !crashed {
					r.now = r.now.Add(time.Second)
					r.survive(func() { r.tick() })
				}
			}
			j := r.job("a")
			if over := j.Current().State == pipeline.AttemptTerminated; j.State != c.left || !crashed || over != (c.left == pipeline.Pending) {
				t.Fatalf("crashed: %t; the job is %s, its attempt %s", crashed, j.State, j.Current().State)
			}
			if j.State == pipeline.Pending && !r.due(j, j.NotBefore) {
				t.Error("the next attempt is due at no time")
			}
			r.until(2*time.Minute, "the next attempt", func() bool { return len(r.agents) == 2 })
			next := r.agent("a", 2)
			next.hello("")
			next.beats = true
			r.pass(10 * time.Minute) // no later poll drops it
			next.end(events.Succeeded, "")
			if run := r.run(runID); run.State != pipeline.RunSucceeded || len(run.Job("a").Attempts) != 2 || len(r.agents) != 2 {
				t.Errorf("the run is %s after %d attempts on %d workers", run.State, len(run.Job("a").Attempts), len(r.agents))
			}
		})
	}
}

// survive runs f, and boots the process anew where it crashed: what it had
// given to nobody is lost, also what the broker was to get.
func (r *rig) survive(f func()) {
	defer func() {
		switch c := recover(); c.(type) {
		case nil:
		case crash:
			r.boot()
		default:
			panic(c)
		}
	}()
	f()
}

// due tells whether the job has a due entry at that time.
func (r *rig) due(j *pipeline.Job, at time.Time) bool {
	r.Helper()
	now := r.now
	defer func() { r.now = now }()
	r.now = at
	due, _, err := r.memory.Overdue(r.Context(), []protocol.Partition{protocol.PartitionOf(runID)}, 100)
	if err != nil {
		r.Fatal(err)
	}
	return slices.ContainsFunc(due, func(d protocol.DueIn) bool {
		return d.Name == events.JobRef{Run: runID, Job: j.Key}.Subject() && d.At.Equal(at)
	})
}

// TestF3AVanishedAgentIsNoticedWithinTwoHeartbeats: the agent was gone and the
// task hung (woodpecker#3248). With a lease of two heartbeats, silence that
// begins at any time ends the attempt two heartbeats after the last word at the
// latest, and work goes on elsewhere; one that beats is left alone.
func TestF3AVanishedAgentIsNoticedWithinTwoHeartbeats(t *testing.T) {
	for _, lived := range []time.Duration{0, time.Second, 7 * time.Second, 13 * time.Second, 95 * time.Second} {
		t.Run(lived.String(), func(t *testing.T) {
			r := newRig(t, func(r *rig) { r.policy.Lease = 2 * heartbeat })
			r.node("n", slots(4))
			r.submit(runID, job("a"), job("b"))
			gone, stays := r.agent("a", 1), r.agent("b", 1)
			gone.hello("")
			stays.hello("")
			gone.beats, stays.beats = true, true
			r.pass(2*r.policy.Lease + lived) // a clock that has just begun believes nothing of silence yet
			gone.beats = false
			after := r.until(time.Hour, "the attempt's end", func() bool { return r.job("a").State != pipeline.Running })
			if silent := r.now.Sub(gone.told); silent > 2*heartbeat+time.Second { // the clock ticks once a second
				t.Errorf("noticed %s after its last word, %s after it was gone", silent, after)
			}
			r.until(10*time.Second, "another worker", func() bool { return len(r.agents) == 3 })
			if j := r.job("b"); j.State != pipeline.Running || len(j.Attempts) != 1 {
				t.Errorf("the job whose agent beats is %s at attempt %d", j.State, len(j.Attempts))
			}
		})
	}
}

// TestF5StaleCacheEndsNoLiveWork: a stale cache marked live pods as deleted
// (argo-workflows#4565). A provider that tells of no worker ends none: the
// agent's own word counts.
func TestF5StaleCacheEndsNoLiveWork(t *testing.T) {
	r := newRig(t)
	r.node("n", slots(4))
	r.submit(runID, job("a"))
	a := r.agent("a", 1)
	a.hello("")
	a.beats, r.provider.cached = true, true
	r.pass(10 * time.Minute)
	if j := r.job("a"); j.State != pipeline.Running || !r.live(a) || len(r.agents) != 1 {
		t.Fatalf("the job is %s, its worker lives: %t, %d workers were made", j.State, r.live(a), len(r.agents))
	}
	a.end(events.Succeeded, "")
	if s := r.run(runID).State; s != pipeline.RunSucceeded {
		t.Errorf("the run is %s", s)
	}
}

// TestF5VanishedWorkersEndInBoundedTime: workflows whose pods were gone stayed
// Running for ever (argo-workflows#12103). Every worker vanishes without a word,
// before its hello or after it, and the run still ends: by its own policy's
// times, for a reason that a person can read, with all capacity back.
func TestF5VanishedWorkersEndInBoundedTime(t *testing.T) {
	for _, heard := range []bool{false, true} {
		r := newRig(t)
		r.node("n", slots(4))
		r.submit(runID, job("a"))
		p := r.policy
		attempts := 1 + p.InfraRetries
		bound := time.Duration(attempts) * (max(p.StartDeadline, p.Lease) + p.InfraBackoff<<p.InfraRetries + 2*time.Second)
		vanished := 0
		r.until(bound, "the run's end", func() bool {
			for ; vanished < len(r.agents); vanished++ {
				a := r.agents[vanished]
				if heard {
					a.hello("")
				}
				if err := r.provider.Terminate(t.Context(), a.l.Worker, a.l.Fence); err != nil {
					t.Error(err)
				}
			}
			return r.run(runID).State.Final()
		})
		run := r.run(runID)
		if run.State != pipeline.RunFailed || run.Verdict != events.Infra || run.Reason == "" || len(run.Job("a").Attempts) != attempts {
			t.Errorf("heard %t: the run is %s (%s: %s) after %d attempts", heard, run.State, run.Verdict, run.Reason, len(run.Job("a").Attempts))
		}
		r.until(time.Minute, "all capacity back", func() bool { return len(r.pool().Held) == 0 })
	}
}

// TestF9AWorkerThatNeverRegisteredHoldsNoCapacityForEver: runners that never
// registered were counted as live (actions-runner-controller#4602, #3420). A
// worker that says nothing is never RUNNING, and at its start deadline it is
// removed and its slot goes to the next job.
func TestF9AWorkerThatNeverRegisteredHoldsNoCapacityForEver(t *testing.T) {
	const other events.RunID = "01J00000000000000000000002"
	r := newRig(t)
	r.node("n", slots(1))
	r.submit(runID, job("a"))
	r.submit(other, job("b"))
	silent := r.agent("a", 1)
	if len(r.agents) != 1 || len(r.pool().Queue) != 1 {
		t.Fatalf("%d workers in one slot, %d offers wait", len(r.agents), len(r.pool().Queue))
	}
	after := r.until(r.policy.StartDeadline+2*time.Second, "the next job's worker", func() bool {
		if s := r.job("a").State; s == pipeline.Running {
			t.Fatalf("the job is %s though nobody said hello", s)
		}
		return len(r.agents) > 1
	})
	if after < r.policy.StartDeadline {
		t.Errorf("given up after %s", after)
	}
	if r.live(silent) || r.agent("b", 1) == nil || len(r.pool().Held) != 1 {
		t.Errorf("the silent worker is there: %t, %d assignments are held", r.live(silent), len(r.pool().Held))
	}
	if a := r.job("a").Attempts[0]; a.State != pipeline.AttemptTerminated || a.Verdict != events.Infra {
		t.Errorf("its attempt is %s (%s)", a.State, a.Verdict)
	}
}
