package kubernetes

import (
	"errors"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/relevo-ci/relevo/providers/conformance"
	"github.com/relevo-ci/relevo/shared/agent"
	"github.com/relevo-ci/relevo/shared/provider"
)

const patience = time.Minute // as the settings have it by default

// pod is one of the test's Job, in a state that f makes.
func pod(p *Provider, f func(*corev1.Pod)) *corev1.Pod {
	l := conformance.Launch(1)
	l.Resources.Memory = 64 << 20
	template := p.template(l)
	one := &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	one.Name, one.UID = "pod", "uid-of-pod"
	one.OwnerReferences = []metav1.OwnerReference{{Kind: "Job", UID: "uid-of-job"}}
	one.Spec.NodeName = "worker-1"
	one.Status.Phase = corev1.PodPending
	f(one)
	return one
}

// container is the state of the agent's.
func container(pod *corev1.Pod, s corev1.ContainerState) {
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: agentContainer, Image: "example.org/image:2", ContainerID: "containerd://1", State: s}}
}

func runs(pod *corev1.Pod) {
	pod.Status.Phase = corev1.PodRunning
	container(pod, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
}

func waits(reason, message string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		container(pod, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}})
		pod.Status.ContainerStatuses[0].ContainerID = ""
	}
}

func ended(exit int32, reason, message string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.Phase = corev1.PodFailed
		if exit == 0 {
			pod.Status.Phase = corev1.PodSucceeded
		}
		container(pod, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: exit, Reason: reason, Message: message}})
	}
}

func disrupted(reason, message string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: reason, Message: message,
		})
	}
}

func kubelet(reason, message string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.Phase, pod.Status.Reason, pod.Status.Message = corev1.PodFailed, reason, message
	}
}

func stillRuns(pod *corev1.Pod) { pod.Status.Phase = corev1.PodRunning }

func all(fs ...func(*corev1.Pod)) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		for _, f := range fs {
			f(pod)
		}
	}
}

