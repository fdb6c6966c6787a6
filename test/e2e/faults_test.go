//go:build e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/relevo-ci/relevo/shared/client"
)

var triggers = schema.GroupVersionResource{Group: "eventing.knative.dev", Version: "v1", Resource: "triggers"}

// twice makes a second Trigger of each: every event is then delivered twice.
func (r *rig) twice() {
	r.Helper()
	list, err := r.dynamic.Resource(triggers).Namespace(namespace).List(r.ctx, v1.ListOptions{})
	if err != nil {
		r.Fatal(err)
	}
	for _, t := range list.Items {
		again := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": t.GetAPIVersion(), "kind": t.GetKind(), "spec": t.Object["spec"],
			"metadata": map[string]any{"name": t.GetName() + "-again", "namespace": namespace, "labels": map[string]any{"again": "yes"}},
		}}
		if _, err := r.dynamic.Resource(triggers).Namespace(namespace).Create(r.ctx, again, v1.CreateOptions{}); err != nil {
			r.Fatal(err)
		}
	}
	r.Cleanup(func() {
		r.kubectl("delete", "triggers.eventing.knative.dev", "-n", namespace, "-l", "again=yes", "--wait=false")
	})
	r.eventually("the second Triggers are ready", func() bool {
		list, err := r.dynamic.Resource(triggers).Namespace(namespace).List(r.ctx, v1.ListOptions{LabelSelector: "again"})
		return err == nil && len(list.Items) > 0 && allReady(list.Items)
	})
}

func allReady(list []unstructured.Unstructured) bool {
	for _, o := range list {
		conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
		ready := false
		for _, c := range conditions {
			m, _ := c.(map[string]any)
			ready = ready || m["type"] == "Ready" && m["status"] == "True"
		}
		if !ready {
			return false
		}
	}
	return true
}

// At once: every event comes twice, pods of functions are killed at random, and
// the broker's filter restarts.
func TestRunUnderFire(t *testing.T) {
	r := begin(t)
	r.twice()
	id := r.submit(fmt.Sprintf(dag, 60, "0.2"))
	killed := map[string]bool{}
	var run client.Run
	filtered := time.Now()
	now := int64(0)
	r.eventually("the run is done under fire", func() bool {
		if pods := r.functions(); len(pods) > 0 {
			victim := pods[rand.N(len(pods))]
			err := r.kube.CoreV1().Pods(namespace).Delete(r.ctx, victim.Name, v1.DeleteOptions{GracePeriodSeconds: &now})
			if err == nil {
				killed[victim.Labels["serving.knative.dev/service"]] = true
			}
		}
		if time.Since(filtered) > 10*time.Second {
			filtered = time.Now()
			r.kubectl("delete", "pods", "-n", "knative-eventing", "-l", "eventing.knative.dev/brokerRole=filter", "--wait=false")
		}
		next, err := r.api.Run(r.ctx, id)
		if err == nil {
			run = next
		}
		return run.Final()
	})
	r.Logf("killed pods of %d functions", len(killed))
	if len(killed) < 3 {
		r.Errorf("only %v were killed", killed)
	}
	if run.State != "SUCCEEDED" {
		r.Errorf("run is %s: %+v", run.State, run.Jobs)
	}
	r.wholeLogs(run, 60)
	r.audit(id)
}

// slow is one job that takes its time.
const slow = `
on: workflow_dispatch
jobs:
  slow:
    container: dev.local/relevo/busybox:test
    steps:
      - run: |
          i=0; while [ $i -lt %d ]; do i=$((i+1)); echo "line $i"; sleep 1; done
`

