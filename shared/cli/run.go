package cli

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// run is what is known of a run: its plan, and what the events made of it.
// They may come in any order; it takes a lock around it.
type run struct {
	Plan
	jobs  []*job // needs first
	byKey map[events.JobKey]*job
	byID  map[string][]*job
	pools capacity

	requested  bool
	started    bool // its jobs may go
	cancelling string
	over       bool
	verdict    events.Verdict
	reason     string
	began      time.Time
	ended      time.Time

	// lag is the least time that an event took until here: by that much this
	// clock is ahead of the one that the events are dated with, or less.
	lag    time.Duration
	lagged bool

	// line takes each line of a log, where set.
	line func(j *job, b []byte)
	// say takes a line about each change, where set; nil for the run's own.
	say func(j *job, text string)
}

func newRun(plan Plan, say func(*job, string)) *run {
	plan.Pipeline = oneLine(plan.Pipeline)
	r := &run{Plan: plan, byKey: map[events.JobKey]*job{}, byID: map[string][]*job{}, say: say}
	for _, j := range plan.Jobs {
		r.add(j)
	}
	r.order()
	return r
}

func (r *run) add(j Job) *job {
	n := newJob(j)
	r.jobs = append(r.jobs, n)
	r.byKey[j.Key] = n
	r.byID[n.id] = append(r.byID[n.id], n)
	return n
}

// job finds a job, also one that the plan did not know of.
func (r *run) job(key events.JobKey) *job {
	if j, ok := r.byKey[key]; ok {
		return j
	}
	j := r.add(Job{Key: key})
	r.order()
	return j
}

// needs are the jobs that a name in needs stands for.
func (r *run) needs(name string) []*job {
	if jobs, ok := r.byID[name]; ok {
		return jobs
	}
	if j, ok := r.byKey[events.JobKey(name)]; ok {
		return []*job{j}
	}
	return nil
}

// order puts needs first, and otherwise keeps the plan's order; the jobs of a
// matrix stay together.
func (r *run) order() {
	seen := map[*job]bool{}
	var sorted []*job
	var visit func(j *job)
	visit = func(j *job) {
		if seen[j] {
			return
		}
		matrix := r.byID[j.id]
		for _, m := range matrix {
			seen[m] = true
		}
		for _, m := range matrix {
			for _, name := range m.Needs {
				for _, n := range r.needs(name) {
					visit(n)
				}
			}
		}
		sorted = append(sorted, matrix...)
	}
	for _, j := range r.jobs {
		visit(j)
	}
	r.jobs = sorted
}

// unmet names the needs that are not final.
func (r *run) unmet(j *job) []string {
	var names []string
	for _, name := range j.Needs {
		if slices.ContainsFunc(r.needs(name), func(n *job) bool { return !n.phase.final() }) {
			names = append(names, oneLine(name))
		}
	}
	return names
}

// log takes the next bytes of an attempt's log.
func (r *run) log(ref events.AttemptRef, p []byte) {
	j := r.job(ref.Job)
	l := j.log(ref.Attempt)
	if r.line != nil && l.also == nil {
		l.also = func(b []byte) { r.line(j, b) }
	}
	l.got += int64(len(p))
	l.write(p)
	l.settle()
}

// hears notes when an event came, to tell the time of the clock that dates
// them.
func (r *run) hears(e events.Envelope, now time.Time) {
	if e.Time.IsZero() {
		return
	}
	if lag := now.Sub(e.Time); !r.lagged || lag < r.lag {
		r.lag, r.lagged = lag, true
	}
	if r.began.IsZero() || e.Time.Before(r.began) {
		r.began = e.Time
	}
}

// now is the time in the events' own clock.
func (r *run) now() time.Time { return time.Now().Add(-r.lag) }

// took is how long the run took, or has taken until now.
func (r *run) took(now time.Time) time.Duration {
	if r.began.IsZero() {
		return 0
	}
	if r.over {
		now = r.ended
	}
	return max(0, now.Sub(r.began))
}

func (r *run) tell(j *job, text ...string) {
	if r.say != nil {
		r.say(j, strings.Join(text, ""))
	}
}

// finish ends the run, once.
func (r *run) finish(at time.Time, v events.Verdict, reason string) {
	if !r.over {
		r.over, r.ended, r.verdict, r.reason = true, at, v, oneLine(reason)
	}
}

// flush ends the lines of all logs that have no end.
func (r *run) flush() {
	for _, j := range r.jobs {
		for _, n := range slices.Sorted(maps.Keys(j.logs)) {
			j.logs[n].flush()
		}
	}
}
