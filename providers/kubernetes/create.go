package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/distribution/reference"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/provider"
)

// Create makes the Job and then its Secret, or adopts the Job that has its
// name. The pod waits for the Secret: what was made is whole, or will be by the
// next Create, and whatever is not goes with the Job. It waits for nothing; the
// status says what the start waits for.
func (p *Provider) Create(ctx context.Context, l execution.Launch) (provider.Status, error) {
	if err := p.check(l); err != nil {
		return provider.Status{}, err
	}
	st, err := p.create(ctx, l)
	return st, wrap("create "+p.nameOf(l.Worker, l.Fence), err)
}

// check refuses what can never be a Job.
func (p *Provider) check(l execution.Launch) error {
	name, image := p.nameOf(l.Worker, l.Fence), p.image(l)
	switch _, err := reference.ParseNormalizedNamed(image); {
	case l.Worker == "" || l.Fence.IsZero() || len(validation.IsDNS1123Label(name)) > 0:
		return &provider.Failure{Reason: fmt.Sprintf("a worker needs a plain id and a fence, not %q and %q", l.Worker, l.Fence), Permanent: true}
	case image == "":
		return &provider.Failure{Reason: "the job names no image and the pool has no default: set container", Permanent: true}
	case err != nil:
		return &provider.Failure{Reason: fmt.Sprintf("%q is not the name of an image: %v", image, err), Permanent: true}
	}
	return nil
}

func (p *Provider) create(ctx context.Context, l execution.Launch) (provider.Status, error) {
	job, err := p.client.BatchV1().Jobs(p.cfg.Namespace).Create(ctx, p.job(l), metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return p.adopt(ctx, l)
	}
	if err != nil {
		return provider.Status{}, p.refused(err)
	}
	if err := p.handOver(ctx, l, job); err != nil {
		return provider.Status{}, err
	}
	st, _ := p.status(seen{job: job})
	return st, nil
}

// adopt takes over the Job that has the worker's name. One without its Secret
// gets it: its maker died, or is at it just now. One that could not start for
// long is a failure: where no process watches, this is how that is found.
func (p *Provider) adopt(ctx context.Context, l execution.Launch) (provider.Status, error) {
	name := p.nameOf(l.Worker, l.Fence)
	job, err := p.client.BatchV1().Jobs(p.cfg.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil { // it may be gone again, which the next Create sees
		return provider.Status{}, err
	}
	if !p.is(job, l) {
		return provider.Status{}, &provider.Failure{
			Reason: fmt.Sprintf("the name is taken by a Job that is not this worker: kubectl delete job %s -n %s", name, p.cfg.Namespace),
		}
	}
	if job.DeletionTimestamp != nil {
		return provider.Status{}, fmt.Errorf("the Job %s is being deleted", job.UID)
	}
	if !jobFinished(job) {
		if err := p.handOver(ctx, l, job); err != nil {
			return provider.Status{}, err
		}
	}
	all, err := p.look(ctx, l.Worker)
	if err != nil {
		return provider.Status{}, err
	}
	for _, s := range all {
		if s.job != nil && s.job.UID == job.UID {
			st, tr := p.status(s)
			if tr != nil && tr.patience >= 0 && time.Since(s.since()) >= tr.patience {
				return st, &provider.Failure{Reason: tr.reason, Permanent: tr.permanent}
			}
			return st, nil
		}
	}
	return provider.Status{}, fmt.Errorf("the Job %s was deleted just now", job.UID)
}

// handOver makes the Job's Secret. A Job that can have none is no worker: it is
// removed again.
func (p *Provider) handOver(ctx context.Context, l execution.Launch, job *batchv1.Job) error {
	secret, err := p.secret(l, job)
	if err == nil {
		err = p.refused(p.ensureSecret(ctx, secret))
	}
	var failure *provider.Failure
	if errors.As(err, &failure) {
		return errors.Join(err, p.deleteJob(ctx, job.UID, job.Name))
	}
	return err
}

// ensureSecret makes a Secret unless it is there. One that is left of an
// earlier Job of this name makes room.
func (p *Provider) ensureSecret(ctx context.Context, secret *corev1.Secret) error {
	secrets := p.client.CoreV1().Secrets(p.cfg.Namespace)
	_, err := secrets.Create(ctx, secret, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	there, err := secrets.Get(ctx, secret.Name, metav1.GetOptions{})
	if err == nil && len(there.OwnerReferences) == 1 && there.OwnerReferences[0].UID == secret.OwnerReferences[0].UID {
		return nil
	}
	if err == nil {
		if !p.mine(there) {
			return &provider.Failure{Reason: fmt.Sprintf("the name is taken by a Secret that is not this worker's: kubectl delete secret %s -n %s", secret.Name, p.cfg.Namespace)}
		}
		err = secrets.Delete(ctx, there.Name, exactly(there.UID))
	}
	if err != nil && !gone(err) {
		return err
	}
	_, err = secrets.Create(ctx, secret, metav1.CreateOptions{})
	return err
}

// exactly deletes the object of a UID, never another one of its name.
func exactly(uid types.UID) metav1.DeleteOptions {
	return metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}
}

// gone tells whether what was to be deleted was not there, or another one has
// its name by now.
func gone(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsConflict(err) }
