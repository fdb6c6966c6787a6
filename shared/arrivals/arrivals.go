// Package arrivals holds CloudEvents from outside against the jobs that wait
// for them, from both ends: an event that came wakes the jobs that it satisfies,
// and a job that begins to wait looks at what came since it was asked for, since
// it may have been told of later than that.
package arrivals

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/cesql"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

// Source of deliveries that are CloudEvents.
const Source = "cloudevent"

// Arrivals is where both meet. Its zero filters are ready to use.
type Arrivals struct {
	Front *state.Front
	Runs  *state.Runs

	filters filters
}

// Woken is what an event came to.
type Woken struct {
	Jobs    []events.JobRef   // that it woke
	Waiting int               // jobs that wait for its type, those included
	Emitted []events.Envelope // to be published
}

// Wake wakes the jobs that wait for an event, which came as that delivery. It
// may be repeated: a job is woken once.
func (a *Arrivals) Wake(ctx context.Context, function string, cause events.Envelope, d trigger.Delivery, structured []byte) (Woken, error) {
	var w Woken
	e, err := decode(structured)
	if err != nil {
		return w, err
	}
	if err := a.Front.Arrive(ctx, function, cause, e.Type(), d.ID, d.Received); err != nil {
		return w, err
	}
	waiting, err := a.Front.Awaits(ctx, e.Type())
	if err != nil {
		return w, err
	}
	w.Waiting = len(waiting)
	for _, job := range waiting {
		if !a.satisfies(job.Where, e) {
			continue
		}
		emitted, woken, err := a.wake(ctx, function, cause, job, e, structured)
		w.Emitted = append(w.Emitted, emitted...)
		if err != nil {
			return w, err
		}
		if woken {
			w.Jobs = append(w.Jobs, job.JobRef)
		}
	}
	return w, nil
}

// wake tells one job. The cause is derived for each: one event may wake several
// jobs of a partition.
func (a *Arrivals) wake(ctx context.Context, function string, cause events.Envelope, job trigger.Await, e event.Event, structured []byte) ([]events.Envelope, bool, error) {
	cause.ID = events.DeriveID("wake", cause.ID, job.Subject())
	res, woken, err := a.Front.Wake(ctx, function, cause, job.Type, job.JobRef, trigger.Answer{
		Event: structured, By: e.Source(),
	})
	return res.Emitted, woken, err
}

// Await lets a job wait, where it does so still; else the wait is forgotten.
func (a *Arrivals) Await(ctx context.Context, function string, cause events.Envelope, d events.AwaitRequested) ([]events.Envelope, error) {
	if d.Approval {
		return nil, nil // whoever approves asks the run itself
	}
	j, err := a.job(ctx, d.JobRef)
	if err != nil {
		return nil, err
	}
	if j == nil || !j.Awaiting() {
		return nil, a.Front.RemoveAwait(ctx, d.Type, d.JobRef)
	}
	cause.Time = time.Time{} // old as it may be, the run says that its job waits
	job := trigger.Await{JobRef: d.JobRef, Type: d.Type, Where: d.Where, Deadline: d.Deadline}
	res, err := a.Front.AddAwait(ctx, function, cause, job)
	if err != nil || len(res.Emitted) > 0 { // it was woken before
		return res.Emitted, err
	}
	return a.before(ctx, function, cause, job, j)
}

// before wakes a job by an event that came between its asking and its wait.
func (a *Arrivals) before(ctx context.Context, function string, cause events.Envelope, job trigger.Await, j *pipeline.Job) ([]events.Envelope, error) {
	ids, err := a.Front.Arrivals(ctx, job.Type, j.AskedAt)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		_, body, err := a.Front.Delivery(ctx, id)
		if fn.KindOf(err) == fn.NotFound && err != nil {
			continue // dropped for lack of room
		}
		if err != nil {
			return nil, err
		}
		e, err := decode(body)
		if err != nil || !a.satisfies(job.Where, e) {
			continue
		}
		emitted, _, err := a.wake(ctx, function, cause, job, e, body)
		return emitted, err
	}
	return nil, nil
}

// Forget ends the wait of a job that is over; one that waits still, or waited
// for nothing, stays as it is.
func (a *Arrivals) Forget(ctx context.Context, ref events.JobRef) error {
	j, err := a.job(ctx, ref)
	if err != nil || j == nil || j.Await == nil || j.Await.Approval || !j.State.Final() {
		return err
	}
	return a.Front.RemoveAwait(ctx, j.Await.Type, ref)
}

// job is one of a run; nil where there is none, or no run.
func (a *Arrivals) job(ctx context.Context, ref events.JobRef) (*pipeline.Job, error) {
	run, _, err := a.Runs.Load(ctx, ref.Run)
	if err != nil {
		if fn.KindOf(err) == fn.NotFound {
			return nil, nil
		}
		return nil, err
	}
	return run.Job(ref.Job), nil
}

// Satisfies tells whether a CloudEvent in its structured form satisfies a
// filter. A filter that cannot be read, or evaluated for it, is an error.
func (a *Arrivals) Satisfies(where string, structured []byte) (bool, error) {
	e, err := decode(structured)
	if err != nil {
		return false, err
	}
	f, err := a.filters.read(where)
	if err != nil {
		return false, err
	}
	return f.Matches(e)
}

func (a *Arrivals) satisfies(where string, e event.Event) bool {
	f, err := a.filters.read(where)
	if err != nil {
		return false // it was checked when the job's file was read
	}
	ok, _ := f.Matches(e) // an attribute that it lacks: not satisfied
	return ok
}

func decode(structured []byte) (event.Event, error) {
	var e event.Event
	if err := json.Unmarshal(structured, &e); err != nil {
		return e, fn.Faultf(fn.Invalid, "arrivals: decode a CloudEvent: %w", err)
	}
	if err := e.Validate(); err != nil {
		return e, fn.Faultf(fn.Invalid, "arrivals: %w", err)
	}
	return e, nil
}

// filters keeps filters that were read: a thousand jobs may wait with a few.
type filters struct {
	mu  sync.Mutex
	all map[string]cesql.Filter
}

const mostFilters = 4096

func (c *filters) read(where string) (cesql.Filter, error) {
	if where == "" {
		return cesql.Filter{}, nil
	}
	c.mu.Lock()
	f, known := c.all[where]
	c.mu.Unlock()
	if known {
		return f, nil
	}
	f, err := cesql.Parse(where)
	if err != nil {
		return f, fmt.Errorf("arrivals: where: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil || len(c.all) >= mostFilters {
		c.all = map[string]cesql.Filter{}
	}
	c.all[where] = f
	return f, nil
}