// podCases are what a pod can say.
var podCases = map[string]struct {
	pod     func(*corev1.Pod)
	running bool
	exit    int
	text    string // of Preparing where it waits, else of Reason
	waits   bool
	trouble string // "": none, else "now", "later", with " for good"
}{
	"runs":     {pod: runs, running: true},
	"succeeds": {pod: ended(0, "Completed", "last words"), text: "exited 0"},
	"fails":    {pod: ended(11, "Error", "level=ERROR\n  undelivered"), exit: 11, text: "exited 11: level=ERROR undelivered"},
	"left":     {pod: ended(agent.ExitTold, "Error", "level=INFO"), exit: agent.ExitTold, text: "its agent was told to end, and did"},
	"killed":   {pod: ended(137, "Error", ""), exit: 137, text: "exited 137 (killed)"},
	"agent out of memory": {
		pod: ended(137, "OOMKilled", ""), exit: 137, text: "killed: out of memory (limit 64 MiB): raise resources.memory",
	},
	"step out of memory": {
		pod: ended(0, "OOMKilled", ""), text: "exited 0, a step was killed: out of memory (limit 64 MiB): raise resources.memory",
	},
	"node out of memory": {
		pod:  all(ended(137, "OOMKilled", ""), func(pod *corev1.Pod) { pod.Spec.Containers[0].Resources = corev1.ResourceRequirements{} }),
		exit: 137, text: "killed: out of memory (no limit: its node's was used up): raise resources.memory",
	},
	"evicted by its node": {
		pod:  all(ended(137, "Error", ""), kubelet("Evicted", "The node was low on resource: memory.")),
		exit: 137, text: "evicted by its node (The node was low on resource: memory.) on node worker-1: exited 137 (killed)",
	},
	"drained": {
		pod:  all(ended(143, "Error", ""), disrupted("EvictionByEvictionAPI", "Eviction API: evicting")),
		exit: 143, text: "evicted through the API, most likely to drain its node (Eviction API: evicting) on node worker-1: exited 143 (terminated)",
	},
	"preempted": {
		pod:  all(ended(143, "Error", ""), disrupted("PreemptionByScheduler", "")),
		exit: 143, text: "preempted by a pod of a higher priority on node worker-1: exited 143 (terminated)",
	},
	"node lost": {
		pod:  all(runs, kubelet("NodeLost", "Node which was running pod is unresponsive"), disrupted("DeletionByTaintManager", "")),
		exit: -1, text: "its node does not answer (Node which was running pod is unresponsive) on node worker-1: its pod ended",
	},
	"node gone": {
		pod:  all(runs, disrupted("DeletionByPodGC", "PodGC: node no longer exists"), func(pod *corev1.Pod) { pod.Status.Phase = corev1.PodFailed }),
		exit: -1, text: "its node is gone (PodGC: node no longer exists) on node worker-1: its pod ended",
	},
	"of unknown fate": {
		pod: ended(137, "ContainerStatusUnknown", ""), exit: 137, text: "nobody knows how its container ended: its node restarted or lost it",
	},
	"a disruption of tomorrow": {
		pod: all(ended(1, "Error", ""), disrupted("Whatever", "")), exit: 1, text: "disrupted: Whatever on node worker-1: exited 1",
	},
	"refused by its node": {
		pod: kubelet("OutOfcpu", "Node didn't have enough resource: cpu"), exit: -1, trouble: "now",
		text: "OutOfcpu (Node didn't have enough resource: cpu) on node worker-1: its pod ended before it began",
	},
	"without an agent": {
		pod: func(pod *corev1.Pod) {
			pod.Status.Phase = corev1.PodFailed
			pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: installContainer, State: corev1.ContainerState{
				Terminated: &corev1.ContainerStateTerminated{ExitCode: 12, Reason: "Error", Message: "disk full"},
			}}}
		}, exit: -1, trouble: "now",
		text: "the agent could not be copied into the pod: exited 12 Error: disk full",
	},
	"of another architecture": {
		pod: ended(128, "StartError", "exec format error"), exit: 128, trouble: "now",
		text: "the agent could not be started: StartError: exec format error",
	},
	"fresh": {pod: func(pod *corev1.Pod) { pod.Spec.NodeName = "" }, waits: true, text: "its pod waits for a node"},
	"without room": {
		pod: func(pod *corev1.Pod) {
			pod.Status.Conditions = []corev1.PodCondition{{
				Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/3 nodes are available: 3 Insufficient cpu.",
			}}
		}, waits: true, text: "its pod waits for a node: 0/3 nodes are available: 3 Insufficient cpu.",
	},
	"pulling":      {pod: waits("PodInitializing", ""), waits: true, text: "its pod starts on node worker-1, which pulls the images it lacks"},
	"unreachable":  {pod: waits("ErrImagePull", "dial tcp: no such host"), waits: true, text: "dial tcp: no such host", trouble: "later"},
	"backing off":  {pod: waits("ImagePullBackOff", "Back-off"), waits: true, text: "ImagePullBackOff", trouble: "later"},
	"unknown":      {pod: waits("ErrImagePull", "failed to resolve reference \"x:1\": x:1: not found"), waits: true, text: "x:1: not found; check its name", trouble: "now for good"},
	"unauthorized": {pod: waits("ErrImagePull", "401 Unauthorized"), waits: true, text: "image pull secret", trouble: "now for good"},
	"misnamed":     {pod: waits("InvalidImageName", "bad"), waits: true, text: "is not the name of an image: bad", trouble: "now for good"},
	"never pulled": {pod: waits("ErrImageNeverPull", "policy"), waits: true, text: "must not be pulled", trouble: "now"},
	"root":         {pod: waits("CreateContainerConfigError", "container has runAsNonRoot and image will run as root"), waits: true, text: "wants to run as root", trouble: "now for good"},
	"no secret":    {pod: waits("CreateContainerConfigError", "secret \"x\" not found"), waits: true, text: "secret \"x\" not found", trouble: "later"},
}

