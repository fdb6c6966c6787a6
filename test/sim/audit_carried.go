package main

import (
	"maps"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

// carried holds that what is carried over into a run succeeded in the one that it
// retries, with those outputs, as did all that it needs; and that all which may be
// is.
func (a *auditor) carried(r *watched, e events.Envelope, d events.RunRequested) {
	for key, from := range d.Carried {
		j := r.job(key)
		j.state, j.ended = pipeline.Succeeded, e.Type
		a.w.count("job carried over")
		if from.Run != d.RetryOf {
			a.w.count("job carried over twice")
		}
	}
	former := a.runs[d.RetryOf]
	if d.RetryOf == "" || former == nil || !a.rolled.IsZero() { // a restart may have lost what was retried
		return
	}
	if !former.shadow.State.Final() || former.shadow.State == pipeline.RunSucceeded {
		a.fail("S5: %s retries what failed of %s, which is %s", r.id, d.RetryOf, former.shadow.State)
		return
	}
	for i := range r.shadow.Spec().Jobs {
		spec := &r.shadow.Spec().Jobs[i]
		was, is := former.shadow.Job(spec.Key), r.shadow.Job(spec.Key)
		may := was.State == pipeline.Succeeded
		for _, n := range r.needs(spec) {
			_, kept := d.Carried[n.Key]
			may = may && kept
		}
		_, kept := d.Carried[spec.Key]
		switch {
		case may != kept:
			a.fail("S5: %s of %s, which was %s, is carried over: %t", spec.Key, r.id, was.State, kept)
		case kept && (is.State != pipeline.Succeeded || !maps.Equal(is.Outputs, was.Outputs)):
			a.fail("S2: %s is carried over into %s as %s with %v, it had %v", spec.Key, r.id, is.State, is.Outputs, was.Outputs)
		}
	}
}
