package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/relevo-ci/relevo/events"
)

// Why a run is not run once more.
var (
	ErrNotOver       = errors.New("the run is not over")
	ErrNothingFailed = errors.New("nothing of the run failed: it succeeded")
	ErrCarriedTrust  = errors.New("what ran is trusted otherwise by now: run all of it again")
	ErrMostCarried   = errors.New("the outputs to carry over are too large for an event: run all of it again")
)

// mostRequest is how many bytes a request may have in which jobs are carried
// over: it travels as an event, whose bound is a mebibyte with its envelope.
const mostRequest = 1<<20 - 16<<10

// Retry is the request that runs this run once more, but for the new run's id. The
// trigger is this run's with what may differ: who asks, and what they may have.
//
// With failed only what failed is run again, and what needs that; the rest is
// carried over, but never from one level of trust to another. ErrNotOver,
// ErrNothingFailed, ErrCarriedTrust or ErrMostCarried where that cannot be.
func (r *Run) Retry(t events.Trigger, failed bool) (events.RunRequested, error) {
	req := r.request
	req.Trigger = t
	req.RunRef, req.RetryOf, req.RunAttempt, req.Carried = events.RunRef{}, r.ID, max(1, req.RunAttempt)+1, nil
	switch {
	case !r.State.Final():
		return req, fmt.Errorf("%w: it is %s", ErrNotOver, r.State)
	case !failed:
		return req, nil
	case r.State == RunSucceeded:
		return req, ErrNothingFailed
	case t.Untrusted != r.request.Trigger.Untrusted:
		return req, ErrCarriedTrust
	}
	req.Carried = r.carried()
	raw, err := json.Marshal(req)
	if err == nil && len(raw) > mostRequest {
		err = ErrMostCarried
	}
	return req, err
}

// carried are the jobs that need not run again: those that succeeded as all did
// that they need, through whatever jobs. One that was skipped is looked at again.
func (r *Run) carried() map[events.JobKey]events.CarriedJob {
	kept := map[events.JobKey]events.CarriedJob{}
	again := map[string]bool{} // ids of jobs; of a matrix it is enough that one is run again
	for i := range r.spec.Jobs {
		s := &r.spec.Jobs[i]
		j := r.Job(s.Key)
		if j.State != Succeeded || slices.ContainsFunc(s.Needs, func(id string) bool { return again[id] }) {
			again[s.ID] = true
			continue
		}
		from := events.Carried{Run: r.ID, Attempt: j.Attempt}
		if j.Carried != nil {
			from = *j.Carried
		}
		kept[s.Key] = events.CarriedJob{Carried: from, Name: j.Name, Outputs: j.Outputs}
	}
	return kept
}

// carry makes a job one that succeeded in an earlier run.
func (j *Job) carry(e events.Envelope, from events.CarriedJob) error {
	j.Carried, j.Name, j.Outputs = &from.Carried, from.Name, from.Outputs
	j.Verdict, j.Reason, j.Ended = events.Succeeded, fmt.Sprintf("carried over from run %s", from.Run), e.Time
	return j.move(Succeeded)
}