// TestPods goes through what a pod can say.
func TestPods(t *testing.T) {
	for name, c := range podCases {
		t.Run(name, func(t *testing.T) {
			p := provide(t, simple())
			st, tr := p.status(seen{job: &batchv1.Job{ObjectMeta: metav1.ObjectMeta{UID: "uid-of-job"}}, pods: []*corev1.Pod{pod(p, c.pod)}})
			text, other := st.Reason, st.Preparing
			if c.waits {
				text, other = other, text
			}
			if st.Running != c.running || st.Exit != c.exit || !strings.Contains(text, c.text) || (c.text == "") != (text == "") || other != "" {
				t.Errorf("status %+v", st)
			}
			if st.Handle != "uid-of-job" || st.Placement.Worker != conformance.Launch(1).Worker {
				t.Errorf("status of %+v", st)
			}
			if got := troubled(tr); got != c.trouble {
				t.Errorf("trouble %q, want %q: %+v", got, c.trouble, tr)
			}
		})
	}
}

func troubled(tr *trouble) string {
	if tr == nil {
		return ""
	}
	text := "now"
	if tr.patience > 0 {
		text = "later"
	}
	if tr.permanent {
		text += " for good"
	}
	return text
}

// TestJobsWithoutPods has the other half of what there is to see.
func TestJobsWithoutPods(t *testing.T) {
	deadline := int64(3600)
	failed := func(reason string) func(*batchv1.Job) {
		return func(job *batchv1.Job) {
			job.Spec.ActiveDeadlineSeconds = &deadline
			job.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: reason}}
		}
	}
	for name, c := range map[string]struct {
		job     func(*batchv1.Job)
		refusal string
		text    string
		over    bool
		trouble string
	}{
		"fresh":         {text: "its pod is being made"},
		"over quota":    {refusal: "pods \"x\" is forbidden: exceeded quota: q", text: "waits for room in the namespace's quota", trouble: "later"},
		"insecure":      {refusal: "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\"", text: "breaks the Pod Security of the namespace jobs", trouble: "now for good"},
		"no account":    {refusal: "pods \"x\" is forbidden: error looking up service account", text: "service account", trouble: "later"},
		"invalid":       {refusal: "Pod \"x\" is invalid: spec", text: "refuses its pod", trouble: "now for good"},
		"server's woes": {refusal: "Internal error occurred", text: "cannot be made yet", trouble: "later"},
		"ended":         {job: failed("BackoffLimitExceeded"), over: true, text: "its pod is gone"},
		"disrupted":     {job: failed(batchv1.JobReasonPodFailurePolicy), over: true, text: "its pod was evicted, preempted, or lost its node"},
		"too late":      {job: failed(batchv1.JobReasonDeadlineExceeded), over: true, text: "its Job passed its deadline of 1h0m0s (activeDeadlineSeconds): its pod is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			p := provide(t, simple())
			job := p.job(conformance.Launch(1))
			if c.job != nil {
				c.job(job)
			}
			st, tr := p.status(seen{job: job, refusal: c.refusal})
			text := st.Preparing
			if c.over {
				text = st.Reason
			}
			if st.Running || !strings.Contains(text, c.text) || c.over != (st.Preparing == "") || troubled(tr) != c.trouble {
				t.Errorf("status %+v, trouble %+v", st, tr)
			}
		})
	}
}

// TestTwoPods has a lost node come back.
func TestTwoPods(t *testing.T) {
	p := provide(t, simple())
	over, alive := pod(p, ended(137, "Error", "")), pod(p, runs)
	for _, pods := range [][]*corev1.Pod{{over, alive}, {alive, over}} {
		if st, _ := p.status(seen{pods: pods}); !st.Running {
			t.Errorf("status %+v", st)
		}
	}
	later := pod(p, ended(3, "Error", ""))
	later.CreationTimestamp = metav1.NewTime(time.Unix(1000, 0))
	if st, _ := p.status(seen{pods: []*corev1.Pod{later, over}}); st.Exit != 3 {
		t.Errorf("status %+v", st)
	}
}

