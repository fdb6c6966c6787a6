package scenarios_test

import (
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// document is the run as it is stored.
func (r *rig) document(id events.RunID) string {
	r.Helper()
	docs, _, err := r.memory.Load(r.Context(), protocol.PartitionOf(id), protocol.DocID("run/"+id))
	if err != nil {
		r.Fatal(err)
	}
	return string(docs[0].Body)
}

// ended is the word on an attempt as a broker may carry it, of a worker that
// nobody asked.
func (r *rig) ended(ref events.AttemptRef, v events.Verdict) events.Envelope {
	r.Helper()
	e, err := events.New(events.DeriveID("late", ref.Fence.String(), string(v)), "/relevo/test", "", r.now,
		events.JobEnded{AttemptRef: ref, Verdict: v, Reason: "late"})
	if err != nil {
		r.Fatal(err)
	}
	return e
}

// TestF1StaleFenceIsRefusedAtEveryEffect: a lease expired, two agents ran one
// workflow, and the loser's clean-up deleted the winner's volume
// (woodpecker#5823). Here the loser lives on unheard, tries every effect, and
// none counts.
func TestF1StaleFenceIsRefusedAtEveryEffect(t *testing.T) {
	stepEnd := execution.StepEvent{Index: 1, ID: "1", Name: "x", Result: &events.StepResult{ID: "1", Outcome: "success"}}
	for name, effect := range map[string]func(r *rig, loser *agent){
		"hello": func(r *rig, loser *agent) {
			if loser.hello("").Gone == "" {
				r.Error("the loser was let in again")
			}
		},
		"hello of its twin": func(_ *rig, loser *agent) {
			twin := *loser
			twin.nonce = "another"
			if twin.hello("twin\n").Gone == "" {
				loser.r.Error("a twin of the loser was let in")
			}
		},
		"log": func(r *rig, loser *agent) {
			if reply := loser.say(execution.Beat, "of the loser\n", nil); reply.Gone == "" {
				r.Errorf("its log was taken: %+v", reply)
			}
			if text, _ := r.log(loser.l.AttemptRef); text != "first\n" {
				r.Errorf("its log is %q", text)
			}
		},
		"step": func(r *rig, loser *agent) {
			loser.send(execution.Report{
				AttemptRef: loser.l.AttemptRef, Worker: loser.l.Worker, Nonce: loser.nonce,
				Kind: execution.Beat, Steps: []execution.StepEvent{stepEnd},
			})
			if n := r.took(events.TypeStepCompleted); n != 0 {
				r.Errorf("%d of its steps were told", n)
			}
		},
		"verdict by report": func(_ *rig, loser *agent) { loser.end(events.Failed, "exit 1") },
		"verdict by event": func(r *rig, loser *agent) {
			r.deliver(r.ended(loser.l.AttemptRef, events.Succeeded))
			r.drain()
		},
		"clean-up": func(r *rig, loser *agent) {
			at := events.Placement{Pool: loser.l.Pool, Assignment: loser.l.Assignment, Worker: loser.l.Worker, Provider: "fake"}
			e, err := events.New("late", "/relevo/test", "", r.now, events.JobFailed{AttemptRef: loser.l.AttemptRef, Placement: at, Verdict: events.Infra})
			if err != nil {
				r.Fatal(err)
			}
			r.deliver(e) // job-failed removes the worker
			r.drain()
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.node("n", slots(4))
			r.submit(runID, job("a"))
			loser := r.agent("a", 1)
			loser.hello("first\n")
			r.until(time.Minute, "the lease runs out and the winner starts", func() bool { return r.job("a").Attempt == 2 && len(r.agents) == 2 })
			winner := r.agent("a", 2)
			winner.hello("second\n")
			r.now = r.now.Add(time.Second)
			before := r.document(runID)
			effect(r, loser)
			if after := r.document(runID); after != before {
				t.Errorf("it changed the run:\n%s\n%s", before, after)
			}
			r.wins(winner, "second\n")
		})
	}
}

// wins ends the winner's attempt, which must still be whole.
func (r *rig) wins(winner *agent, log string) {
	r.Helper()
	if !r.live(winner) {
		r.Error("the winner's worker is gone")
	}
	if text, closed := r.log(winner.l.AttemptRef); text != log || closed {
		r.Errorf("the winner's log is %q, closed %t", text, closed)
	}
	winner.end(events.Succeeded, "")
	if run := r.run(runID); run.State != pipeline.RunSucceeded || run.Job("a").Current().Fence != winner.l.Fence {
		r.Errorf("the run is %s by fence %s", run.State, run.Job("a").Current().Fence)
	}
	r.tick()
	if held := r.pool().Held; len(held) != 0 {
		r.Errorf("%d assignments are still held", len(held))
	}
}

