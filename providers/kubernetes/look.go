package kubernetes

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/provider"
)

// Look is what Watch would tell of a worker now; see provider.Looker. Of what
// has to last before it is told it tells nothing: one look knows of no time.
func (p *Provider) Look(ctx context.Context, id events.WorkerID, fence events.Fence) (provider.Change, bool, error) {
	if !plain(id) {
		return provider.Change{}, false, nil
	}
	all, err := p.look(ctx, id)
	if err != nil {
		return provider.Change{}, false, wrap("look at worker "+string(id), err)
	}
	for _, s := range all {
		if st, _ := p.status(s); st.Fence != fence {
			continue
		}
		one := &worker{job: s.job, refusal: s.refusal, pods: map[types.UID]*corev1.Pod{}}
		for _, pod := range s.pods {
			one.pods[pod.UID] = pod
		}
		if change, _ := p.judge(one, time.Now()); change != nil {
			return *change, true, nil
		}
	}
	return provider.Change{}, false, nil
}

var _ provider.Looker = (*Provider)(nil)
