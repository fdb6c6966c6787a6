package kubernetes

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relevo-ci/relevo/events"
)

// Capacity is what jobs may take of the cluster in all: what the settings say,
// and for the rest the smallest of the namespace's ResourceQuotas. Whoever
// starts a host declares a node of it, as events.CapacityUpdated. The error
// names what neither of them says.
func (p *Provider) Capacity(ctx context.Context) (events.Resources, error) {
	want := p.cfg.Capacity
	if want.CPU == 0 || want.Memory == 0 || want.Slots == 0 {
		quotas, err := p.client.CoreV1().ResourceQuotas(p.cfg.Namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return want, wrap("read the quota of namespace "+p.cfg.Namespace, err)
		}
		hard := p.hard(quotas.Items)
		setDefault(&want.CPU, hard.CPU)
		setDefault(&want.Memory, hard.Memory)
		setDefault(&want.GPU, hard.GPU)
		setDefault(&want.Slots, hard.Slots)
	}
	for _, r := range []struct {
		amount    int64
		name, key string
	}{{want.CPU, "CPU", "requests.cpu"}, {want.Memory, "memory", "requests.memory"}, {want.Slots, "number of Jobs", "count/jobs.batch"}} {
		if r.amount == 0 {
			return want, fmt.Errorf("kubernetes: how much %s jobs may take is not known: set the capacity, or %s in a ResourceQuota of the namespace %s",
				r.name, r.key, p.cfg.Namespace)
		}
	}
	return want, nil
}

// hard are the limits of quotas, the smallest of each; 0: none. Quotas for some
// pods only, by scope, bound others than jobs.
func (p *Provider) hard(quotas []corev1.ResourceQuota) events.Resources {
	var r events.Resources
	for _, quota := range quotas {
		if len(quota.Spec.Scopes) > 0 || quota.Spec.ScopeSelector != nil {
			continue
		}
		for name, q := range quota.Spec.Hard {
			switch name {
			case corev1.ResourceCPU, corev1.ResourceRequestsCPU, corev1.ResourceLimitsCPU:
				least(&r.CPU, q.MilliValue())
			case corev1.ResourceMemory, corev1.ResourceRequestsMemory, corev1.ResourceLimitsMemory:
				least(&r.Memory, q.Value())
			case corev1.ResourceName(corev1.DefaultResourceRequestsPrefix + p.cfg.GPU):
				least(&r.GPU, q.Value())
			case "count/jobs.batch", corev1.ResourcePods, "count/pods":
				least(&r.Slots, q.Value())
			}
		}
	}
	return r
}

func least(have *int64, amount int64) {
	if *have == 0 || amount < *have {
		*have = amount
	}
}
