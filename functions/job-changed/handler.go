// Package jobchanged answers what Knative's ApiServerSource tells of the Jobs
// that workers are: a worker that ended without a result failed, and one whose
// Job is gone is terminated. Why a worker's pod ended, or is about to, the pod
// knows: the provider looks at it. It keeps Kubernetes' words out of the rest.
//
// What it answers are not Relevo's events, so it is called, in Relevo's words,
// after what happened.
package jobchanged

import (
	"cmp"
	"context"
	"errors"
	"log/slog"

	"github.com/relevo-ci/relevo/events"
	workerfailed "github.com/relevo-ci/relevo/functions/worker-failed"
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
func New(runs *state.Runs, w *workers.Workers) fn.Function {
	return fn.Function{
		Name: name, Context: events.Provider, On: TypeUpdated, Also: []events.Type{TypeAdded, TypeDeleted},
		Doc: "makes provider events of what becomes of workers' Kubernetes Jobs",
		Handle: func(ctx context.Context, e events.Envelope) ([]events.Envelope, error) {
			j, err := decode(e.Data)
			if err != nil {
				return nil, err
			}
			installation, ref, at, ok := provider.Annotated(j.Metadata.Annotations)
			over, ended := j.ended(e.Type)
			if !ok || !ended && !j.ending() {
				return nil, nil
			}
			at.Provider = provider.KubernetesOf(at.Pool)
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
			cause := events.Envelope{ID: job.Last, Time: moment.Now, Traceparent: run.Context().String()}
			switch {
			case run.Holds(ref):
				d := events.WorkerFailed{For: ref, Placement: at, Reason: "its worker is gone: " + over.reason}
				if condition, ok := looked(ctx, w, over, &d); ok {
					return failure(ctx, runs, d, events.DeriveID("worker.failed", j.Metadata.UID, condition), cause)
				}
			case ended && j.vacant(e.Type) && known(job, ref):
				return []events.Envelope{workers.Gone(ref, at, over.reason, cause)}, nil
			}
			return nil, nil
		},
		Launches: true, // it looks
	}
}

// looked puts in what the pod says: its Job knows but that it failed, or that it
// is being ended. It gives the condition that is told, and false where there is
// nothing to tell. A look in vain is no reason to be silent on an end.
func looked(ctx context.Context, w *workers.Workers, over end, d *events.WorkerFailed) (condition string, ok bool) {
	ended := over.condition != ""
	if ended && over.condition != conditionFailed {
		return over.condition, true
	}
	c, ok, err := w.Look(ctx, d.For, d.Placement)
	switch {
	case err != nil:
		slog.WarnContext(ctx, "job-changed: the pod could not be looked at", "worker", d.Worker, "error", err)
		return over.condition, ended
	case !ok || ended && c.Doomed:
		return over.condition, ended
	case c.Doomed:
		d.Reason, d.Doomed = c.Reason, true
		return "Doomed", true
	case c.Failed != nil:
		d.Reason, d.Permanent = c.Failed.Reason, c.Failed.Permanent
	default:
		d.Reason = "its worker is gone: " + c.Reason
	}
	return cmp.Or(over.condition, "Ended"), true
}

// failure says that a worker went before its attempt was over, or is about to.
// Also of one that was deleted: it is terminated only once its run knows, which
// removes it, or the run could launch it again. It has its run know at once,
// since the pod is there for seconds and the broker may have to wake somebody:
// whichever way it comes first counts.
func failure(ctx context.Context, runs *state.Runs, d events.WorkerFailed, id string, cause events.Envelope) ([]events.Envelope, error) {
	e, err := events.New(id, "/relevo/"+name, cause.ID, cause.Time, d)
	if err != nil {
		return nil, err
	}
	e = e.Traced(cause.Traceparent)
	emitted, err := workerfailed.New(runs).Handle(ctx, e)
	if err != nil {
		slog.WarnContext(ctx, "job-changed: left to the broker", "worker", d.Worker, "error", err)
	}
	return append([]events.Envelope{e}, emitted...), nil
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
