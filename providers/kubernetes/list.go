package kubernetes

import (
	"context"
	"fmt"
	"io"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/provider"
)

// List gives the Jobs of this installation, and pods whose Job was deleted from
// under them.
func (p *Provider) List(ctx context.Context) ([]provider.Status, error) {
	all, err := p.look(ctx, "")
	if err != nil {
		return nil, wrap("list workers", err)
	}
	sts := make([]provider.Status, 0, len(all))
	for _, s := range all {
		st, _ := p.status(s)
		sts = append(sts, st)
	}
	return sts, nil
}

// look gives what is to be seen of all workers, or of one.
func (p *Provider) look(ctx context.Context, worker events.WorkerID) ([]seen, error) {
	// The pods first: a Job's pods are never there before it.
	pods, err := p.client.CoreV1().Pods(p.cfg.Namespace).List(ctx, p.selector(worker))
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	jobs, err := p.client.BatchV1().Jobs(p.cfg.Namespace).List(ctx, p.selector(worker))
	if err != nil {
		return nil, fmt.Errorf("list Jobs: %w", err)
	}
	var all []seen
	at := map[types.UID]int{}
	podless := false
	for i := range jobs.Items {
		if job := &jobs.Items[i]; p.mine(job) {
			at[job.UID] = len(all)
			all = append(all, seen{job: job})
		}
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if !p.mine(pod) {
			continue
		}
		uid := jobOf(pod)
		if _, ok := at[uid]; !ok {
			at[uid] = len(all)
			all = append(all, seen{})
		}
		all[at[uid]].pods = append(all[at[uid]].pods, pod)
	}
	for _, s := range all {
		podless = podless || s.job != nil && len(s.pods) == 0 && !jobFinished(s.job)
	}
	if podless {
		for uid, message := range p.refusals(ctx) {
			if i, ok := at[uid]; ok {
				all[i].refusal = message
			}
		}
	}
	return all, nil
}

// failedCreate finds the events that say why a Job's pod could not be made;
// nothing else does.
const failedCreate = "involvedObject.kind=Job,reason=FailedCreate"

// refusals are the latest reasons why the pods of Jobs could not be made, by
// the Job's UID. They are for people: without the right to read them, there are
// none.
func (p *Provider) refusals(ctx context.Context) map[types.UID]string {
	list, err := p.client.CoreV1().Events(p.cfg.Namespace).List(ctx, metav1.ListOptions{FieldSelector: failedCreate})
	if err != nil {
		return nil
	}
	slices.SortStableFunc(list.Items, func(a, b corev1.Event) int { return a.LastTimestamp.Compare(b.LastTimestamp.Time) })
	messages := map[types.UID]string{}
	for _, e := range list.Items {
		messages[e.InvolvedObject.UID] = e.Message
	}
	return messages
}

// latest is the pod of the worker with the highest fence, and its status;
// ErrNotFound. The pod is nil where there is none yet, or none any more.
func (p *Provider) latest(ctx context.Context, id events.WorkerID) (*corev1.Pod, provider.Status, error) {
	if !plain(id) {
		return nil, provider.Status{}, fmt.Errorf("%w: %s", provider.ErrNotFound, id)
	}
	all, err := p.look(ctx, id)
	if err != nil {
		return nil, provider.Status{}, err
	}
	if len(all) == 0 {
		return nil, provider.Status{}, fmt.Errorf("%w: %s", provider.ErrNotFound, id)
	}
	fence := func(s seen) events.Fence {
		st, _ := p.status(s)
		return st.Fence
	}
	s := slices.MaxFunc(all, func(a, b seen) int { return fence(a).Compare(fence(b)) })
	st, _ := p.status(s)
	return s.pod(), st, nil
}

// Logs reads what the agent printed so far.
func (p *Provider) Logs(ctx context.Context, id events.WorkerID) (io.ReadCloser, error) {
	what := "read the log of worker " + string(id)
	pod, st, err := p.latest(ctx, id)
	if err != nil {
		return nil, wrap(what, err)
	}
	if pod == nil || st.Preparing != "" {
		return nil, fmt.Errorf("kubernetes: %s: it has printed nothing: %s%s", what, st.Preparing, st.Reason)
	}
	body, err := p.client.CoreV1().Pods(p.cfg.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Container: agentContainer}).Stream(ctx)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("%w: %s", provider.ErrNotFound, id)
	}
	if err != nil {
		return nil, wrap(what, err)
	}
	return body, nil
}
