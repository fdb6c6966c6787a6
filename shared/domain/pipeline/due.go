package pipeline

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// Dues gives, for every aggregate of the run, when it must be looked at; the
// zero time for those that are final. Lease ends are not in it: a running job
// is due at its deadline here, and a beat moves that nearer (BeatDue).
func (r *Run) Dues(now time.Time) map[string]time.Time {
	due := map[string]time.Time{}
	run := events.RunRef{Run: r.ID}.Subject()
	switch {
	case r.State.Final():
		due[run] = zeroTime
	case r.State == RunRequested:
		due[run] = now.Add(r.wait(r.Requested, now))
	default:
		due[run] = now.Add(time.Hour)
	}
	for _, j := range r.Jobs {
		if r.touched[j.Key] {
			due[r.ref(j).Subject()] = r.jobDue(j, now)
		}
	}
	return due
}

func (r *Run) jobDue(j *Job, now time.Time) time.Time {
	switch j.State {
	case Pending:
		if !j.NotBefore.IsZero() {
			return j.NotBefore
		}
		if j.Await != nil {
			return r.awaitDue(j, now)
		}
		return now.Add(r.wait(j.AskedAt, now))
	case Scheduled:
		a := j.live()
		return earlier(a.StartBy, now.Add(r.wait(a.Scheduled, now)))
	case Running:
		return earlier(j.live().Deadline.Add(deadlineGrace), now.Add(r.policy.Lease))
	}
	return zeroTime
}

// deadlineGrace lets the agent, which knows the deadline too, be the one that
// ends the job: it then tells how far the steps came.
const deadlineGrace = 30 * time.Second

// wait grows with how long a state lasts already: a long queue is not asked
// every few seconds.
func (r *Run) wait(since, now time.Time) time.Duration {
	return min(max(r.policy.Nudge, now.Sub(since)/4), 10*time.Minute)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// BeatDue is when a running job is due after a beat at now.
func (r *Run) BeatDue(key events.JobKey, now time.Time) time.Time {
	return r.jobDue(r.Job(key), now)
}

// ParseSubject splits run/<id> and run/<id>/job/<key>.
func ParseSubject(s string) (events.RunID, events.JobKey, bool) {
	rest, ok := strings.CutPrefix(s, "run/")
	if !ok {
		return "", "", false
	}
	run, job, ok := strings.Cut(rest, "/job/")
	if !ok && strings.Contains(rest, "/") {
		return "", "", false
	}
	return events.RunID(run), events.JobKey(job), run != ""
}

// Timer is the cause of what the clock decides: its id is derived from the
// aggregate, its state and the timer, so that two clocks decide the same.
func (r *Run) Timer(subject, name string, at time.Time) events.Envelope {
	e := events.Envelope{Source: "/relevo/clock-ticked", Subject: subject, Time: at, RunID: string(r.ID), CauseID: r.Asked}
	_, key, _ := ParseSubject(subject)
	mark := string(r.State)
	if j := r.Job(key); j != nil {
		mark = string(j.State) + "/" + strconv.Itoa(j.Attempt)
		e.CauseID = j.Last
		if a := j.Current(); a != nil {
			mark += "/" + a.Fence.String()
		}
	}
	e.ID = events.DeriveID(subject, mark, name)
	return e
}

// Fire is called when an aggregate of the run is due: it decides what time
// alone decides, and returns the events to be sent again because the state
// still waits for their effect. grace is true while silence proves nothing,
// e.g. after the store was away.
func (r *Run) Fire(em *events.Emitter, subject string, grace bool) (resend []events.Envelope) {
	_, key, _ := ParseSubject(subject)
	if key == "" {
		return r.fireRun(em)
	}
	j := r.Job(key)
	if j == nil || j.State.Final() {
		return nil
	}
	if r.touched == nil {
		r.touched = map[events.JobKey]bool{}
	}
	r.touched[key] = true // its due entry moves on, whatever is decided
	now := em.Now
	switch j.State {
	case Pending:
		if !j.NotBefore.IsZero() {
			if !now.Before(j.NotBefore) {
				r.requestAgain(em, j)
			}
			return nil
		}
		if j.Await != nil {
			return r.fireAwait(em, j)
		}
		if l := r.policy.QueueLimit; l > 0 && now.Sub(j.AskedAt) >= l {
			// Its offer expired by now, and nobody told.
			r.fail(em, j, events.Rejected, "waited for its turn longer than "+l.String())
			r.settle(em, j)
			return nil
		}
		return []events.Envelope{r.askedAgain(j)}
	case Scheduled:
		return r.fireScheduled(em, j, grace)
	case Running:
		r.fireRunning(em, j, grace)
	}
	return nil
}

func (r *Run) fireRun(em *events.Emitter) []events.Envelope {
	switch r.State {
	case RunRequested:
		return r.Again()
	case RunRunning:
		r.advance(em)
	}
	return nil
}

func (r *Run) fireScheduled(em *events.Emitter, j *Job, grace bool) []events.Envelope {
	a := j.live()
	if !em.Now.Before(a.StartBy) && !grace {
		why := "its worker did not report within " + a.StartBy.Sub(a.Scheduled).String()
		if a.Preparing != "" {
			why += ": " + a.Preparing
		}
		r.lose(em, j, why, false)
		return nil
	}
	d := events.AssignmentCreated{
		AssignmentRef: events.AssignmentRef{Pool: a.Placement.Pool, Assignment: a.Placement.Assignment},
		Offer:         events.OfferFor(r.ref(j), a.Number),
		For:           events.AttemptRef{JobRef: r.ref(j), Attempt: a.Number},
		Node:          a.Placement.Node, Worker: a.Placement.Worker, Provider: a.Placement.Provider,
		Resources: j.Request.Requirements.Resources,
	}
	return []events.Envelope{r.rebuild(a.Cause, "/relevo/offer-created", a.Scheduled, d)}
}

func (r *Run) fireRunning(em *events.Emitter, j *Job, grace bool) {
	a := j.live()
	if !em.Now.Before(a.Deadline.Add(deadlineGrace)) {
		r.fault(em, j, events.JobEnded{
			AttemptRef: r.AttemptRef(j, a), Verdict: events.Timeout,
			Reason: fmt.Sprintf("ran longer than its timeout of %s", a.Deadline.Sub(a.Started)),
		})
		return
	}
	if !grace {
		r.lose(em, j, fmt.Sprintf("its worker was silent for more than %s", r.policy.Lease), false)
	}
}

func (r *Run) askedAgain(j *Job) events.Envelope {
	return r.rebuild(j.Asked, "/relevo/pipeline", j.AskedAt, j.Request)
}

// rebuild makes an event that was emitted before: same id, same payload.
func (r *Run) rebuild(id, source string, at time.Time, d events.Data) events.Envelope {
	raw, err := json.Marshal(d)
	if err != nil { // payloads of package events always encode
		panic(err)
	}
	return events.Envelope{
		ID: id, Source: source, Type: d.EventType(), Subject: d.Subject(), Time: at, Data: raw,
		RunID: string(r.ID), PartitionKey: string(r.ID),
	}
}

// Again is the run.requested event of the run, as it was emitted: same id,
// same payload.
func (r *Run) Again() []events.Envelope {
	return []events.Envelope{r.rebuild(r.Asked, "/relevo/api", r.Requested, r.request)}
}
