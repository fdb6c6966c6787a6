package pipeline_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

// desk is a run on a desk: decisions are made by hand, each from the state as
// it would be loaded, and every event goes into a ledger.
type desk struct {
	t      *testing.T
	run    *pipeline.Run
	req    events.RunRequested
	now    time.Time
	policy pipeline.Policy
	ledger []events.Envelope
	serial int
}

func begin(t *testing.T, jobs ...pipeline.JobSpec) *desk {
	t.Helper()
	for i := range jobs {
		if jobs[i].Key == "" {
			jobs[i].Key = events.JobKey(jobs[i].ID)
		}
		jobs[i].Name = expression.Text(string(jobs[i].Key))
	}
	raw, err := json.Marshal(pipeline.Spec{Name: "p", Jobs: jobs})
	if err != nil {
		t.Fatal(err)
	}
	return beginAs(t, events.RunRequested{RunRef: events.RunRef{Run: "R"}, Pipeline: "p", Spec: raw})
}

// beginAs begins the run of a request.
func beginAs(t *testing.T, req events.RunRequested) *desk {
	t.Helper()
	d := &desk{t: t, req: req, now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), policy: pipeline.DefaultPolicy()}
	em := d.emitter()
	var err error
	if d.run, err = pipeline.New(em, d.req, d.policy); err != nil {
		t.Fatal(err)
	}
	d.ledger = em.Emitted()
	d.do(func(em *events.Emitter) { d.run.Start(em) })
	return d
}

func (d *desk) emitter() *events.Emitter {
	d.serial++
	cause := events.Envelope{ID: "cause" + string(rune('0'+d.serial%10)) + d.now.String(), Source: "/relevo/test", Type: events.TypeClockTicked, Data: []byte("{}")}
	return &events.Emitter{Function: "test", Cause: cause, Now: d.now, Owner: d.req.Subject(), Version: uint64(d.serial)}
}

// do makes a decision and gives the types of what it emitted.
func (d *desk) do(decide func(em *events.Emitter)) []string {
	d.t.Helper()
	state, err := json.Marshal(d.run)
	if err != nil {
		d.t.Fatal(err)
	}
	request, err := json.Marshal(d.req)
	if err != nil {
		d.t.Fatal(err)
	}
	if d.run, err = pipeline.Load(state, request, d.policy); err != nil {
		d.t.Fatal(err)
	}
	em := d.emitter()
	decide(em)
	if err := d.run.Err(); err != nil {
		d.t.Fatal(err)
	}
	d.ledger = append(append(d.ledger, d.run.Absorbed()...), em.Emitted()...)
	d.replay()
	var types []string
	for _, e := range em.Emitted() {
		types = append(types, strings.TrimSuffix(strings.TrimPrefix(string(e.Type), "dev.relevo."), ".v1"))
	}
	return types
}

// replay holds S7: the ledger alone gives the state, byte for byte.
func (d *desk) replay() {
	d.t.Helper()
	var again pipeline.Run
	for _, e := range d.ledger {
		if err := again.Replay(e); err != nil {
			d.t.Fatalf("replay %s: %v", e.Type, err)
		}
	}
	got, _ := json.Marshal(&again)
	want, _ := json.Marshal(d.run)
	if string(got) != string(want) {
		d.t.Fatalf("replayed %s\nstored   %s", got, want)
	}
}

// accept schedules the job's pending attempt.
func (d *desk) accept(key events.JobKey) events.AttemptRef {
	d.t.Helper()
	job := events.JobRef{Run: d.req.Run, Job: key}
	offer := events.OfferFor(job, d.run.Job(key).Attempt)
	a := events.AssignmentCreated{
		AssignmentRef: events.AssignmentRef{Pool: "x", Assignment: events.AssignmentFor(offer)}, Offer: offer,
		For: events.AttemptRef{JobRef: job, Attempt: d.run.Job(key).Attempt}, Node: "n",
	}
	a.Worker = events.WorkerFor(a.Assignment)
	d.do(func(em *events.Emitter) {
		if got, _, why := d.run.Accept(em, 1, a); got != pipeline.Launch {
			d.t.Fatalf("assignment of %s: %v %s", key, got, why)
		}
	})
	j := d.run.Job(key)
	return d.run.AttemptRef(j, j.Current())
}

