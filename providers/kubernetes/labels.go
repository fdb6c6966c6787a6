package kubernetes

import (
	"maps"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/provider"
)

// What Jobs, pods and Secrets carry. The labels are what they are looked up by,
// the installation's as a hash, since not every text may be a label's value;
// the annotations of the same names hold the whole truth.
const (
	keyInstallation = provider.AnnotationInstallation
	keyWorker       = provider.AnnotationWorker
	keyFence        = provider.AnnotationFence

	keyManager = "app.kubernetes.io/managed-by"
	manager    = "relevo"
)

// annotations hold what a worker is for.
func (p *Provider) annotations(l execution.Launch) map[string]string {
	return provider.Annotations.Of(p.cfg.Installation, l)
}

// labels are the annotations that may be labels.
func (p *Provider) labels(l execution.Launch) map[string]string {
	all := p.annotations(l)
	all[keyInstallation] = p.hash
	maps.DeleteFunc(all, func(_, value string) bool { return len(validation.IsValidLabelValue(value)) > 0 })
	all[keyManager] = manager
	return all
}

// selector finds what belongs to this installation, or to one of its workers.
func (p *Provider) selector(worker events.WorkerID) metav1.ListOptions {
	set := labels.Set{keyInstallation: p.hash}
	if worker != "" {
		set[keyWorker] = string(worker)
	}
	return metav1.ListOptions{LabelSelector: set.String()}
}

// described is the status of a worker as far as the annotations of its Job or
// pod tell it. A fence or attempt that another wrote by hand reads as zero.
func (p *Provider) described(o metav1.Object) provider.Status {
	_, ref, at := provider.Annotations.Read(o.GetAnnotations())
	at.Provider = p.Name()
	return provider.Status{AttemptRef: ref, Placement: at}
}

// mine tells whether a Job, pod or Secret is this installation's: its label is
// but a hash.
func (p *Provider) mine(o metav1.Object) bool {
	return o.GetAnnotations()[keyInstallation] == p.cfg.Installation
}

// is tells whether a Job or Secret is that of l.
func (p *Provider) is(o metav1.Object, l execution.Launch) bool {
	a := o.GetAnnotations()
	return p.mine(o) && a[keyWorker] == string(l.Worker) && a[keyFence] == l.Fence.String()
}

// upTo tells whether a Job, pod or Secret is one of a fence or an older one.
func upTo(o metav1.Object, fence events.Fence) bool {
	f, err := events.ParseFence(o.GetAnnotations()[keyFence])
	return err == nil && f.Compare(fence) <= 0
}

// nameOf is the name of a worker's Job and Secret. With a worker's id of 26
// characters it has 63 at most, as many as a Job's name may have.
func (p *Provider) nameOf(worker events.WorkerID, fence events.Fence) string {
	return "relevo-" + p.hash[:6] + "-" + string(worker) + "-f" + strings.ReplaceAll(fence.String(), ".", "-")
}

// policyName is the name of the installation's NetworkPolicy.
func (p *Provider) policyName() string { return "relevo-" + p.hash[:12] }

func (p *Provider) grace(l execution.Launch) time.Duration {
	if l.Grace > 0 {
		return l.Grace
	}
	return p.cfg.Grace
}

// seconds rounds up to what Kubernetes counts in.
func seconds(d time.Duration) int64 {
	return int64((d + time.Second - 1) / time.Second)
}
