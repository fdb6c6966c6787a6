package kubernetes

import (
	"context"
	"fmt"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"github.com/relevo-ci/relevo/providers/changes"
	"github.com/relevo-ci/relevo/shared/provider"
)

const (
	// settle is how long a container that ended may wait for its pod to say more,
	// such as that it was evicted.
	settle = 3 * time.Second
	// lost is how long a pod may outlive its grace period before its node counts
	// as lost.
	lost = 30 * time.Second
)

// Watch tells of workers that ended, were deleted, or cannot start. It begins
// with those that have ended already. When the API server goes away, or has
// forgotten where the watch was (410 Gone), it lists again and catches up; a
// Job that vanished meanwhile is told as deleted.
func (p *Provider) Watch(ctx context.Context, tell func(provider.Change)) error {
	var feed changes.Feed
	sub := feed.Subscribe()
	defer sub.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := &watcher{p: p, tell: sub.Tell, workers: map[types.UID]*worker{}, queue: workqueue.NewTypedDelayingQueue[types.UID]()}
	if err := w.listen(ctx); err != nil {
		return wrap("watch", err)
	}
	return sub.Drain(ctx, tell)
}

// watcher follows the Jobs and pods of an installation.
type watcher struct {
	p     *Provider
	tell  func(provider.Change)
	queue workqueue.TypedDelayingInterface[types.UID] // of workers to look at

	mu      sync.Mutex
	workers map[types.UID]*worker // by the Job's UID
}

// worker is what was seen of one.
type worker struct {
	job     *batchv1.Job
	pods    map[types.UID]*corev1.Pod
	deleted *corev1.Pod // the last one that was
	gone    bool        // the Job was deleted
	refusal string      // why its pod could not be made
	told    string      // the last that was said of it
	kept    string      // what it was seen to be kept by: a reason to wait
	since   time.Time   // when that began, by this machine's clock
}

// listen begins to follow, until ctx ends.
func (w *watcher) listen(ctx context.Context) error {
	ours := informers.NewSharedInformerFactoryWithOptions(w.p.client, 0, informers.WithNamespace(w.p.cfg.Namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = w.p.selector("").LabelSelector }))
	refusals := informers.NewSharedInformerFactoryWithOptions(w.p.client, 0, informers.WithNamespace(w.p.cfg.Namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.FieldSelector = failedCreate }))
	for _, f := range []struct {
		informer cache.SharedIndexInformer
		take     func(object any, deleted bool)
	}{
		{ours.Batch().V1().Jobs().Informer(), w.takeJob},
		{ours.Core().V1().Pods().Informer(), w.takePod},
		// Its cache need not be complete: it is for people, and a right to it may
		// be missing.
		{refusals.Core().V1().Events().Informer(), w.takeEvent},
	} {
		if _, err := f.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(o any) { f.take(o, false) },
			UpdateFunc: func(_, o any) { f.take(o, false) },
			DeleteFunc: func(o any) {
				// A deletion that fell into a gap is told with the last that was known.
				if unknown, ok := o.(cache.DeletedFinalStateUnknown); ok {
					o = unknown.Obj
				}
				f.take(o, true)
			},
		}); err != nil {
			return err
		}
	}
	ours.Start(ctx.Done())
	refusals.Start(ctx.Done())
	go func() {
		ours.WaitForCacheSync(ctx.Done())
		for w.next() {
		}
	}()
	context.AfterFunc(ctx, w.queue.ShutDown)
	return nil
}

func (w *watcher) takeJob(o any, deleted bool) {
	job, ok := o.(*batchv1.Job)
	if !ok || !w.p.mine(job) {
		return
	}
	w.change(job.UID, func(one *worker) { one.job, one.gone = job, deleted })
}

func (w *watcher) takePod(o any, deleted bool) {
	pod, ok := o.(*corev1.Pod)
	if !ok || !w.p.mine(pod) {
		return
	}
	w.change(jobOf(pod), func(one *worker) {
		one.pods[pod.UID] = pod
		if deleted {
			one.deleted = pod
			delete(one.pods, pod.UID)
		}
	})
}

func (w *watcher) takeEvent(o any, deleted bool) {
	e, ok := o.(*corev1.Event)
	if !ok || deleted {
		return
	}
	w.mu.Lock()
	_, known := w.workers[e.InvolvedObject.UID]
	w.mu.Unlock()
	if known { // the namespace may hold others' Jobs
		w.change(e.InvolvedObject.UID, func(one *worker) { one.refusal = e.Message })
	}
}