// TestJudge follows workers over time, by hand.
func TestJudge(t *testing.T) {
	p := provide(t, simple())
	start := time.Unix(1000, 0)
	job := p.job(conformance.Launch(1))
	job.UID = "uid-of-job"
	see := func(fs ...func(*corev1.Pod)) *worker {
		w := &worker{job: job, pods: map[types.UID]*corev1.Pod{}}
		for _, f := range fs {
			one := pod(p, f)
			w.pods[one.UID] = one
		}
		return w
	}
	deleting := func(pod *corev1.Pod) {
		grace := int64(7)
		pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = &metav1.Time{Time: start}, &grace
	}
	for name, c := range map[string]struct {
		one    *worker
		change func(*worker)
		after  time.Duration // until it is told
		want   string        // of the reason
		failed bool
	}{
		"ended":           {one: see(ended(3, "Error", "")), want: "exited 3"},
		"about to end":    {one: see(all(ended(3, "Error", ""), stillRuns)), after: settle, want: "exited 3"},
		"unreachable":     {one: see(waits("ErrImagePull", "no such host")), after: patience, want: "cannot be pulled", failed: true},
		"misnamed":        {one: see(waits("InvalidImageName", "")), want: "not the name", failed: true},
		"refused":         {one: see(kubelet("OutOfcpu", "")), want: "OutOfcpu", failed: true},
		"Job deleted":     {one: see(), change: func(w *worker) { w.gone = true }, want: "its Job was deleted"},
		"pod deleted":     {one: see(), change: func(w *worker) { w.deleted = pod(p, all(runs, disrupted("EvictionByEvictionAPI", ""))) }, want: "evicted through the API"},
		"pod ended, gone": {one: see(), change: func(w *worker) { w.deleted = pod(p, all(ended(5, "Error", ""), stillRuns)) }, want: "exited 5"},
		"node silent":     {one: see(all(runs, deleting)), after: 7*time.Second + lost, want: "does not say that it ended"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.change != nil {
				c.change(c.one)
			}
			if c.after > 0 {
				for _, early := range []time.Duration{0, c.after - 1} {
					change, again := p.judge(c.one, start.Add(early))
					if change != nil || again != c.after-early {
						t.Fatalf("after %v it says %+v, and again after %v", early, change, again)
					}
				}
			}
			change, _ := p.judge(c.one, start.Add(c.after))
			if change == nil || !strings.Contains(change.Reason, c.want) || change.Running || change.Preparing != "" || (change.Failed != nil) != c.failed {
				t.Errorf("told %+v, want %s", change, c.want)
			}
		})
	}
	for name, quiet := range map[string]*worker{
		"fresh": see(), "pulling": see(waits("PodInitializing", "")), "runs": see(runs),
		"runs on without its Job": {job: job, gone: true, pods: see(runs).pods},
	} {
		if change, again := p.judge(quiet, start); change != nil || again != 0 {
			t.Errorf("%s: told %+v, again after %v", name, change, again)
		}
	}
}

// TestPatienceBeginsAnew when the trouble was over meanwhile.
func TestPatienceBeginsAnew(t *testing.T) {
	p := provide(t, simple())
	start := time.Unix(1000, 0)
	w := &worker{pods: map[types.UID]*corev1.Pod{}}
	step := func(at time.Duration, f func(*corev1.Pod)) time.Duration {
		one := pod(p, f)
		w.pods[one.UID] = one
		change, again := p.judge(w, start.Add(at))
		if change != nil {
			t.Fatalf("told %+v", change)
		}
		return again
	}
	unreachable := waits("ErrImagePull", "no such host")
	step(0, unreachable)
	step(time.Minute, waits("PodInitializing", ""))
	if again := step(patience, unreachable); again != patience {
		t.Errorf("patience is %v", again)
	}
}

