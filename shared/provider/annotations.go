package provider

import (
	"strconv"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
)

// Marks say what a worker is for, on the object that stands for it in a
// provider's system: a Job's annotations, a container's labels. The value is
// what their names begin with; what follows is the same for all providers.
type Marks string

// Of gives the marks of a launch.
func (m Marks) Of(installation string, l execution.Launch) map[string]string {
	return map[string]string{
		string(m) + "installation": installation,
		string(m) + "worker":       string(l.Worker),
		string(m) + "fence":        l.Fence.String(),
		string(m) + "run":          string(l.Run),
		string(m) + "job":          string(l.AttemptRef.Job),
		string(m) + "attempt":      strconv.Itoa(l.Attempt),
		string(m) + "pool":         string(l.Pool),
		string(m) + "assignment":   string(l.Assignment),
	}
}

// Read gives back what Of wrote, but for the name of the provider. What is not
// there, and a fence or attempt that another wrote by hand, reads as zero.
func (m Marks) Read(marks map[string]string) (installation string, ref events.AttemptRef, at events.Placement) {
	mark := func(name string) string { return marks[string(m)+name] }
	fence, _ := events.ParseFence(mark("fence"))
	attempt, err := strconv.Atoi(mark("attempt"))
	if err != nil {
		attempt = 0 // Atoi gives the nearest one to what is too large
	}
	ref = events.AttemptRef{
		JobRef:  events.JobRef{Run: events.RunID(mark("run")), Job: events.JobKey(mark("job"))},
		Attempt: attempt, Fence: fence,
	}
	at = events.Placement{
		Pool:       events.PoolID(mark("pool")),
		Assignment: events.AssignmentID(mark("assignment")),
		Worker:     events.WorkerID(mark("worker")),
	}
	return mark("installation"), ref, at
}

// Annotations are the marks in systems that keep annotations: on a Kubernetes
// Job. Whoever hears of such an object reads them with Annotated.
const Annotations Marks = "relevo.dev/"

// Names of the providers that launch Kubernetes Jobs: there is one for each
// namespace, and strangers' jobs have one of their own.
const (
	Kubernetes          = "kubernetes"
	KubernetesUntrusted = "kubernetes-untrusted"
)

// KubernetesOf is the provider that launches the Jobs of a pool.
func KubernetesOf(pool events.PoolID) string {
	if pool.IsUntrusted() {
		return KubernetesUntrusted
	}
	return Kubernetes
}

// The names of the annotations.
const (
	AnnotationInstallation = string(Annotations) + "installation"
	AnnotationWorker       = string(Annotations) + "worker"
	AnnotationFence        = string(Annotations) + "fence"
	AnnotationRun          = string(Annotations) + "run"
	AnnotationJob          = string(Annotations) + "job"
	AnnotationAttempt      = string(Annotations) + "attempt"
	AnnotationPool         = string(Annotations) + "pool"
	AnnotationAssignment   = string(Annotations) + "assignment"
)

// Annotated reads whose worker an object stands for, but for the name of the
// provider. It tells false where the annotations are not those of a worker.
func Annotated(a map[string]string) (installation string, ref events.AttemptRef, at events.Placement, ok bool) {
	installation, ref, at = Annotations.Read(a)
	ok = installation != "" && ref.Run != "" && ref.Job != "" && ref.Attempt > 0 && !ref.Fence.IsZero() &&
		at.Worker != "" && at.Pool != "" && at.Assignment != ""
	return installation, ref, at, ok
}
