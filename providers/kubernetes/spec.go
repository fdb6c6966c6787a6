package kubernetes

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/provider"
)

const (
	// linger is how long an agent that is told to end stays to hear why: its pod
	// knows, for as long as it is there. What looks at it may have to wake first.
	linger = 8 * time.Second
	// lastWords is how long a pod may take beyond the steps' grace period: its
	// agent tells how they ended.
	lastWords = 5 * time.Second
)

// job is the Job of a launch: one pod that is never replaced, since the control
// plane decides on another attempt, under another fence.
func (p *Provider) job(l execution.Launch) *batchv1.Job {
	one, none := int32(1), int32(0)
	ttl := int32(seconds(p.cfg.TTL))
	deadline := seconds(timeout(l) + p.grace(l) + p.cfg.Margin)
	// A pod that is being deleted still runs: none is to stand beside it.
	replace := batchv1.Failed
	return &batchv1.Job{
		ObjectMeta: p.meta(l),
		Spec: batchv1.JobSpec{
			Parallelism:             &one,
			Completions:             &one,
			BackoffLimit:            &none,
			PodReplacementPolicy:    &replace,
			PodFailurePolicy:        disruption(),
			ActiveDeadlineSeconds:   &deadline,
			TTLSecondsAfterFinished: &ttl,
			Template:                p.template(l),
		},
	}
}

// disruption has a Job whose pod was evicted, preempted or on a node that went
// away say so: it is told after the pod, which knows more, was deleted.
func disruption() *batchv1.PodFailurePolicy {
	return &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
		Action:          batchv1.PodFailurePolicyActionFailJob,
		OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}},
	}}}
}

func (p *Provider) meta(l execution.Launch) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: p.nameOf(l.Worker, l.Fence), Namespace: p.cfg.Namespace,
		Labels: p.labels(l), Annotations: p.annotations(l),
	}
}

// launchMax is what a Secret holds, in bytes.
const launchMax = corev1.MaxSecretSize

// secret holds the launch. It belongs to the Job and goes with it.
func (p *Provider) secret(l execution.Launch, job *batchv1.Job) (*corev1.Secret, error) {
	l.Workspace, l.Linger = workspaceOf(l), linger
	text, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("encode launch: %w", err)
	}
	if len(text) > launchMax {
		return nil, &provider.Failure{
			Reason: fmt.Sprintf("the launch has %d bytes, a Secret of Kubernetes holds %d: the payload of the trigger, or what the needed jobs put out, is too large",
				len(text), launchMax),
			Permanent: true,
		}
	}
	immutable := true
	meta := p.meta(l)
	meta.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: batchv1.SchemeGroupVersion.String(), Kind: "Job", Name: job.Name, UID: job.UID,
	}}
	return &corev1.Secret{
		ObjectMeta: meta, Immutable: &immutable, Type: corev1.SecretTypeOpaque,
		Data: map[string][]byte{launchFile: text},
	}, nil
}

// timeout is the job's own, as the control plane counts it. Kubernetes' is for
// when that is away: what cannot be computed is the longest there is by default.
func timeout(l execution.Launch) time.Duration {
	const byDefault = 360 * time.Minute
	minutes := l.Job.TimeoutMinutes
	if l.Job.TimeoutExpr != nil {
		contexts := map[string]any{}
		for name, text := range l.Contexts {
			var v any
			if json.Unmarshal(text, &v) == nil {
				contexts[name] = v
			}
		}
		text, err := l.Job.TimeoutExpr.Eval(&expression.Env{Contexts: contexts, Status: expression.Success})
		if err != nil {
			return byDefault
		}
		if minutes, err = strconv.ParseFloat(text, 64); err != nil {
			return byDefault
		}
	}
	const most = 365 * 24 * 60 // beyond it an activeDeadlineSeconds is not sensible
	if !(minutes > 0 && minutes <= most) {
		return byDefault
	}
	return time.Duration(minutes * float64(time.Minute))
}
