package provider

import (
	"strconv"

	"github.com/relevo-ci/relevo/events"
)

// Annotations that say what a worker is for, on what stands for it in a system
// that keeps annotations: a Kubernetes Job. Whoever hears of such an object
// reads them with Annotated.
const (
	AnnotationInstallation = "relevo.dev/installation"
	AnnotationWorker       = "relevo.dev/worker"
	AnnotationFence        = "relevo.dev/fence"
	AnnotationRun          = "relevo.dev/run"
	AnnotationJob          = "relevo.dev/job"
	AnnotationAttempt      = "relevo.dev/attempt"
	AnnotationPool         = "relevo.dev/pool"
	AnnotationAssignment   = "relevo.dev/assignment"
)

// Annotated reads whose worker an object stands for, but for the name of the
// provider. It tells false where the annotations are not those of a worker.
func Annotated(a map[string]string) (installation string, ref events.AttemptRef, at events.Placement, ok bool) {
	fence, err := events.ParseFence(a[AnnotationFence])
	attempt, err2 := strconv.Atoi(a[AnnotationAttempt])
	ref = events.AttemptRef{
		JobRef:  events.JobRef{Run: events.RunID(a[AnnotationRun]), Job: events.JobKey(a[AnnotationJob])},
		Attempt: attempt, Fence: fence,
	}
	at = events.Placement{
		Pool:       events.PoolID(a[AnnotationPool]),
		Assignment: events.AssignmentID(a[AnnotationAssignment]),
		Worker:     events.WorkerID(a[AnnotationWorker]),
	}
	installation = a[AnnotationInstallation]
	ok = err == nil && err2 == nil && attempt > 0 && installation != "" &&
		ref.Run != "" && ref.Job != "" && at.Worker != "" && at.Pool != "" && at.Assignment != ""
	return installation, ref, at, ok
}