// TestF1CleanUpOfALostHistorySparesTheWorkerOfTheSameName: where the store came
// back without its last writes, the same assignment is accepted again: the
// loser and the winner bear one name, and the fence alone tells them apart.
func TestF1CleanUpOfALostHistorySparesTheWorkerOfTheSameName(t *testing.T) {
	r := newRig(t)
	r.node("n", slots(4))
	var assigned protocol.Commit
	snap := r.memory.Snapshot()
	r.store.after = func(c protocol.Commit) {
		if len(c.Emitted) > 0 && c.Emitted[0].Type == events.TypeAssignmentCreated {
			assigned, snap = c, r.memory.Snapshot()
		}
	}
	r.submit(runID, job("a"))
	loser := r.agent("a", 1)
	loser.hello("first\n")
	r.memory.Restore(snap)
	r.boot()
	told := assigned.Emitted[0]
	told.Epoch = 2 // as the clock tells what stands
	r.deliver(told)
	r.drain()
	winner := r.agent("a", 1)
	if winner == loser || winner.l.Worker != loser.l.Worker || winner.l.Fence.Compare(loser.l.Fence) <= 0 {
		t.Fatalf("worker %s under %s after %s under %s", winner.l.Worker, winner.l.Fence, loser.l.Worker, loser.l.Fence)
	}
	winner.hello("second\n")
	before := r.document(runID)
	if loser.hello("").Gone == "" || loser.end(events.Succeeded, "").Gone == "" {
		t.Error("the loser was let in again")
	}
	r.deliver(r.ended(loser.l.AttemptRef, events.Failed))
	failed, err := events.New("late", "/relevo/test", "", r.now, events.WorkerFailed{For: loser.l.AttemptRef, Reason: "late"})
	if err != nil {
		t.Fatal(err)
	}
	r.deliver(failed)
	if err := r.provider.Terminate(t.Context(), loser.l.Worker, loser.l.Fence); err != nil {
		t.Error(err)
	}
	r.drain()
	if after := r.document(runID); after != before {
		t.Errorf("it changed the run:\n%s\n%s", before, after)
	}
	r.wins(winner, "second\n")
}

// TestF7LateResultsNeverFlipAVerdict: a run was marked Failed though its task
// succeeded later (tekton pipeline#9467). A result of an older attempt, by
// whatever way and however late, changes no byte of the run.
func TestF7LateResultsNeverFlipAVerdict(t *testing.T) {
	for _, c := range []struct {
		name  string
		final events.Verdict
		late  events.Verdict
		want  pipeline.RunState
	}{
		{"success after a failure", events.Failed, events.Succeeded, pipeline.RunFailed},
		{"failure after a success", events.Succeeded, events.Failed, pipeline.RunSucceeded},
		{"loss after a success", events.Succeeded, events.Infra, pipeline.RunSucceeded},
		{"success after a cancel", events.Cancelled, events.Succeeded, pipeline.RunCancelled},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.node("n", slots(4))
			r.submit(runID, job("a"), job("b", "a"))
			older := r.agent("a", 1)
			older.hello("")
			r.until(time.Minute, "a second attempt", func() bool { return len(r.agents) == 2 })
			last := r.agent("a", 2)
			last.hello("")
			late := []*agent{older}
			r.tooLate(late, c.late) // while the last attempt is under way
			if c.final == events.Cancelled {
				r.cancel()
				late = append(late, last) // its own word comes too late as well
			} else {
				last.end(c.final, "as it went")
			}
			if c.final == events.Succeeded {
				r.agent("b", 1).hello("")
				r.agent("b", 1).end(events.Succeeded, "")
			}
			if got := r.run(runID).State; got != c.want {
				t.Fatalf("the run is %s, want %s", got, c.want)
			}
			r.tooLate(late, c.late)
			before, launched := r.document(runID), len(r.agents)
			r.pass(time.Minute)
			if after := r.document(runID); after != before || len(r.agents) != launched {
				t.Errorf("%d more workers; the run was\n%s\nand is\n%s", len(r.agents)-launched, before, after)
			}
		})
	}
}

// tooLate hands in results that must not count any more, by report and by event.
func (r *rig) tooLate(late []*agent, v events.Verdict) {
	r.Helper()
	before := r.document(runID)
	for _, a := range late {
		a.end(v, "late")
		r.deliver(r.ended(a.l.AttemptRef, v))
		r.drain()
	}
	if after := r.document(runID); after != before {
		r.Errorf("the run was\n%s\nand is\n%s", before, after)
	}
}

// cancel cancels the run.
func (r *rig) cancel() {
	r.Helper()
	e, err := events.New("cancel", "/relevo/api", "", r.now, events.CancelRequested{RunRef: events.RunRef{Run: runID}, Reason: "enough"})
	if err != nil {
		r.Fatal(err)
	}
	r.deliver(e)
	r.drain()
}