// lost holds that a job's first worker was lost for a reason, that the next one
// did the work, that the author's retries are unspent, and that explain says so.
func (r *rig) lost(id, key string, because ...string) {
	r.Helper()
	r.succeeded(id)
	job := r.job(id, key, "is there", func(client.Job) bool { return true })
	if len(job.Attempts) < 2 || job.Attempts[0].Verdict != "infra" || job.Attempts[0].Fence == job.Attempts[1].Fence {
		r.Errorf("attempts %+v", job.Attempts)
		return
	}
	said := r.relevo("explain", id)
	for _, b := range because {
		if !strings.Contains(job.Attempts[0].Reason, b) || !strings.Contains(said, b) {
			r.Errorf("the reason is %q, and explain says\n%s\nwant %q", job.Attempts[0].Reason, said, b)
		}
	}
	r.audit(id)
}

func (r *rig) workerOf(id, key string) (client.Job, corev1.Pod) {
	r.Helper()
	job := r.job(id, key, "runs", running)
	pods := r.workers(job.Attempts[len(job.Attempts)-1])
	if len(pods) != 1 {
		r.Fatalf("%d pods of %s", len(pods), job.ID)
	}
	return job, pods[0]
}

func TestWorkersPodDeleted(t *testing.T) {
	r := begin(t)
	id := r.submit(fmt.Sprintf(slow, 8))
	_, pod := r.workerOf(id, "slow")
	if err := r.kube.CoreV1().Pods(jobs).Delete(r.ctx, pod.Name, v1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	r.lost(id, "slow", "its pod was deleted")
}

func TestWorkersPodEvicted(t *testing.T) {
	r := begin(t)
	id := r.submit(fmt.Sprintf(slow, 8))
	_, pod := r.workerOf(id, "slow")
	eviction := &policyv1.Eviction{ObjectMeta: v1.ObjectMeta{Name: pod.Name, Namespace: jobs}}
	if err := r.kube.PolicyV1().Evictions(jobs).Evict(r.ctx, eviction); err != nil {
		t.Fatal(err)
	}
	evicted := time.Now()
	r.job(id, "slow", "is tried again", func(j client.Job) bool { return j.Attempts[0].Verdict != "" })
	r.Logf("the eviction was known after %v", time.Since(evicted).Round(100*time.Millisecond))
	r.lost(id, "slow", "evicted through the API", "Eviction API: evicting", "on node "+pod.Spec.NodeName)
	if log := r.log(id+".slow", 1); !strings.Contains(log, "line 1\n") || !strings.Contains(log, "told to end") {
		t.Errorf("the first attempt's log:\n%s", log)
	}
}

func TestImageThatCannotBePulled(t *testing.T) {
	r := begin(t)
	id := r.submit(strings.ReplaceAll(fmt.Sprintf(slow, 1), "dev.local/relevo/busybox:test", "dev.local/relevo/nowhere:1"))
	began := time.Now()
	const unpullable = "image dev.local/relevo/nowhere:1 cannot be pulled ("
	var said string
	r.within(90*time.Second, "explain says what is wrong with the image", func() bool {
		said = r.relevo("explain", id)
		return strings.Contains(said, unpullable)
	})
	r.Logf("explain says so after %v: %s", time.Since(began).Round(time.Second), said)
	var job client.Job
	r.within(150*time.Second-time.Since(began), "it is tried again", func() bool {
		now, err := r.api.Job(r.ctx, id+".slow")
		job = now
		return err == nil && len(job.Attempts) > 0 && job.Attempts[0].Verdict != ""
	})
	r.Logf("the attempt was given up after %v", time.Since(began).Round(time.Second))
	if first := job.Attempts[0]; first.Verdict != "infra" || !strings.Contains(first.Reason, unpullable) {
		t.Errorf("attempts %+v", job.Attempts)
	}
	r.relevo("cancel", id)
	if run := r.finished(id); run.State != "CANCELLED" {
		t.Errorf("run is %s", run.State)
	}
	r.audit(id)
}

// A second pod of one Job is turned away: its nonce is not the first one's.
func TestSecondPodOfAJob(t *testing.T) {
	r := begin(t)
	id := r.submit(fmt.Sprintf(slow, 20))
	_, pod := r.workerOf(id, "slow")
	twin := &corev1.Pod{ObjectMeta: v1.ObjectMeta{Name: pod.Name + "-twin", Namespace: jobs, Annotations: pod.Annotations}, Spec: *pod.Spec.DeepCopy()}
	twin.Spec.NodeName = ""
	if _, err := r.kube.CoreV1().Pods(jobs).Create(r.ctx, twin, v1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.kube.CoreV1().Pods(jobs).Delete(r.ctx, twin.Name, v1.DeleteOptions{}) }()
	r.eventually("the twin is turned away", func() bool {
		p, err := r.kube.CoreV1().Pods(jobs).Get(r.ctx, twin.Name, v1.GetOptions{})
		return err == nil && (p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed)
	})
	run := r.succeeded(id)
	if job := run.Jobs[0]; len(job.Attempts) != 1 {
		t.Errorf("attempts %+v", job.Attempts)
	}
	var want strings.Builder
	for n := 1; n <= 20; n++ {
		fmt.Fprintf(&want, "line %d\n", n)
	}
	if got := r.log(id+".slow", 0); !strings.Contains(got, want.String()) || strings.Count(got, "\nline ") != 20 {
		t.Errorf("log:\n%s", got)
	}
	r.audit(id)
}

// Without its broker, the clock brings the run to its end.
func TestBrokerTakenAway(t *testing.T) {
	r := begin(t)
	id := r.submit(fmt.Sprintf(dag, 20, "0.5"))
	r.job(id, "prepare", "was asked for", func(j client.Job) bool { return j.State != "WAITING" })
	for _, d := range []string{"mt-broker-ingress", "mt-broker-filter"} {
		r.scale("knative-eventing", d, 0)
		defer r.scale("knative-eventing", d, 1)
	}
	r.finishedBy(12*time.Minute, id)
}

func (r *rig) finishedBy(most time.Duration, id string) {
	r.Helper()
	var run client.Run
	r.within(most, "the clock finishes the run", func() bool {
		now, err := r.api.Run(r.ctx, id)
		run = now
		return err == nil && run.Final()
	})
	if run.State != "SUCCEEDED" {
		r.Errorf("run is %s: %+v", run.State, run.Jobs)
	}
	r.audit(id)
}

func (r *rig) scale(ns, deployment string, n int) {
	r.Helper()
	r.kubectl("scale", "deployment", deployment, "-n", ns, "--replicas", strconv.Itoa(n))
	r.eventually(fmt.Sprintf("%s has %d pods", deployment, n), func() bool {
		d, err := r.kube.AppsV1().Deployments(ns).Get(r.ctx, deployment, v1.GetOptions{})
		return err == nil && int(d.Status.ReadyReplicas) == n && int(d.Status.Replicas) == n
	})
}

// While nobody watches the Jobs, one ends without a report: the clock finds it.
func TestAdapterAway(t *testing.T) {
	r := begin(t)
	adapters, err := r.kube.AppsV1().Deployments(namespace).List(r.ctx, v1.ListOptions{LabelSelector: "eventing.knative.dev/source=apiserver-source-controller"})
	if err != nil || len(adapters.Items) != 1 {
		t.Fatalf("%d adapters, %v", len(adapters.Items), err)
	}
	name := adapters.Items[0].Name
	r.scale("knative-eventing", "eventing-controller", 0) // it would bring the adapter back
	defer r.scale("knative-eventing", "eventing-controller", 1)
	r.scale(namespace, name, 0)
	defer r.scale(namespace, name, 1)
	id := r.submit(fmt.Sprintf(slow, 8))
	_, pod := r.workerOf(id, "slow")
	now := int64(0)
	if err := r.kube.CoreV1().Pods(jobs).Delete(r.ctx, pod.Name, v1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
		t.Fatal(err)
	}
	r.lost(id, "slow")
}
