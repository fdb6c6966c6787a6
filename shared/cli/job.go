package cli

import (
	"slices"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// phase is how far a job is. Within one attempt it only rises.
type phase int

const (
	waiting   phase = iota
	asked           // its needs are met
	queued          // waits for capacity
	scheduled       // has a node
	preparing       // the node prepares its worker
	launched
	running
	ended      // its worker is through, the pipeline has yet to decide
	backingOff // waits for its next attempt
	succeeded
	failed
	lost // its worker went and there is no retry left
	cancelled
	skipped
)

func (p phase) final() bool { return p >= succeeded }

// job is what is known of one job.
type job struct {
	Job
	id      string // of the pipeline file: the key without the index of a matrix
	phase   phase
	attempt int

	asked, begun, ended time.Time // zero where they did not happen

	// Of the attempt under way.
	place     events.Placement
	preparing string
	group     string
	awaits    string // what it waits for, where it runs no steps
	offer     *events.OfferCreated
	notBefore time.Time
	steps     []*step

	logs map[int]*attemptLog // by attempt; all but the last are quiet
	told int                 // the attempt whose start was told

	verdict events.Verdict
	reason  string
}

// step is one step of the attempt under way.
type step struct {
	key, name string
	done      bool
	result    events.StepResult
}

func newJob(j Job) *job {
	id, _, _ := strings.Cut(string(j.Key), ".")
	j.Name = oneLine(j.Name)
	if j.Name == "" {
		j.Name = oneLine(string(j.Key))
	}
	return &job{Job: j, id: id, logs: map[int]*attemptLog{}}
}

// log is the log of an attempt.
func (j *job) log(attempt int) *attemptLog {
	l, ok := j.logs[attempt]
	if !ok {
		l = newAttemptLog(j.knows)
		if attempt < j.attempt || j.phase == succeeded {
			l.forget()
		}
		j.logs[attempt] = l
	}
	return l
}

// knows tells whether a step that began goes by that name.
func (j *job) knows(name string) bool {
	return slices.ContainsFunc(j.steps, func(s *step) bool { return headerName(s.name) == name })
}

// reach moves the job to a phase of an attempt; false where it is there or
// beyond already. A phase implies those before it.
func (j *job) reach(attempt int, p phase) bool {
	if !j.follow(attempt) || p <= j.phase {
		return false
	}
	j.phase = p
	return true
}

// follow turns to an attempt; false where it is not the newest, or the job is
// done.
func (j *job) follow(attempt int) bool {
	if attempt < j.attempt || j.phase.final() {
		return false
	}
	if attempt > j.attempt {
		for n, l := range j.logs {
			if n < attempt {
				l.forget()
			}
		}
		j.attempt, j.phase = attempt, waiting
		j.place, j.preparing, j.offer, j.steps = events.Placement{}, "", nil, nil
	}
	return true
}

// end ends the job.
func (j *job) end(p phase, at time.Time, v events.Verdict, reason string) {
	j.phase, j.ended, j.verdict, j.reason = p, at, v, oneLine(reason)
	if l, ok := j.logs[j.attempt]; ok && p == succeeded {
		l.forget()
	}
}

// begin notes when the job first had a worker.
func (j *job) begin(at time.Time) {
	if j.begun.IsZero() || at.Before(j.begun) {
		j.begun = at
	}
}

// settle notes where the attempt runs, as far as it is not known.
func (j *job) settle(attempt int, p events.Placement) {
	if attempt == j.attempt && p.Node != "" {
		j.place = p
	}
}

// startStep notes a step that began, once.
func (j *job) startStep(key, name string) {
	if !slices.ContainsFunc(j.steps, func(s *step) bool { return s.key == key }) {
		j.steps = append(j.steps, &step{key: key, name: name})
	}
}

// endStep notes how a step went; nil where that is known.
func (j *job) endStep(r events.StepResult) *step {
	j.startStep(r.ID, r.Name)
	for _, s := range j.steps {
		if s.key == r.ID && !s.done {
			s.done, s.result = true, r
			return s
		}
	}
	return nil
}

// current is the step that runs.
func (j *job) current() *step {
	for _, s := range slices.Backward(j.steps) {
		if !s.done {
			return s
		}
	}
	return nil
}

// culprit is the place of the step that made the attempt fail, or that ran when
// it broke off, among those that ran; names are those of them all.
func (j *job) culprit() (names []string, place int) {
	place = -1
	for _, s := range j.steps {
		if s.done && s.result.Conclusion == conclusionSkipped {
			continue
		}
		bad := !s.done || s.result.Conclusion != conclusionSuccess
		if bad && place < 0 {
			place = len(names)
		}
		names = append(names, s.name)
	}
	return names, place
}

// took is how long the job took, or has taken until now; 0 where it did not
// begin.
func (j *job) took(now time.Time) time.Duration {
	from := j.begun
	if from.IsZero() {
		from = j.asked
	}
	if j.phase.final() {
		from, now = j.begun, j.ended
	}
	if from.IsZero() {
		return 0
	}
	return max(0, now.Sub(from))
}