// change notes what was seen of a worker, and has it looked at.
func (w *watcher) change(uid types.UID, note func(*worker)) {
	w.mu.Lock()
	one := w.workers[uid]
	if one == nil {
		one = &worker{pods: map[types.UID]*corev1.Pod{}}
		w.workers[uid] = one
	}
	note(one)
	w.mu.Unlock()
	w.queue.Add(uid)
}

// next looks at one worker; false when the watch is over.
func (w *watcher) next() bool {
	uid, over := w.queue.Get()
	if over {
		return false
	}
	defer w.queue.Done(uid)
	w.mu.Lock()
	defer w.mu.Unlock()
	one := w.workers[uid]
	if one == nil {
		return true
	}
	change, again := w.p.judge(one, time.Now())
	if again > 0 {
		w.queue.AddAfter(uid, again)
	}
	if change != nil {
		if said := fmt.Sprintf("%+v %+v", change.Status, change.Failed); said != one.told {
			one.told = said
			w.tell(*change)
		}
	}
	if (one.gone || one.job == nil) && len(one.pods) == 0 {
		delete(w.workers, uid)
	}
	return true
}

// judge says what is to be told of a worker, and after how long it is to be
// looked at again where nothing else happens; 0: not before.
func (p *Provider) judge(one *worker, now time.Time) (*provider.Change, time.Duration) {
	s := seen{job: one.job, refusal: one.refusal}
	for _, pod := range one.pods {
		s.pods = append(s.pods, pod)
	}
	vanished := len(s.pods) == 0 && one.deleted != nil
	if vanished {
		s.pods = []*corev1.Pod{one.deleted}
	}
	st, tr := p.status(s)
	switch alive := st.Running || st.Preparing != ""; {
	case !alive && tr == nil:
		// One more look where the pod itself has not ended yet.
		if pod := s.pod(); pod != nil && !terminal(pod) && !vanished && pod.DeletionTimestamp == nil {
			if again := one.wait("to end", settle, now); again > 0 {
				return nil, again
			}
		}
		return &provider.Change{Status: st}, 0
	case tr != nil:
		again := one.wait("to start", tr.patience, now)
		if again > 0 && !one.gone && !vanished {
			return nil, again
		}
		st.Preparing, st.Reason, st.Exit = "", tr.reason, -1
		return &provider.Change{Status: st, Failed: &provider.Failure{Reason: tr.reason, Permanent: tr.permanent}}, 0
	case vanished:
		return vanish(st, because(one.deleted, "it vanished")), 0
	case one.gone && len(s.pods) == 0:
		return vanish(st, "its Job was deleted"), 0
	case s.pod() != nil && s.pod().DeletionTimestamp != nil:
		return p.ending(one, st, s.pod(), now)
	}
	one.kept = ""
	return nil, 0
}

// ending tells of a pod that is being deleted, and waits for its end, which it
// does in vain when its node does not answer. Whoever deletes the Job, which
// removing a worker begins with, does not doom its pod: it is as good as gone.
func (p *Provider) ending(one *worker, st provider.Status, pod *corev1.Pod, now time.Time) (*provider.Change, time.Duration) {
	grace := p.cfg.Grace
	if s := pod.DeletionGracePeriodSeconds; s != nil {
		grace = time.Duration(*s) * time.Second
	}
	if again := one.wait("to go", grace+lost, now); again > 0 {
		if one.gone || one.job == nil || one.job.DeletionTimestamp != nil || unset(one.job.Status.Terminating) {
			return nil, again
		}
		st.Reason = because(pod, "its pod was told to end")
		return &provider.Change{Status: st, Doomed: true}, again
	}
	return vanish(st, because(pod, "its node does not say that it ended")), 0
}

// wait counts how long something has kept a worker, and gives how much of the
// patience is left.
func (one *worker) wait(what string, patience time.Duration, now time.Time) time.Duration {
	if one.kept != what {
		one.kept, one.since = what, now
	}
	return patience - now.Sub(one.since)
}

// vanish is the end of a worker that did not tell it.
func vanish(st provider.Status, reason string) *provider.Change {
	st.Running, st.Preparing, st.Exit, st.Reason = false, "", -1, reason
	return &provider.Change{Status: st}
}

// unset tells that a count is not there, or none.
func unset(n *int32) bool { return n == nil || *n == 0 }
