package pipeline_test

import (
	"slices"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

// fire lets time pass and the clock look at a job.
func (d *desk) fire(after time.Duration, key events.JobKey, grace bool) (emitted []string, again []events.Envelope) {
	d.t.Helper()
	d.now = d.now.Add(after)
	emitted = d.do(func(em *events.Emitter) {
		again = d.run.Fire(em, events.JobRef{Run: "R", Job: key}.Subject(), grace)
	})
	return emitted, again
}

func TestBudgetsAreApart(t *testing.T) {
	d := begin(t, pipeline.JobSpec{ID: "a", Retry: &pipeline.Retry{Max: 1, BackoffSeconds: 2}})
	d.end(d.start("a"), events.Infra)
	j := d.run.Job("a")
	if j.UserSpent != 0 || j.Lost != 1 {
		t.Fatalf("a lost worker spent %d of the user's and %d of the other", j.UserSpent, j.Lost)
	}
	d.fire(time.Second, "a", false)
	d.end(d.start("a"), events.Failed)
	j = d.run.Job("a")
	if j.UserSpent != 1 || j.Lost != 1 {
		t.Fatalf("a failure spent %d of the user's and %d of the other", j.UserSpent, j.Lost)
	}
	if emitted, _ := d.fire(time.Second, "a", false); len(emitted) > 0 {
		t.Fatalf("asked again before the back-off was over: %v", emitted)
	}
	d.fire(time.Second, "a", false)
	d.end(d.start("a"), events.Failed)
	d.wants("a", pipeline.Failed)
	if n := len(d.run.Job("a").Attempts); n != 3 {
		t.Errorf("%d attempts, want 3", n)
	}
}

func TestRetryOnlyWhatWasAskedFor(t *testing.T) {
	d := begin(t, pipeline.JobSpec{ID: "a", Retry: &pipeline.Retry{Max: 3, On: []events.Verdict{events.Timeout}}})
	d.end(d.start("a"), events.Failed)
	d.wants("a", pipeline.Failed)
}

func TestInfraBudgetEnds(t *testing.T) {
	d := begin(t, job("a"))
	for range d.policy.InfraRetries {
		d.end(d.start("a"), events.Infra)
		d.wants("a", pipeline.Pending)
		d.fire(time.Minute, "a", false)
	}
	d.end(d.start("a"), events.Infra)
	d.wants("a", pipeline.Terminated)
	if d.run.Verdict != events.Infra {
		t.Errorf("run's verdict is %s", d.run.Verdict)
	}
}

func TestFencesRise(t *testing.T) {
	d := begin(t, job("a"), job("b"))
	first, second := d.start("a"), d.start("b")
	if second.Fence.Compare(first.Fence) <= 0 {
		t.Errorf("fence %s after %s", second.Fence, first.Fence)
	}
}

func TestStaleWordsCountForNothing(t *testing.T) {
	d := begin(t, pipeline.JobSpec{ID: "a", Retry: &pipeline.Retry{Max: 1}})
	old := d.start("a")
	d.end(old, events.Failed) // back-off of nothing: asked for at once
	current := d.start("a")
	if got := d.end(old, events.Succeeded); len(got) > 0 {
		t.Errorf("the end of an older attempt led to %v", got)
	}
	if got := d.do(func(em *events.Emitter) { d.run.Lose(em, old, "gone", false) }); len(got) > 0 {
		t.Errorf("the loss of an older worker led to %v", got)
	}
	if d.run.Runs(old, "nonce") || !d.run.Runs(current, "nonce") {
		t.Error("the older worker still counts")
	}
}

func TestFirstNonceWins(t *testing.T) {
	d := begin(t, job("a"))
	ref := d.start("a")
	w := d.run.Job("a").Current().Placement.Worker
	got := d.do(func(em *events.Emitter) {
		if d.run.Hello(em, ref, w, "another") {
			t.Error("a second worker was let in")
		}
		if !d.run.Hello(em, ref, w, "nonce") {
			t.Error("the first one was refused when it said hello again")
		}
		if d.run.Hello(em, ref, "somebody", "nonce") {
			t.Error("a worker of another assignment was let in")
		}
	})
	if len(got) > 0 {
		t.Errorf("that led to %v", got)
	}
}

func TestAssignmentsAreAnsweredByState(t *testing.T) {
	d := begin(t, job("a"))
	a := d.assignment("a", 1)
	answer := func(want pipeline.Acceptance) {
		t.Helper()
		d.do(func(em *events.Emitter) {
			if got, _, why := d.run.Accept(em, 1, a); got != want {
				t.Errorf("answer %v (%s), want %v", got, why, want)
			}
		})
	}
	answer(pipeline.Launch)
	answer(pipeline.Launch) // not heard of yet: launch again
	j := d.run.Job("a")
	ref := d.run.AttemptRef(j, j.Current())
	d.do(func(em *events.Emitter) { d.run.Hello(em, ref, a.Worker, "nonce") })
	answer(pipeline.Leave)
	d.end(ref, events.Succeeded)
	answer(pipeline.Remove)
	a = d.assignment("a", 2)
	answer(pipeline.Refuse)
}

func (d *desk) assignment(key events.JobKey, attempt int) events.AssignmentCreated {
	ref := events.JobRef{Run: "R", Job: key}
	offer := events.OfferFor(ref, attempt)
	a := events.AssignmentCreated{Offer: offer, For: events.AttemptRef{JobRef: ref, Attempt: attempt}, Node: "n"}
	a.Assignment = events.AssignmentFor(offer)
	a.Worker = events.WorkerFor(a.Assignment)
	return a
}

func TestCancelWinsOnce(t *testing.T) {
	d := begin(t, job("a"), job("b", "a"))
	ref := d.start("a")
	cancel := events.CancelRequested{RunRef: events.RunRef{Run: "R"}, Reason: "enough"}
	e, err := events.New("c", "/relevo/api", "", d.now, cancel)
	if err != nil {
		t.Fatal(err)
	}
	got := d.do(func(em *events.Emitter) { d.run.Cancel(em, e, cancel) })
	if want := []string{"pipeline.job.cancelled", "pipeline.job.cancelled", "pipeline.run.cancelled"}; !slices.Equal(got, want) {
		t.Errorf("cancel led to %v", got)
	}
	if got := d.end(ref, events.Succeeded); len(got) > 0 {
		t.Errorf("a success after the cancel led to %v", got)
	}
	if got := d.do(func(em *events.Emitter) { d.run.Cancel(em, e, cancel) }); len(got) > 0 {
		t.Errorf("a second cancel led to %v", got)
	}
}

func TestClockAloneMovesAJob(t *testing.T) {
	d := begin(t, job("a"))
	if _, again := d.fire(time.Minute, "a", false); len(again) != 1 || again[0].ID != d.run.Job("a").Asked {
		t.Errorf("a pending job is asked for again by its own event, got %v", again)
	}
	d.accept("a")
	if _, again := d.fire(time.Second, "a", false); len(again) != 1 || again[0].Type != events.TypeAssignmentCreated {
		t.Errorf("a scheduled job's assignment is told again, got %v", again)
	}
	d.fire(d.policy.StartDeadline, "a", true)
	d.wants("a", pipeline.Scheduled) // in a time of grace silence proves nothing
	d.fire(0, "a", false)
	d.wants("a", pipeline.Pending)
	d.fire(time.Minute, "a", false)
	d.start("a")
	d.fire(d.policy.Lease, "a", true)
	d.wants("a", pipeline.Running)
	d.fire(0, "a", false)
	d.wants("a", pipeline.Pending)
	if d.run.Job("a").Lost != 2 {
		t.Errorf("%d lost, want 2", d.run.Job("a").Lost)
	}
}

func TestDeadline(t *testing.T) {
	d := begin(t, pipeline.JobSpec{ID: "a", TimeoutMinutes: 1})
	d.start("a")
	d.fire(time.Minute, "a", true)
	d.wants("a", pipeline.Running) // the agent may end it itself
	d.fire(30*time.Second, "a", true)
	d.wants("a", pipeline.Failed)
	if a := d.run.Job("a").Current(); a.State != pipeline.AttemptTimedOut || a.Verdict != events.Timeout {
		t.Errorf("attempt is %s (%s)", a.State, a.Verdict)
	}
}

// Every aggregate that is not final has a due entry, every other has none.
func TestDueEntries(t *testing.T) {
	d := begin(t, job("a"), job("b", "a"))
	check := func(subject string, want bool) {
		t.Helper()
		d.do(func(em *events.Emitter) {
			d.run.Fire(em, subject, true)
			if at := d.run.Dues(em.Now)[subject]; at.IsZero() == want {
				t.Errorf("%s is due at %v", subject, at)
			}
		})
	}
	check("run/R", true)
	check("run/R/job/a", true)
	ref := d.start("a")
	check("run/R/job/a", true)
	d.do(func(em *events.Emitter) {
		d.run.End(em, events.JobEnded{AttemptRef: ref, Verdict: events.Failed})
		for name, at := range d.run.Dues(em.Now) {
			if !at.IsZero() {
				t.Errorf("%s is due at %v after its end", name, at)
			}
		}
	})
}
