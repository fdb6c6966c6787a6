package pipeline

import (
	"fmt"

	"github.com/relevo-ci/relevo/events"
)

// Emitted takes an event of the user's own that a step of the attempt under way
// emitted; it tells whether it counted. One that was taken before does not, nor
// that of an attempt that is over, nor that of a stranger's code: those who hear
// it could not tell.
func (r *Run) Emitted(em *events.Emitter, d events.EventEmitted) bool {
	if !r.Holds(d.AttemptRef) || r.request.Trigger.Untrusted {
		return false
	}
	a := r.Job(d.Job).live()
	if a.State != AttemptRunning || d.Index <= a.Emitted {
		return false
	}
	r.emit(em, d)
	return true
}

func (j *Job) emitted(d events.EventEmitted) error {
	a := j.live()
	if a == nil || d.Index <= a.Emitted {
		return fmt.Errorf("%w: event %d of job %s", ErrTransition, d.Index, j.Key)
	}
	a.Emitted = d.Index
	return nil
}
