package scenarios_test

import (
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

// play lets every worker that has not ended yet succeed.
func (r *rig) play() {
	r.Helper()
	for i := 0; ; i++ { // there are more with each that ends
		if i >= len(r.agents) {
			return
		}
		if a := r.agents[i]; !r.run(a.l.Run).State.Final() && r.run(a.l.Run).Holds(a.l.AttemptRef) {
			a.hello("")
			a.end(events.Succeeded, "")
		}
	}
}

// TestF10WhatABrokerLosesIsSentAgain: events were lost when the broker
// restarted (eventing-natss#713). What a broker refused is sent again by the
// outbox, here with every other timer too far away to help; what it took and
// lost is asked for again by the state that waits for it.
func TestF10WhatABrokerLosesIsSentAgain(t *testing.T) {
	for _, c := range []struct {
		name    string
		nudge   time.Duration
		refuses bool
		bound   time.Duration // of the whole run
	}{
		{"refused: the outbox", 12 * time.Hour, true, 2 * time.Minute},
		{"taken and lost: the state", 15 * time.Second, false, 5 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, func(r *rig) { r.policy.Nudge = c.nudge })
			r.node("n", slots(4))
			r.away = c.refuses
			res, err := r.deps.Runs.Create(t.Context(), "api", request(t, runID, diamond()))
			if err != nil {
				t.Fatal(err)
			}
			if err := r.publish(t.Context(), res.Emitted); (err != nil) != c.refuses {
				t.Fatalf("published: %v", err)
			}
			r.until(c.bound, "the run's end", func() bool {
				r.queue = nil // the broker restarts before it delivers anything
				if c.refuses {
					r.boot() // and with it all who could remember
				}
				r.play()
				return r.run(runID).State.Final()
			})
			if run := r.run(runID); run.State != pipeline.RunSucceeded || len(r.agents) != len(run.Jobs) {
				t.Errorf("the run is %s on %d workers", run.State, len(r.agents))
			}
		})
	}
}

// TestF13WorkersOutliveTheControlPlane: a restarted manager orphaned its pods
// (gitlab-runner#3235). It is away for longer than any lease. The workers go on,
// are heard again and count: none is removed, none made twice. Only what nobody
// wants any more goes.
func TestF13WorkersOutliveTheControlPlane(t *testing.T) {
	r := newRig(t)
	r.node("n", slots(4))
	r.submit(runID, job("a"), job("b"), job("c"), job("d"))
	running, done, starting, dies := r.agent("a", 1), r.agent("b", 1), r.agent("c", 1), r.agent("d", 1)
	for _, a := range []*agent{running, done, dies} {
		a.hello("before\n")
	}
	orphan := starting.l
	orphan.Run, orphan.Worker = "01J00000000000000000000009", "of-a-run-that-nobody-knows"
	if _, err := r.provider.Create(t.Context(), orphan); err != nil {
		t.Fatal(err)
	}
	r.agents = r.agents[:4] // the orphan's agent keeps silent
	r.now = r.now.Add(10 * time.Minute)
	r.boot()
	r.tick() // the clock comes before any agent is heard
	if reply := done.say(execution.Beat, "while away\n", nil); reply.Acknowledged != done.wrote {
		t.Errorf("of what it spooled %d of %d bytes are kept", reply.Acknowledged, done.wrote)
	}
	done.end(events.Succeeded, "")
	running.beats = true
	running.say(execution.Beat, "", nil)
	starting.hello("")
	starting.beats = true
	for _, a := range []*agent{running, starting} {
		if !r.live(a) || !r.run(runID).Holds(a.l.AttemptRef) {
			t.Errorf("%s lost its worker", a.l.Job.Key)
		}
	}
	r.until(2*time.Minute, "the dead worker's successor", func() bool { return r.job("d").Attempt == 2 && len(r.agents) == 5 })
	r.play()
	run := r.run(runID)
	for _, j := range run.Jobs {
		if want := map[events.JobKey]int{"d": 2}[j.Key]; len(j.Attempts) != max(want, 1) {
			t.Errorf("%s took %d attempts", j.Key, len(j.Attempts))
		}
	}
	if run.State != pipeline.RunSucceeded {
		t.Errorf("the run is %s: %s", run.State, run.Reason)
	}
	r.pass(2 * time.Minute)
	if list, err := r.provider.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("%d workers are left (%v)", len(list), err)
	}
}

// TestF14LogsSurviveTheirWorker: logs died with the pod (tekton pipeline#5251).
// What was acknowledged outlives the worker and is closed, so that a reader
// knows that no more will come; a piece that would leave a gap is not taken, and
// a result whose log is not whole does not count.
func TestF14LogsSurviveTheirWorker(t *testing.T) {
	r := newRig(t)
	r.node("n", slots(4))
	r.submit(runID, job("a"))
	a := r.agent("a", 1)
	a.hello("one\n")
	a.wrote += int64(len("two\n")) // never sent
	gap := a.say(execution.Beat, "three\n", nil)
	if text, closed := r.log(a.l.AttemptRef); gap.Acknowledged != int64(len("one\n")) || text != "one\n" || closed {
		t.Errorf("beyond a gap the log is %q, sent on from %d, closed %t", text, gap.Acknowledged, closed)
	}
	a.end(events.Succeeded, "")
	if s := r.job("a").State; s != pipeline.Running {
		t.Errorf("a success with a part of its log missing made the job %s", s)
	}
	a.wrote = gap.Acknowledged
	a.say(execution.Beat, "two\n", nil)
	if err := r.provider.Terminate(t.Context(), a.l.Worker, a.l.Fence); err != nil { // the pod dies, and tells nobody
		t.Fatal(err)
	}
	r.until(time.Minute, "another attempt", func() bool { return len(r.agents) == 2 })
	next := r.agent("a", 2)
	next.hello("again\n")
	next.end(events.Succeeded, "")
	r.boot()
	for _, want := range []struct {
		of   *agent
		text string
	}{{a, "one\ntwo\n"}, {next, "again\n"}} {
		if text, closed := r.log(want.of.l.AttemptRef); text != want.text || !closed {
			t.Errorf("attempt %d: the log is %q, closed %t", want.of.l.Attempt, text, closed)
		}
	}
	if lost := r.job("a").Attempts[0]; lost.Verdict != events.Infra || !strings.Contains(lost.Reason, "silent") {
		t.Errorf("why its log breaks off is told as %q (%s)", lost.Reason, lost.Verdict)
	}
	if reply := a.say(execution.Beat, "late\n", nil); reply.Gone == "" {
		t.Errorf("the dead worker's log grew: %+v", reply)
	}
}
