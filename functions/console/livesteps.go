package console

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
)

// A run's document learns of steps when their job is over. Until then events tell
// of them: those of the runs that are looked at are followed from where they were
// read to before.

const (
	// mostFollowed is how many runs' steps are known at a time.
	mostFollowed = 32
	// The feed is read until it rests for a moment: it knows no end.
	feedStill  = 40 * time.Millisecond
	feedBegins = 200 * time.Millisecond
)

// liveStep is a step of a job that is not over.
type liveStep struct {
	id, name string
	began    time.Time
	result   *events.StepResult // nil: it goes on
}

// followed are the steps of a run, as far as they were told of.
type followed struct {
	mu    sync.Mutex
	after string
	steps map[string][]liveStep // by job and attempt
}

// runSteps are those of the runs that were looked at last.
type runSteps struct {
	mu    sync.Mutex
	known map[string]*followed
	order []string
}

func (x *runSteps) of(run string) *followed {
	x.mu.Lock()
	defer x.mu.Unlock()
	if f := x.known[run]; f != nil {
		return f
	}
	if x.known == nil {
		x.known = map[string]*followed{}
	}
	if len(x.order) == mostFollowed {
		delete(x.known, x.order[0])
		x.order = x.order[1:]
	}
	f := &followed{after: client.Oldest, steps: map[string][]liveStep{}}
	x.known[run], x.order = f, append(x.order, run)
	return f
}

// addLiveSteps adds spans for the steps of jobs that run.
func (c *Console) addLiveSteps(ctx context.Context, run *client.Run, start time.Time, jobs map[string]*jobSpans) {
	live := false
	for _, j := range run.Jobs {
		live = live || j.State == "RUNNING"
	}
	if !live {
		return
	}
	f := c.steps.of(run.ID)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read(ctx, c, run.ID)
	for _, j := range run.Jobs {
		n := len(j.Attempts)
		of := jobs[string(j.Key)]
		if j.State != "RUNNING" || n == 0 || of == nil || len(j.Steps) > 0 || j.Attempts[n-1].Started.IsZero() {
			continue
		}
		a := j.Attempts[n-1]
		for _, s := range f.steps[attemptKey(j.Key, a.Number)] {
			of.below = append(of.below, s.span(a, of.span.ID, start, c.Now()))
		}
	}
}

func attemptKey(key events.JobKey, attempt int) string { return fmt.Sprintf("%s/%d", key, attempt) }

// read takes in what the feed has since it was read last. A gap in it, or that it
// cannot be had, costs nothing but rows.
func (f *followed) read(ctx context.Context, c *Console, run string) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	news, failed := c.listen(ctx, client.EventOptions{
		Run: run, After: f.after, Types: []events.Type{events.TypeStepStarted, events.TypeStepCompleted, events.TypeStepFailed, events.TypeStepSkipped},
	})
	still := time.NewTimer(feedBegins)
	defer still.Stop()
	for {
		select {
		case e := <-news:
			f.after = cmp.Or(e.Position, f.after)
			if e.Gap == nil {
				f.take(e)
			}
			still.Reset(feedStill)
		case <-failed:
			return
		case <-still.C:
			return
		}
	}
}

// take notes what an event tells of a step; twice is once.
func (f *followed) take(e client.Event) {
	var d struct {
		events.AttemptRef
		Name string          `json:"name"`
		Step json.RawMessage `json:"step"`
	}
	if json.Unmarshal(e.Data, &d) != nil {
		return
	}
	s := liveStep{name: d.Name, began: e.Time}
	if json.Unmarshal(d.Step, &s.id) != nil {
		var result events.StepResult
		if json.Unmarshal(d.Step, &result) != nil {
			return
		}
		s.id, s.name, s.result = result.ID, result.Name, &result
	}
	key := attemptKey(d.Job, d.Attempt)
	for i, known := range f.steps[key] {
		if known.id == s.id {
			if s.result != nil {
				f.steps[key][i].result = s.result
			}
			return
		}
	}
	f.steps[key] = append(f.steps[key], s)
}

// span is the step as the trace will have it.
func (s liveStep) span(a client.Attempt, parent string, start, now time.Time) client.WaterfallSpan {
	began, millis := s.began, max(now.Sub(s.began).Milliseconds(), 0)
	out := client.WaterfallSpan{Parent: parent, Name: cmp.Or(s.name, s.id), Attributes: map[string]any{"cicd.pipeline.task.run.id": s.id}, Open: true}
	if s.result != nil {
		out.Open, out.Failed, millis = false, s.result.Conclusion == "failure", s.result.Millis
		out.Attributes["relevo.step.conclusion"] = s.result.Conclusion
		if s.result.Offset > 0 {
			began = a.Started.Add(time.Duration(s.result.Offset) * time.Millisecond)
		}
	}
	if began.Before(a.Started) {
		began = a.Started
	}
	out.Offset, out.Millis = began.Sub(start).Milliseconds(), millis
	return out
}
