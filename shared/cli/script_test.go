package cli

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
)

const testRun events.RunID = "01JD3ZT4Q8N6W1YV5K7E9RBXHM"

// start is when scripts begin: also when a synctest bubble does.
var start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// script plays a run to a view, event by event.
type script struct {
	t    *testing.T
	view View
	now  time.Time
	// sleep, where set, lets the time pass that the script waits for.
	sleep func(time.Duration)
	names map[events.JobKey]string
	n     int
	// sent are the events so far.
	sent []events.Envelope
}

func newScript(t *testing.T, v View, plan Plan) *script {
	s := &script{t: t, view: v, now: start, names: map[events.JobKey]string{}}
	for _, j := range plan.Jobs {
		s.names[j.Key] = j.Name
	}
	return s
}

func (s *script) wait(d time.Duration) {
	s.now = s.now.Add(d)
	if s.sleep != nil {
		s.sleep(d)
	}
}

func (s *script) emit(data events.Data) events.Envelope {
	s.t.Helper()
	s.n++
	e, err := events.New(events.DeriveID("script", strconv.Itoa(s.n)), "/relevo/script", "", s.now, data)
	if err != nil {
		s.t.Fatal(err)
	}
	s.sent = append(s.sent, e)
	s.view.Event(e)
	return e
}

func (s *script) job(key events.JobKey, attempt int) *actor {
	return &actor{s, events.AttemptRef{
		JobRef: events.JobRef{Run: testRun, Job: key}, Attempt: attempt,
		Fence: events.Fence{Epoch: 1, Counter: uint32(attempt)},
	}}
}

func (s *script) runRef() events.RunRef { return events.RunRef{Run: testRun} }

// begin lets a run's jobs go.
func (s *script) begin() {
	s.emit(events.RunRequested{RunRef: s.runRef(), Pipeline: "ci", Spec: []byte(`{}`)})
	s.emit(events.RunStarted{RunRef: s.runRef()})
}

// actor is one attempt of a job.
type actor struct {
	*script
	ref events.AttemptRef
}

func (a *actor) requested() *actor {
	a.emit(events.JobRequested{JobRef: a.ref.JobRef, Attempt: a.ref.Attempt, Name: a.names[a.ref.Job]})
	return a
}

func (a *actor) offered() *actor {
	a.emit(events.OfferCreated{
		OfferRef: events.OfferRef{Pool: "local", Offer: events.OfferFor(a.ref.JobRef, a.ref.Attempt)},
		For:      a.unfenced(), Name: a.names[a.ref.Job],
		Requirements: events.Requirements{Resources: events.Resources{Slots: 1}},
	})
	return a
}

func (a *actor) unfenced() events.AttemptRef {
	return events.AttemptRef{JobRef: a.ref.JobRef, Attempt: a.ref.Attempt}
}

func (a *actor) place() events.Placement {
	id := events.AssignmentFor(events.OfferFor(a.ref.JobRef, a.ref.Attempt))
	return events.Placement{Pool: "local", Node: "laptop", Assignment: id, Worker: events.WorkerFor(id), Provider: "process"}
}

func (a *actor) scheduled() *actor {
	p := a.place()
	a.emit(events.AssignmentCreated{
		AssignmentRef: events.AssignmentRef{Pool: p.Pool, Assignment: p.Assignment},
		For:           a.unfenced(), Node: p.Node, Worker: p.Worker, Provider: p.Provider,
		Resources: events.Resources{Slots: 1},
	})
	a.emit(events.JobScheduled{AttemptRef: a.ref, Placement: p})
	return a
}

func (a *actor) released() *actor {
	p := a.place()
	a.emit(events.AssignmentReleased{
		AssignmentRef: events.AssignmentRef{Pool: p.Pool, Assignment: p.Assignment},
		For:           a.ref, Node: p.Node, Resources: events.Resources{Slots: 1},
	})
	return a
}

func (a *actor) started() *actor {
	a.emit(events.JobStarted{AttemptRef: a.ref, Worker: a.place().Worker})
	return a
}

// run takes the attempt all the way to its worker's hello.
func (a *actor) run() *actor { return a.requested().offered().scheduled().started() }

func (a *actor) step(id, name string) *actor {
	a.log("==> " + name + "\n")
	a.emit(events.StepStarted{AttemptRef: a.ref, Step: id, Name: name})
	return a
}

func (a *actor) log(text string) *actor {
	a.view.Log(a.ref, []byte(text))
	return a
}

func (a *actor) stepOK(id, name string, took time.Duration) events.StepResult {
	a.wait(took)
	r := events.StepResult{ID: id, Name: name, Conclusion: "success", Outcome: "success", Millis: took.Milliseconds()}
	a.emit(events.StepCompleted{AttemptRef: a.ref, Step: r})
	return r
}

func (a *actor) stepFailed(id, name string, exit int, took time.Duration) events.StepResult {
	a.wait(took)
	a.log(fmt.Sprintf("==> exited with %d\n", exit))
	r := events.StepResult{ID: id, Name: name, Conclusion: "failure", Outcome: "failure", Exit: exit, Millis: took.Milliseconds()}
	a.emit(events.StepFailed{AttemptRef: a.ref, Step: r})
	return r
}

func (a *actor) stepSkipped(id, name string) events.StepResult {
	r := events.StepResult{ID: id, Name: name, Conclusion: "skipped", Outcome: "skipped", Exit: -1}
	a.emit(events.StepSkipped{AttemptRef: a.ref, Step: r})
	return r
}

func (a *actor) completed(steps ...events.StepResult) *actor {
	a.emit(events.JobEnded{AttemptRef: a.ref, Verdict: events.Succeeded, Steps: steps})
	a.emit(events.JobCompleted{AttemptRef: a.ref, Placement: a.place(), Steps: steps})
	return a
}

func (a *actor) failed(v events.Verdict, reason string, steps ...events.StepResult) *actor {
	a.emit(events.JobEnded{AttemptRef: a.ref, Verdict: v, Reason: reason, Steps: steps})
	a.emit(events.JobFailed{AttemptRef: a.ref, Placement: a.place(), Verdict: v, Reason: reason, Steps: steps})
	return a
}

func (a *actor) retried(v events.Verdict, reason string, wait time.Duration) *actor {
	a.emit(events.JobRetried{
		AttemptRef: a.ref, Placement: a.place(), Verdict: v, Reason: reason,
		Budget: "infra", NotBefore: a.now.Add(wait),
	})
	return a
}

func (a *actor) skipped(reason string) *actor {
	a.emit(events.JobSkipped{JobRef: a.ref.JobRef, Reason: reason})
	return a
}
