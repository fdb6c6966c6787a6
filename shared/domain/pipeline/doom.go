package pipeline

import (
	"fmt"

	"github.com/relevo-ci/relevo/events"
)

// Doom records that the platform is about to end the worker of an attempt; it
// tells whether that is news. Its agent is told why, and ends the attempt. Where
// it is killed before, that is why the attempt was lost.
func (r *Run) Doom(e events.Envelope, d events.WorkerFailed) bool {
	if !r.Holds(d.For) || r.Job(d.For.Job).live().Doom != "" {
		return false
	}
	r.absorb(e, d)
	return true
}

func (j *Job) doomed(d events.WorkerFailed) error {
	a := j.live()
	if a == nil {
		return fmt.Errorf("%w: doom of job %s without an attempt", ErrTransition, j.Key)
	}
	a.Doom = d.Reason
	return nil
}
