package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/relevo-ci/relevo/events"
	awaitrequested "github.com/relevo-ci/relevo/functions/await-requested"
	deliveryreceived "github.com/relevo-ci/relevo/functions/delivery-received"
	"github.com/relevo-ci/relevo/shared/arrivals"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

// Gates are jobs that await an event from outside, or an approval. What is drawn
// for them has a generator of its own, so that seeds without any play as ever.

const (
	gateEvent   = "com.example.came"
	leastGate   = time.Minute
	longestGate = 30 * time.Minute
)

// doors are the functions behind the front doors.
func doors(front *state.Front, runs *state.Runs) []fn.Function {
	come := &arrivals.Arrivals{Front: front, Runs: runs}
	return []fn.Function{
		awaitrequested.New(come),
		deliveryreceived.New(&deliveryreceived.Work{
			Front: front, Runs: runs, Where: come.Satisfies,
			Awaits: func(ctx context.Context, cause events.Envelope, d trigger.Delivery, event []byte) (int, []events.Envelope, error) {
				woken, err := come.Wake(ctx, "delivery-received", cause, d, event)
				return len(woken.Jobs), woken.Emitted, err
			},
		}),
	}
}

// gated makes a gate of one job in eight.
func (w *World) gated(job pipeline.JobSpec) pipeline.JobSpec {
	if w.gates.IntN(8) > 0 {
		return job
	}
	wait := leastGate + time.Duration(w.gates.Int64N(int64(longestGate-leastGate)))
	gate := pipeline.JobSpec{
		ID: job.ID, Key: job.Key, Name: job.Name, Needs: job.Needs, If: job.If,
		Await: &pipeline.Await{TimeoutSeconds: wait.Round(time.Second).Seconds()},
	}
	if w.gates.IntN(3) == 0 {
		gate.Await.Approval = true
		return gate
	}
	run := &expression.Node{Op: expression.Prop, Name: "run_id", Args: []*expression.Node{{Op: expression.Var, Name: "github"}}}
	gate.Await.Type = gateEvent
	gate.Await.Where = &expression.Template{Parts: []expression.Part{{Text: "subject = '"}, {Expr: run}, {Text: "/" + job.ID + "'"}}}
	return gate
}

// wake lets come what a gate awaits, at some time or never, and again; and what
// it does not await.
func (w *World) wake(run events.RunID, gate pipeline.JobSpec) {
	in := func(most time.Duration) time.Duration { return time.Duration(w.gates.Int64N(int64(most))) }
	subject := string(run) + "/" + gate.ID
	if !gate.Await.Approval && w.gates.IntN(3) == 0 {
		w.ready[events.JobRef{Run: run, Job: gate.Key}.Subject()] = true
		return
	}
	for n := range w.gates.IntN(4) {
		id, at := fmt.Sprintf("%s/%d", subject, n), in(12*time.Minute)
		if gate.Await.Approval {
			refused := w.gates.IntN(4) == 0
			w.after(at, func() { w.review(events.JobRef{Run: run, Job: gate.Key}, refused) })
			continue
		}
		for range 1 + w.gates.IntN(2) { // whoever sends it may do so twice
			w.after(at+in(time.Minute), func() { w.come(id, subject) })
		}
		w.after(in(12*time.Minute), func() { w.come(id+"/other", "somebody else's") })
	}
}

// answer lets the event of a gate come as soon as it is asked for: others may
// hear of the job later than that.
func (w *World) answer(e events.Envelope) {
	if e.Type != events.TypeAwaitRequested || !w.ready[e.Subject] {
		return
	}
	delete(w.ready, e.Subject)
	_, key, _ := pipeline.ParseSubject(e.Subject)
	subject := e.RunID + "/" + string(key)
	w.after(time.Duration(w.gates.Int64N(int64(time.Second))), func() { w.come(subject, subject) })
}

// come sends an event, as its sender does until it is acknowledged.
func (w *World) come(id, subject string) {
	body, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": id, "source": "/sim", "type": gateEvent, "subject": subject, "data": map[string]any{"id": id},
	})
	if err != nil {
		panic(err)
	}
	ok := w.surely(func(p *process) error {
		r, err := p.deps.Doors.Receive(context.Background(), "api", trigger.Arrival{Source: pipeline.CloudEvent, Sender: "/sim " + id, Event: gateEvent}, body)
		if err == nil {
			if r.Arrived != state.Accepted {
				w.count("event from outside came twice")
			}
			w.checks.came(subject, r.Delivery.Received)
			w.publish(p, r.Emitted)
		}
		return err
	})
	w.note("come %s %v", id, ok)
	w.checks.after("api")
}

// review answers a gate, as the API does.
func (w *World) review(ref events.JobRef, refused bool) {
	ok := w.surely(func(p *process) error {
		run, moment, err := p.deps.Runs.Load(context.Background(), ref.Run)
		if errors.Is(err, state.ErrNoRun) {
			return nil
		}
		if err != nil {
			return err
		}
		j := run.Job(ref.Job)
		if !j.Awaiting() {
			return nil // refused: 409
		}
		d := events.AwaitMatched{JobRef: ref, By: "ada", Refused: refused}
		e, err := events.New(events.DeriveID("await.matched", j.Asked, strconv.FormatBool(refused)), "/relevo/api", j.Asked, moment.Now, d)
		if err != nil {
			return err
		}
		out, err := p.function("await-matched").Handle(context.Background(), e)
		if err == nil {
			w.checks.after("await-matched")
			w.publish(p, append([]events.Envelope{e}, out...))
		}
		return err
	})
	w.note("review %s %v %v", ref.Subject(), refused, ok)
	w.checks.after("api")
}
