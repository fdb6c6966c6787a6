package kubernetes

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/relevo-ci/relevo/providers/changes"
	"github.com/relevo-ci/relevo/shared/provider"
)

// seen is what the cluster says of one worker.
type seen struct {
	job     *batchv1.Job  // nil: it was deleted, its pods are not gone yet
	pods    []*corev1.Pod // several only where a lost node came back
	refusal string        // why the Job's pod could not be made, the latest
}

// trouble keeps a worker from starting.
type trouble struct {
	reason    string
	permanent bool
	// patience is how long it may last before it counts as a failure; 0: it does
	// at once.
	patience time.Duration
}

// status is what is seen, in the words of the port. Trouble is there only for
// what has not started; its reason is in Status.Preparing, or in Reason where
// it is over.
func (p *Provider) status(s seen) (provider.Status, *trouble) {
	pod := s.pod()
	switch {
	case pod != nil:
		st := p.described(pod)
		st.Handle = string(jobOf(pod))
		if s.job != nil {
			st.Handle = string(s.job.UID)
		}
		tr := p.podStatus(&st, pod)
		if over := jobEnd(s.job); over != "" && !st.Running && st.Preparing == "" {
			st.Reason = over + ": " + st.Reason
		}
		return st, tr
	case s.job == nil:
		return provider.Status{}, nil // it was never seen
	}
	st := p.described(s.job)
	st.Handle = string(s.job.UID)
	switch over := jobEnd(s.job); {
	case over != "":
		st.Exit, st.Reason = -1, over+": its pod is gone"
	case jobFinished(s.job):
		st.Exit, st.Reason = -1, "its pod is gone"
		if jobDisrupted(s.job) {
			st.Reason = "its pod was evicted, preempted, or lost its node, and is gone"
		}
	case s.refusal != "":
		tr := p.refusedPod(s.refusal)
		st.Preparing = tr.reason
		return st, tr
	default:
		st.Preparing = "its pod is being made"
	}
	return st, nil
}

// pod is the one that counts: one that runs before one that may, before one
// that ended; the latest of these.
func (s seen) pod() *corev1.Pod {
	if len(s.pods) == 0 {
		return nil
	}
	rank := func(pod *corev1.Pod) int {
		c := containerStatus(pod)
		switch {
		case terminal(pod):
			return 0
		case c != nil && c.State.Running != nil:
			return 2
		}
		return 1
	}
	return slices.MaxFunc(s.pods, func(a, b *corev1.Pod) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), a.CreationTimestamp.Compare(b.CreationTimestamp.Time))
	})
}

// since is when the worker might have started: when its pod had a node, and for
// the agent's container the one before it was through.
func (s seen) since() time.Time {
	pod := s.pod()
	if pod == nil {
		return s.job.CreationTimestamp.Time
	}
	since := pod.CreationTimestamp.Time
	for _, c := range pod.Status.Conditions {
		began := c.Type == corev1.PodScheduled || c.Type == corev1.PodInitialized
		if began && c.Status == corev1.ConditionTrue && c.LastTransitionTime.After(since) {
			since = c.LastTransitionTime.Time
		}
	}
	return since
}

// podStatus fills in what a pod says.
func (p *Provider) podStatus(st *provider.Status, pod *corev1.Pod) *trouble {
	c := containerStatus(pod)
	switch {
	case c != nil && c.State.Terminated != nil && !neverRan(c.State.Terminated):
		t := c.State.Terminated
		st.Exit, st.Reason = int(t.ExitCode), because(pod, exited(t, c.Resources, pod))
		return nil
	case c != nil && c.State.Running != nil && !terminal(pod):
		st.Running = true
		return nil
	case c != nil && c.State.Terminated != nil:
		t := c.State.Terminated
		st.Exit, st.Reason = int(t.ExitCode), fmt.Sprintf("the agent could not be started: %s: %s", t.Reason, line(t.Message))
		return &trouble{reason: st.Reason}
	case terminal(pod):
		return p.endedBefore(st, pod)
	}
	tr := p.waiting(pod)
	st.Preparing = tr.reason
	if tr.patience < 0 {
		return nil
	}
	return tr
}

// endedBefore fills in how a pod ended whose agent never told its exit.
func (p *Provider) endedBefore(st *provider.Status, pod *corev1.Pod) *trouble {
	st.Exit = -1
	if c := containerStatus(pod); c != nil && (c.ContainerID != "" || c.Started != nil && *c.Started) {
		st.Reason = because(pod, "its pod ended")
		return nil
	}
	for _, c := range pod.Status.InitContainerStatuses {
		if t := c.State.Terminated; t != nil && t.ExitCode != 0 {
			st.Reason = because(pod, fmt.Sprintf("the agent could not be copied into the pod: %s %s: %s", changes.Exited(int(t.ExitCode)), t.Reason, line(t.Message)))
			return &trouble{reason: st.Reason}
		}
	}
	st.Reason = because(pod, "its pod ended before it began")
	return &trouble{reason: st.Reason}
}

// neverRan tells whether a container ended without a beginning: its program
// could not be executed.
func neverRan(t *corev1.ContainerStateTerminated) bool {
	return t.Reason == "StartError" || t.Reason == "ContainerCannotRun"
}

// terminal tells whether nothing of a pod runs any more.
func terminal(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
}

// containerStatus is that of the agent's container; nil while there is none.
func containerStatus(pod *corev1.Pod) *corev1.ContainerStatus {
	for i, c := range pod.Status.ContainerStatuses {
		if c.Name == agentContainer {
			return &pod.Status.ContainerStatuses[i]
		}
	}
	return nil
}

// jobOf is the UID of the Job that made a pod.
func jobOf(pod *corev1.Pod) types.UID {
	for _, o := range pod.OwnerReferences {
		if o.Kind == "Job" {
			return o.UID
		}
	}
	// Whoever deletes a Job and leaves its pods takes the owner away.
	if uid := pod.Labels[batchv1.ControllerUidLabel]; uid != "" {
		return types.UID(uid)
	}
	return pod.UID
}

func jobFinished(job *batchv1.Job) bool {
	for _, c := range job.Status.Conditions {
		if c.Status == corev1.ConditionTrue && (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) {
			return true
		}
	}
	return false
}

// jobDisrupted tells whether its pod's end was nobody's here: see disruption.
func jobDisrupted(job *batchv1.Job) bool {
	return slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Status == corev1.ConditionTrue && c.Reason == batchv1.JobReasonPodFailurePolicy
	})
}

// jobEnd says why Kubernetes ended a Job, where its pod does not know.
func jobEnd(job *batchv1.Job) string {
	if job == nil {
		return ""
	}
	for _, c := range job.Status.Conditions {
		if c.Status == corev1.ConditionTrue && c.Reason == batchv1.JobReasonDeadlineExceeded {
			return fmt.Sprintf("its Job passed its deadline of %s (activeDeadlineSeconds)", time.Duration(*job.Spec.ActiveDeadlineSeconds)*time.Second)
		}
	}
	return ""
}
