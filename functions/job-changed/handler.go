// Package jobchanged answers what Knative's ApiServerSource tells of the Jobs
// that workers are: a worker that ended without a result failed, and one whose
// Job is gone is terminated. It keeps Kubernetes' words out of the rest.
//
// What it answers are not Relevo's events, so it is called, in Relevo's words,
// after what happened.
package jobchanged

import (
	"context"
	"errors"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/provider"
	"github.com/relevo-ci/relevo/shared/state"
	"github.com/relevo-ci/relevo/shared/workers"
)

const name = "job-changed"

// What the source sends, with the whole object as its data (mode Resource).
const (
	TypeAdded   events.Type = "dev.knative.apiserver.resource.add"
	TypeUpdated events.Type = "dev.knative.apiserver.resource.update"
	TypeDeleted events.Type = "dev.knative.apiserver.resource.delete"
)

// New makes the function. The source's own ids are random: those of what is
// emitted follow from the Job's UID and its condition, so that the same news
// told again is the same event. Jobs of others are passed over, and what is no
// news: the end of a worker whose attempt is over.
func New(runs *state.Runs) fn.Function {
	return fn.Function{
		Name: name, Context: events.Provider, On: TypeUpdated, Also: []events.Type{TypeAdded, TypeDeleted},
		Doc: "makes provider events of what becomes of workers' Kubernetes Jobs",
		Handle: func(ctx context.Context, e events.Envelope) ([]events.Envelope, error) {
			j, err := decode(e.Data)
			if err != nil {
				return nil, err
			}
			installation, ref, at, ok := provider.Annotated(j.Metadata.Annotations)
			over, news := j.ended(e.Type)
			if !ok || !news {
				return nil, nil
			}
			at.Provider = "kubernetes"
			run, moment, err := runs.Load(ctx, ref.Run)
			if errors.Is(err, state.ErrNoRun) {
				return nil, nil // another installation's, or retired
			}
			if err != nil {
				return nil, err
			}
			job := run.Job(ref.Job)
			if installation != moment.Installation || job == nil {
				return nil, nil
			}
			cause := events.Envelope{ID: job.Last, Time: moment.Now, Traceparent: e.Traceparent, Tracestate: e.Tracestate}
			switch {
			case run.Holds(ref):
				return failure(j, over, ref, at, cause)
			case j.vacant(e.Type) && known(job, ref):
				return []events.Envelope{workers.Gone(ref, at, over.reason, cause)}, nil
			}
			return nil, nil
		},
	}
}

// failure says that a worker went before its attempt was over. Also of one that
// was deleted: it is terminated only once its run knows, which removes it, or
// the run could launch it again.
func failure(j job, over end, ref events.AttemptRef, at events.Placement, cause events.Envelope) ([]events.Envelope, error) {
	d := events.WorkerFailed{For: ref, Placement: at, Reason: "its worker is gone: " + over.reason}
	e, err := events.New(events.DeriveID("worker.failed", j.Metadata.UID, over.condition), "/relevo/"+name, cause.ID, cause.Time, d)
	if err != nil {
		return nil, err
	}
	e.Traceparent, e.Tracestate = cause.Traceparent, cause.Tracestate
	return []events.Envelope{e}, nil
}

// known tells whether a job has the attempt: what the store lost is no one's.
func known(j *pipeline.Job, ref events.AttemptRef) bool {
	for _, a := range j.Attempts {
		if a.Number == ref.Attempt && a.Fence == ref.Fence {
			return true
		}
	}
	return false
}