// TestLook is for hosts that do not watch.
func TestLook(t *testing.T) {
	deleting := func(pod *corev1.Pod) {
		pod.DeletionTimestamp, pod.Finalizers = &metav1.Time{Time: time.Unix(1000, 0)}, []string{"a/b"}
	}
	evicted := all(disrupted("EvictionByEvictionAPI", "Eviction API: evicting"), deleting)
	one := int32(1)
	terminating := func(job *batchv1.Job) { job.Status.Terminating = &one }
	for name, c := range map[string]struct {
		job    func(*batchv1.Job)
		pods   []func(*corev1.Pod)
		want   string // empty: nothing is told
		doomed bool
	}{
		"nothing left": {job: nil},
		"runs":         {job: terminating, pods: []func(*corev1.Pod){runs}},
		"ended":        {job: terminating, pods: []func(*corev1.Pod){ended(3, "Error", "")}, want: "exited 3"},
		"not the pods": {pods: []func(*corev1.Pod){all(runs, evicted)}},
		"evicted": {
			job: terminating, pods: []func(*corev1.Pod){all(runs, evicted)}, doomed: true,
			want: "evicted through the API, most likely to drain its node (Eviction API: evicting) on node worker-1: its pod was told to end",
		},
		"evicted, its container ended": {
			job: terminating, pods: []func(*corev1.Pod){all(runs, evicted, ended(agent.ExitTold, "", ""), stillRuns)},
			want: "evicted through the API, most likely to drain its node (Eviction API: evicting) on node worker-1: its agent was told to end, and did",
		},
		"deleted": {job: terminating, pods: []func(*corev1.Pod){all(runs, deleting)}, doomed: true, want: "its pod was deleted: its pod was told to end"},
		"Job deleted": {job: func(job *batchv1.Job) {
			terminating(job)
			job.DeletionTimestamp, job.Finalizers = &metav1.Time{}, []string{"a/b"}
		}, pods: []func(*corev1.Pod){all(runs, deleting)}},
	} {
		t.Run(name, func(t *testing.T) {
			p := provide(t, simple())
			l := conformance.Launch(1)
			var objects []runtime.Object
			if c.job != nil {
				job := p.job(l)
				job.UID = "uid-of-job"
				c.job(job)
				objects = append(objects, job)
			}
			for _, f := range c.pods {
				one := pod(p, f)
				one.Namespace = "jobs"
				objects = append(objects, one)
			}
			p = provide(t, simple(), objects...)
			change, ok, err := p.Look(t.Context(), l.Worker, l.Fence)
			if err != nil || ok != (c.want != "") || change.Reason != c.want || change.Doomed != c.doomed {
				t.Errorf("Look gave %+v, %v, %v; want %q", change, ok, err, c.want)
			}
			l.Fence.Counter++
			if change, ok, err := p.Look(t.Context(), l.Worker, l.Fence); ok || err != nil {
				t.Errorf("another's Job: %+v, %v", change, err)
			}
		})
	}
}

// TestPatienceIsForTheContainerItself, not for the time that its pod waited for
// a node.
func TestPatienceIsForTheContainerItself(t *testing.T) {
	p := provide(t, simple())
	at := func(d time.Duration) metav1.Time { return metav1.NewTime(time.Unix(1000, 0).Add(d)) }
	condition := func(kind corev1.PodConditionType, s corev1.ConditionStatus, d time.Duration) func(*corev1.Pod) {
		return func(pod *corev1.Pod) {
			pod.CreationTimestamp = at(0)
			pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: kind, Status: s, LastTransitionTime: at(d)})
		}
	}
	scheduled := condition(corev1.PodScheduled, corev1.ConditionTrue, time.Minute)
	for name, c := range map[string]struct {
		pod  func(*corev1.Pod)
		want time.Duration
	}{
		"waits for a node": {condition(corev1.PodScheduled, corev1.ConditionFalse, time.Minute), 0},
		"has a node":       {all(scheduled, condition(corev1.PodInitialized, corev1.ConditionFalse, time.Hour)), time.Minute},
		"has its agent":    {all(scheduled, condition(corev1.PodInitialized, corev1.ConditionTrue, time.Hour)), time.Hour},
	} {
		if got := (seen{pods: []*corev1.Pod{pod(p, c.pod)}}).since(); !got.Equal(at(c.want).Time) {
			t.Errorf("%s: since %v", name, got)
		}
	}
}

// failed wants a failure with a text.
func failed(t testing.TB, err error, permanent bool, text string) {
	t.Helper()
	var failure *provider.Failure
	if !errors.As(err, &failure) || failure.Permanent != permanent || failure.Reason == "" || !strings.Contains(failure.Reason, text) {
		t.Errorf("got %v (%T), want a failure with %q, permanent %v", err, err, text, permanent)
	}
}
