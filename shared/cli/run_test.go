package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// watch is a view of what is known of a run, and nothing else.
type watch struct {
	deaf
	*run
}

func (w watch) Event(e events.Envelope) { w.apply(e, e.Time) }

func watched(t *testing.T, plan Plan) (*script, *run) {
	r := newRun(plan, nil)
	return newScript(t, watch{run: r}, plan), r
}

func TestLateEventsOfAnEarlierAttempt(t *testing.T) {
	s, r := watched(t, release)
	first := s.job("build", 1).run()
	first.retried(events.Infra, "lost", 0)
	s.job("build", 2).requested()
	first.scheduled().started().step("0", "compile").stepOK("0", "compile", time.Second)
	s.emit(events.JobEnded{AttemptRef: first.ref, Verdict: events.Succeeded})
	first.retried(events.Infra, "lost once more", 0)
	if j := r.job("build"); j.phase != asked || j.attempt != 2 || len(j.steps) != 0 || j.place.Node != "" {
		t.Errorf("the second attempt is in phase %d of attempt %d, with steps %v on %q", j.phase, j.attempt, j.steps, j.place.Node)
	}
}

func TestWhatAJobWaitsFor(t *testing.T) {
	plan := Plan{Run: testRun, Jobs: []Job{
		{Key: "a"},
		{Key: "b", Needs: []string{"a", "c", "d", "m"}},
		{Key: "c"},
		{Key: "d"},
		{Key: "m.0"},
		{Key: "m.1"},
	}}
	s, r := watched(t, plan)
	expect := func(key events.JobKey, want string) {
		t.Helper()
		if got := r.detail(r.job(key), s.now); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	expect("a", "")
	expect("b", "waiting for a, c, d and 1 more")
	s.begin()
	expect("m.0", "waiting for its turn")
	s.job("m.0", 1).run().completed().released()
	s.job("c", 1).skipped("why not")
	expect("b", "waiting for a, d, m")

	s.emit(events.JobRequested{JobRef: s.job("a", 1).ref.JobRef, Attempt: 1, Group: "prod"})
	expect("a", "waiting for the concurrency group prod")
	a := s.job("a", 1).offered()
	expect("a", "queued in pool local")
	s.capacityOf(1)
	expect("a", "queued in pool local")
	d := s.job("d", 1).run()
	expect("a", "queued: laptop has 0 of 1 worker slots free, the job asks for 1")
	s.emit(events.CapacityUpdated{Pool: "local", Node: "other", Taints: []string{"gpu"}, Since: s.now})
	s.emit(events.CapacityUpdated{Pool: "elsewhere", Node: "n", Capacity: events.Resources{Slots: 9}, Since: s.now})
	expect("a", "queued: laptop has 0 of 1 worker slots free, the job asks for 1; and 1 more node")
	d.completed().released()
	expect("a", "queued in pool local")
	a.scheduled()
	expect("a", "starting on laptop (process)")
	s.emit(events.WorkerCreated{For: a.ref, Placement: a.place(), Preparing: "pulling x"})
	expect("a", "pulling x")
	s.emit(events.WorkerCreated{For: a.ref, Placement: a.place()})
	expect("a", "starting on laptop (process)")
	a.started()
	expect("a", "")
	a.retried(events.Failed, "exited with 1", 90*time.Second)
	expect("a", "retry 2 in 1m30s: exited with 1")
	s.wait(2 * time.Minute)
	expect("a", "retry 2: exited with 1")
	s.job("a", 2).run().failed(events.Timeout, "too slow")
	expect("a", "at attempt 2: too slow")
}

// Whatever order the plan has, needs stand before those that need them; a
// circle, which no pipeline has, does no harm.
func TestNeedsComeFirst(t *testing.T) {
	r := newRun(Plan{Jobs: []Job{
		{Key: "x", Needs: []string{"y"}},
		{Key: "m.0", Needs: []string{"z"}},
		{Key: "y", Needs: []string{"x", "gone"}},
		{Key: "m.1", Needs: []string{"z"}},
		{Key: "z"},
		{Key: "last", Needs: []string{"m.1"}},
	}}, nil)
	var keys []string
	for _, j := range r.jobs {
		keys = append(keys, string(j.Key))
	}
	if got, want := strings.Join(keys, " "), "y x z m.0 m.1 last"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
