package main

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
)

// twins names the fault of two workers with one fence.
const twins = "two workers with one fence"

// logLines is how much every attempt writes.
const logLines = 3

// agent is a worker's agent: it says hello, writes its log, beats and ends,
// and sends again what was not acknowledged.
type agent struct {
	w      *World
	l      execution.Launch
	nonce  string
	born   time.Time
	alive  bool
	zombie bool // alive after its provider removed it
	hello  bool // acknowledged: its steps ran
	log    []byte
	acked  int64
	lines  int
	hangs  bool // its step never ends by itself
	ending *execution.Ending
}

// launched starts the agent of a worker that the provider made.
func (w *World) launched(l execution.Launch) {
	w.note("launch %s %s", l.Worker, l.Fence)
	w.checks.launched(l)
	w.start(l, "a")
	if w.chance(w.faults.Twin) {
		w.count(twins)
		w.start(l, "b")
	}
	if w.chance(w.faults.WorkerLost) {
		w.count("worker lost")
		w.after(w.between(0, 40*time.Second), func() { w.kill(l) })
	}
}

func (w *World) start(l execution.Launch, twin string) {
	w.order++
	a := &agent{w: w, l: l, alive: true, born: w.now, nonce: twin + strconv.FormatUint(w.order, 10)}
	if l.Job.TimeoutMinutes > 0 && w.chance(w.faults.UserFails) {
		w.count("user's step never ends")
		a.hangs = true
	}
	w.agents = append(slices.DeleteFunc(w.agents, func(a *agent) bool { return !a.alive }), a)
	w.checks.born(a)
	most := 2 * time.Second
	if twin != "a" {
		most = 40 * time.Second
	}
	w.after(w.provider.pull+w.between(10*time.Millisecond, most), a.sayHello)
}

// kill ends a worker from outside; its provider may or may not tell.
func (w *World) kill(l execution.Launch) {
	found := false
	for _, a := range w.agents {
		if a.l.Worker == l.Worker && a.l.Fence == l.Fence && a.alive && !a.zombie {
			a.alive, found = false, true
		}
	}
	if !found {
		return
	}
	w.provider.Exit(l.Worker, 137, "killed", false)
	if w.chance(0.5) {
		w.count("loss of a worker not told")
		return
	}
	w.after(w.between(0, 3*time.Second), func() {
		w.in(func(p *process) { w.publish(p, []events.Envelope{gone(l, "exited 137", w.now)}) })
	})
}

func gone(l execution.Launch, why string, at time.Time) events.Envelope {
	place := events.Placement{Pool: l.Pool, Assignment: l.Assignment, Worker: l.Worker, Provider: "fake"}
	e, err := events.New(events.DeriveID("watch", string(l.Worker), l.Fence.String()), "/relevo/provider", "", at,
		events.WorkerFailed{For: l.AttemptRef, Placement: place, Reason: why})
	if err != nil {
		panic(err)
	}
	return e
}

// stall makes an agent silent for longer than its lease, now and then.
func (a *agent) stall() time.Duration {
	if a.w.chance(a.w.faults.Stall) {
		a.w.count("worker silent past its lease, then late")
		return a.w.between(31*time.Second, 4*time.Minute)
	}
	return 0
}

func (a *agent) send(kind string) (execution.Reply, bool) {
	r := execution.Report{AttemptRef: a.l.AttemptRef, Worker: a.l.Worker, Nonce: a.nonce, Kind: kind, End: a.ending}
	if data := a.log[min(a.acked, int64(len(a.log))):]; len(data) > 0 {
		if a.w.chance(a.w.faults.Partial) {
			a.w.count("report with a part of the log")
			data = data[:1+a.w.rng.IntN(len(data))]
		}
		r.Logs = []execution.Chunk{{Offset: a.acked, Data: data}}
	}
	reply, err := a.w.report(r)
	if err != nil {
		return reply, false
	}
	if reply.Gone != "" || reply.Cancel != "" {
		a.stop()
		return reply, false
	}
	a.acked = max(a.acked, reply.Acknowledged)
	return reply, true
}

// stop is what an agent does that is told to go: it exits.
func (a *agent) stop() {
	a.exit("told to go")
}

func (a *agent) exit(why string) {
	a.alive = false
	if !a.zombie {
		a.w.provider.Exit(a.l.Worker, 0, why, false)
	}
}

func (a *agent) sayHello() {
	if !a.alive {
		return
	}
	if _, ok := a.send(execution.Hello); !ok {
		if a.alive {
			a.w.after(a.w.between(500*time.Millisecond, 2*time.Second), a.sayHello)
		}
		return
	}
	a.hello = true
	a.w.checks.ran(a)
	a.w.after(a.stall()+a.w.between(100*time.Millisecond, 3*time.Second), a.work)
}

// work is one beat of the job: some log, and at the last line the end.
func (a *agent) work() {
	if !a.alive {
		return
	}
	if a.lines < logLines && a.ending == nil {
		a.lines++
		a.log = append(a.log, logLine(a.l.AttemptRef, a.nonce, a.lines)...)
	}
	if a.lines == logLines && a.ending == nil && !a.hangs {
		a.ending = a.verdict()
	}
	kind := execution.Beat
	if a.ending != nil {
		kind = execution.End
	}
	reply, ok := a.send(kind)
	if ok && a.ending != nil && reply.Acknowledged >= a.ending.LogBytes {
		a.exit("done")
		return
	}
	if a.alive {
		a.w.after(a.stall()+a.w.between(100*time.Millisecond, 10*time.Second), a.work)
	}
}

// logLine is what the worker with that nonce writes as its nth line.
func logLine(ref events.AttemptRef, nonce string, n int) string {
	return fmt.Sprintf("%s %d %s %s line %d\n", ref.Job, ref.Attempt, ref.Fence, nonce, n)
}

// verdict draws how the attempt went: by the author's doing, or the machine's.
func (a *agent) verdict() *execution.Ending {
	e := &execution.Ending{
		Verdict: events.Succeeded, LogBytes: int64(len(a.log)), Outputs: map[string]string{"who": a.l.Fence.String()},
		Steps: []events.StepResult{{ID: "0", Name: "run", Conclusion: "success", Outcome: "success"}},
	}
	if !a.w.chance(a.w.faults.UserFails) {
		return e
	}
	e.Steps[0].Conclusion, e.Steps[0].Outcome = "failure", "failure"
	switch a.w.rng.IntN(8) {
	case 0:
		e.Verdict, e.Reason = events.Infra, "disk full"
		a.w.count("machine failed under a step")
	case 1:
		e.Verdict, e.Reason = events.Cancelled, "told to stop from outside"
		a.w.count("worker told to stop from outside")
	case 2:
		e.Verdict, e.Reason = events.Timeout, "step ran too long"
		a.w.count("user's step timed out")
	default:
		e.Verdict, e.Reason = events.Failed, "exit 1"
		a.w.count("user's step failed")
	}
	return e
}
