package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/relevo-ci/relevo/events"
)

// Terminate deletes the worker's Jobs up to the fence, with their pods and
// Secrets, and waits until the pods are gone. A pod on a node that does not
// answer is gone only when Kubernetes gives the node up: until then it may run.
func (p *Provider) Terminate(ctx context.Context, id events.WorkerID, fence events.Fence) error {
	if !plain(id) {
		return nil // nobody made it
	}
	what := "terminate " + p.nameOf(id, fence)
	for {
		there, err := p.find(ctx, id, fence)
		if err != nil || there.none() {
			return wrap(what, err)
		}
		if err := p.delete(ctx, there); err != nil {
			return wrap(what, err)
		}
		if err := p.wait(ctx, id, there); err != nil {
			return wrap(what, fmt.Errorf("%w: %s", err, there))
		}
	}
}

// plain tells whether an id can be a worker's here.
func plain(id events.WorkerID) bool {
	return id != "" && len(validation.IsValidLabelValue(string(id))) == 0
}

// remains are what there is of a worker.
type remains struct {
	jobs    []batchv1.Job
	pods    []corev1.Pod
	secrets []corev1.Secret
	// Where a watch of them begins.
	jobsAt, podsAt string
}

func (r remains) none() bool { return len(r.jobs) == 0 && len(r.pods) == 0 && len(r.secrets) == 0 }

// String says what is waited for.
func (r remains) String() string {
	var parts []string
	for _, pod := range r.pods {
		parts = append(parts, fmt.Sprintf("pod %s on node %s has not ended", pod.Name, pod.Spec.NodeName))
	}
	if parts == nil {
		return "its Job is not gone yet"
	}
	return strings.Join(parts, ", ")
}

// find gives what there is of a worker, up to a fence.
func (p *Provider) find(ctx context.Context, id events.WorkerID, fence events.Fence) (remains, error) {
	var r remains
	ours := func(o metav1.Object) bool { return p.mine(o) && upTo(o, fence) }
	jobs, err := p.client.BatchV1().Jobs(p.cfg.Namespace).List(ctx, p.selector(id))
	if err != nil {
		return r, fmt.Errorf("list Jobs: %w", err)
	}
	pods, err := p.client.CoreV1().Pods(p.cfg.Namespace).List(ctx, p.selector(id))
	if err != nil {
		return r, fmt.Errorf("list pods: %w", err)
	}
	secrets, err := p.client.CoreV1().Secrets(p.cfg.Namespace).List(ctx, p.selector(id))
	if err != nil {
		return r, fmt.Errorf("list Secrets: %w", err)
	}
	r.jobsAt, r.podsAt = jobs.ResourceVersion, pods.ResourceVersion
	for _, job := range jobs.Items {
		if ours(&job) {
			r.jobs = append(r.jobs, job)
		}
	}
	for _, pod := range pods.Items {
		if ours(&pod) {
			r.pods = append(r.pods, pod)
		}
	}
	for _, secret := range secrets.Items {
		if ours(&secret) {
			r.secrets = append(r.secrets, secret)
		}
	}
	return r, nil
}

// delete asks Kubernetes to delete what is not being deleted yet: pods by name,
// which ends them with their grace period, since the garbage collector that
// would take them along may be late. The Jobs go first, or they made new pods.
func (p *Provider) delete(ctx context.Context, r remains) error {
	var errs []error
	for _, job := range r.jobs {
		if job.DeletionTimestamp == nil {
			errs = append(errs, p.deleteJob(ctx, job.UID, job.Name))
		}
	}
	for _, pod := range r.pods {
		if pod.DeletionTimestamp == nil {
			errs = append(errs, ignoreGone(p.client.CoreV1().Pods(p.cfg.Namespace).Delete(ctx, pod.Name, exactly(pod.UID))))
		}
	}
	for _, secret := range r.secrets {
		errs = append(errs, ignoreGone(p.client.CoreV1().Secrets(p.cfg.Namespace).Delete(ctx, secret.Name, exactly(secret.UID))))
	}
	return errors.Join(errs...)
}

// deleteJob deletes a Job in the background. Its pods are deleted by whoever
// calls, and at the latest by the garbage collector.
func (p *Provider) deleteJob(ctx context.Context, uid types.UID, name string) error {
	options := exactly(uid)
	background := metav1.DeletePropagationBackground
	options.PropagationPolicy = &background
	return ignoreGone(p.client.BatchV1().Jobs(p.cfg.Namespace).Delete(ctx, name, options))
}

func ignoreGone(err error) error {
	if gone(err) {
		return nil
	}
	return err
}

const (
	// relist is how long a watch may last.
	relist = 30 * time.Second
	// pause is how long it takes at least until the next look, where there is
	// nothing to be watched: a Job that was deleted may have a pod made at that
	// moment.
	pause = 100 * time.Millisecond
)

// wait returns once something of what is there was deleted, or may have been.
func (p *Provider) wait(ctx context.Context, id events.WorkerID, r remains) error {
	options, seconds := p.selector(id), int64(relist/time.Second)
	options.TimeoutSeconds = &seconds
	var w watch.Interface
	var err error
	switch {
	case len(r.pods) > 0:
		options.ResourceVersion = r.podsAt
		w, err = p.client.CoreV1().Pods(p.cfg.Namespace).Watch(ctx, options)
	case len(r.jobs) > 0 && r.jobs[0].DeletionTimestamp != nil: // somebody else wants it to wait
		options.ResourceVersion = r.jobsAt
		w, err = p.client.BatchV1().Jobs(p.cfg.Namespace).Watch(ctx, options)
	}
	if w != nil && err == nil {
		defer w.Stop()
		for e := range w.ResultChan() {
			if e.Type == watch.Deleted {
				return nil
			}
		}
	}
	// It ended, or never began: what happened meanwhile is found by a list.
	select {
	case <-time.After(pause):
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