// start schedules the job and lets its worker say hello.
func (d *desk) start(key events.JobKey) events.AttemptRef {
	d.t.Helper()
	ref := d.accept(key)
	d.do(func(em *events.Emitter) {
		if !d.run.Hello(em, ref, d.run.Job(key).Current().Placement.Worker, "nonce") {
			d.t.Fatalf("hello of %s refused", key)
		}
	})
	return ref
}

func (d *desk) end(ref events.AttemptRef, v events.Verdict) []string {
	d.t.Helper()
	return d.do(func(em *events.Emitter) {
		d.run.End(em, events.JobEnded{AttemptRef: ref, Verdict: v, Reason: "it says so"})
	})
}

func (d *desk) wants(key events.JobKey, s pipeline.JobState) {
	d.t.Helper()
	if got := d.run.Job(key).State; got != s {
		d.t.Fatalf("job %s is %q, want %q", key, got, s)
	}
}

func job(id string, needs ...string) pipeline.JobSpec { return pipeline.JobSpec{ID: id, Needs: needs} }

func TestDiamond(t *testing.T) {
	d := begin(t, job("a"), job("b", "a"), job("c", "a"), job("d", "b", "c"))
	d.wants("a", pipeline.Pending)
	d.wants("b", pipeline.Waiting)
	d.end(d.start("a"), events.Succeeded)
	d.wants("b", pipeline.Pending)
	d.wants("c", pipeline.Pending)
	d.end(d.start("b"), events.Succeeded)
	d.wants("d", pipeline.Waiting)
	d.end(d.start("c"), events.Succeeded)
	last := d.end(d.start("d"), events.Succeeded)
	if d.run.State != pipeline.RunSucceeded || last[len(last)-1] != "pipeline.run.completed" {
		t.Errorf("run is %s after %v", d.run.State, last)
	}
}

func TestFailureSkipsFollowers(t *testing.T) {
	always := pipeline.JobSpec{ID: "clean", Needs: []string{"b"}, If: &expression.Node{Op: expression.Call, Name: "always"}}
	d := begin(t, job("a"), job("b", "a"), always)
	d.end(d.start("a"), events.Failed)
	d.wants("b", pipeline.Skipped)
	d.wants("clean", pipeline.Pending)
	d.end(d.start("clean"), events.Succeeded)
	if d.run.State != pipeline.RunFailed || d.run.Verdict != events.Failed {
		t.Errorf("run is %s (%s)", d.run.State, d.run.Verdict)
	}
}

func TestContinueOnErrorSparesTheRun(t *testing.T) {
	yes := expression.Text("true")
	d := begin(t, pipeline.JobSpec{ID: "a", ContinueOnError: &yes}, job("b", "a"))
	d.end(d.start("a"), events.Failed)
	d.wants("a", pipeline.Failed)
	d.end(d.start("b"), events.Succeeded)
	if d.run.State != pipeline.RunSucceeded {
		t.Errorf("run is %s", d.run.State)
	}
}

func TestFailFastStopsTheMatrix(t *testing.T) {
	one := func(i int) pipeline.JobSpec {
		return pipeline.JobSpec{
			ID: "m", Key: events.JobKey("m." + string(rune('0'+i))),
			Strategy: &pipeline.Strategy{FailFast: true, MaxParallel: 2, Index: i, Total: 3},
		}
	}
	d := begin(t, one(0), one(1), one(2), job("other"))
	d.wants("m.2", pipeline.Waiting) // max-parallel
	ref := d.start("m.0")
	d.start("m.1")
	d.end(ref, events.Failed)
	d.wants("m.1", pipeline.Cancelled)
	d.wants("m.2", pipeline.Cancelled)
	d.wants("other", pipeline.Pending)
}

func TestMaxParallelLetsTheNextIn(t *testing.T) {
	one := func(i int) pipeline.JobSpec {
		return pipeline.JobSpec{ID: "m", Key: events.JobKey("m." + string(rune('0'+i))), Strategy: &pipeline.Strategy{MaxParallel: 1, Index: i, Total: 2}}
	}
	d := begin(t, one(0), one(1))
	d.wants("m.1", pipeline.Waiting)
	d.end(d.start("m.0"), events.Succeeded)
	d.wants("m.1", pipeline.Pending)
}
