//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1"

	corev1 "k8s.io/api/core/v1"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/forge/forgetest"
)

// strangersPipeline goes on until it was looked at.
const strangersPipeline = `
name: build
on: pull_request
jobs:
  build:
    container: dev.local/relevo/busybox:test
    steps:
      - run: |
          test ! -e /var/run/secrets/kubernetes.io
          until wget -q -O /dev/null http://%s/; do sleep 1; done
          echo tried what a stranger wrote
`

// gate answers 503 until it is opened, where the cluster's pods reach it.
func (r *rig) gate() (address string, open func()) {
	r.Helper()
	var opened atomic.Bool
	g := &httptest.Server{Listener: r.listens(net.JoinHostPort(environment(r.TB, "RELEVO_CLUSTER_NODE"), "0")), Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !opened.Load() {
			http.Error(w, "not yet", http.StatusServiceUnavailable)
		}
	})}}
	g.Start()
	r.Cleanup(g.Close)
	return g.Listener.Addr().String(), func() { opened.Store(true) }
}

// forks makes a pull request of a stranger's fork.
func (r *rig) forks(server *forgetest.Server, clone string) forgetest.Delivery {
	r.Helper()
	const fork, number = "stranger/shop", 7
	author := trigger.Actor{Login: "stranger"}
	bare := filepath.Join(r.TempDir(), "fork.git")
	r.run("git", "clone", "-q", "--bare", clone, bare)
	git := func(args ...string) string {
		return r.run("git", append([]string{"-C", clone, "-c", "user.name=stranger", "-c", "user.email=stranger@acme.example"}, args...)...)
	}
	git("commit", "-q", "--allow-empty", "-m", "improve")
	git("push", "-q", bare, "HEAD:refs/heads/feature")
	git("push", "-q", "origin", "HEAD:refs/pull/7/head") // as on a forge
	server.Add(fork, bare)
	server.SetPull(shop, trigger.Pull{
		Number: number, Title: "improve", Author: author, Base: "main", Head: "feature", HeadSHA: strings.TrimSpace(git("rev-parse", "HEAD")),
		From: trigger.Repository{Name: fork}, Open: true,
	})
	return server.Pull(shop, "opened", number, author)
}

// started is the run that a delivery came to.
func (r *rig) started(delivery string) (run string) {
	r.Helper()
	r.eventually("the delivery starts a run", func() bool {
		d, err := r.api.Delivery(r.ctx, delivery)
		if err == nil && len(d.Outcomes) == 1 {
			run = d.Outcomes[0].Run
		}
		return run != ""
	})
	r.Logf("run %s", run)
	return run
}

// node is a pool's only one that is there.
func (r *rig) node(id events.PoolID) (found client.Node) {
	r.Helper()
	list, err := r.api.Nodes(r.ctx)
	if err != nil {
		r.Fatal(err)
	}
	for _, p := range list.Pools {
		for _, n := range p.Nodes {
			if p.ID == id && !n.Gone {
				found = n
			}
		}
	}
	return found
}

// A run of a fork waits, and explain says which setting it waits for. With the
// component its job runs in the namespace of its own, which is counted apart, and
// may do nothing there.
func TestUntrustedRunsApart(t *testing.T) {
	r := begin(t)
	apart := pool.Untrusted()
	server, clone := r.forged()
	gate, open := r.gate()
	r.pushes(clone, map[string]string{".relevo/build.yaml": fmt.Sprintf(strangersPipeline, gate)})
	id := r.started(r.delivers(r.forks(server, clone)).Delivery)
	r.eventually("explain says what it waits for", func() bool {
		said := r.relevo("explain", id)
		return strings.Contains(said, "waits in pool "+string(apart)) && strings.Contains(said, "RELEVO_PROVIDER_KUBERNETES_UNTRUSTED_NAMESPACE")
	})
	before := r.node(pool)

	r.with("untrusted", nil, []string{"apiserversource.sources.knative.dev/jobs-untrusted", "namespace/" + strangers})
	r.ready("apiserversource.sources.knative.dev/jobs-untrusted")
	r.anew()
	job := r.job(id, "build", "runs", running)
	list, err := r.kube.CoreV1().Pods(strangers).List(r.ctx, v1.ListOptions{})
	if err != nil || len(list.Items) != 1 || len(r.workers(client.Attempt{})) > 0 {
		t.Fatalf("%d pods of strangers, %v, %d of others", len(list.Items), err, len(r.workers(client.Attempt{})))
	}
	r.powerless(list.Items[0])
	if out, err := r.try(environment(t, "RELEVO_CLUSTER_KUBECTL"), "run", "mighty", "-n", strangers, "--image", "dev.local/relevo/busybox:test", "--dry-run=server"); err == nil || !strings.Contains(out, "violates PodSecurity") {
		t.Errorf("a pod that says nothing of its rights: %v, %s", err, out)
	}
	held, after := r.node(apart), r.node(pool)
	if want := (events.Resources{CPU: 4000, Memory: 8 << 30, Slots: 4}); held.Capacity != want || len(held.Held) != 1 || held.Held[0].Job != job.ID || held.Free.Slots != 3 {
		t.Errorf("strangers have %+v", held)
	}
	if after.Capacity != before.Capacity || after.Free != after.Capacity {
		t.Errorf("the others had %+v, and have %+v", before, after)
	}

	open()
	if run := r.succeeded(id); len(run.Jobs[0].Attempts) != 1 || run.Jobs[0].Attempts[0].Pool != apart {
		t.Errorf("attempts %+v", run.Jobs[0].Attempts)
	}
	if log := r.log(job.ID, 0); !strings.Contains(log, "tried what a stranger wrote") {
		t.Errorf("log:\n%s", log)
	}
	r.auditPool(r.store(), apart)
	r.noWorker(strangers)
	r.audit(id)
}

// powerless holds that a worker's pod has no rights and no token.
func (r *rig) powerless(pod corev1.Pod) {
	r.Helper()
	if token := pod.Spec.AutomountServiceAccountToken; token == nil || *token {
		r.Errorf("pod %s has the token of %s", pod.Name, pod.Spec.ServiceAccountName)
	}
	for _, v := range pod.Spec.Volumes {
		if v.Projected != nil || v.HostPath != nil {
			r.Errorf("pod %s mounts %s", pod.Name, v.Name)
		}
	}
	for _, c := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
		if s := c.SecurityContext; s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation {
			r.Errorf("container %s of pod %s may gain rights", c.Name, pod.Name)
		}
	}
}
