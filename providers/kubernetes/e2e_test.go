//go:build e2e

// The tests with the tag e2e run against a real cluster:
//
//	eval "$(go -C test/cluster run . env)"     # or another one, see below
//	RELEVO_TEST_KUBECONFIG=$KUBECONFIG go test -tags e2e -timeout 30m ./providers/kubernetes
//
// RELEVO_TEST_KUBECONFIG is the kubectl configuration of an administrator of
// the cluster. RELEVO_CLUSTER is the program of test/cluster, which gives its
// nodes the images; where it is not set, they must have them already:
// dev.local/relevo/standin:test (conformance.StandIn is its entry point) and
// dev.local/relevo/agent:test (deploy/agent).
// dev.local/relevo/busybox:test, or the image that RELEVO_TEST_IMAGE names, is
// what jobs run in. Namespaces are made, and removed again. Where the cluster's
// node is this machine, processes are looked at too.
package kubernetes

import (
	"cmp"
	"context"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relevo-ci/relevo/providers/conformance"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/provider"
)

// long is how long a test on a cluster may take, whose machines may be busy.
const long = 5 * time.Minute

var kubeconfig = os.Getenv("RELEVO_TEST_KUBECONFIG")

// image gives the nodes an image, once.
func image(t testing.TB, name string, build func() string) string {
	t.Helper()
	loading.Lock()
	defer loading.Unlock()
	if cluster := os.Getenv("RELEVO_CLUSTER"); cluster != "" && !loaded[name] {
		out, err := exec.Command(cluster, "load", name+":test="+build()).CombinedOutput()
		if err != nil {
			t.Fatalf("load image %s: %v\n%s", name, err, out)
		}
		loaded[name] = true
	}
	return "dev.local/relevo/" + name + ":test"
}

var (
	loading sync.Mutex
	loaded  = map[string]bool{}
)

func standIn(t testing.TB) string {
	t.Helper()
	return image(t, "standin", func() string { return conformance.StandIn(t) })
}

// settings are those of an installation in a namespace.
func settings(t testing.TB, installation, namespace string) Config {
	t.Helper()
	if kubeconfig == "" {
		t.Fatal("RELEVO_TEST_KUBECONFIG names no cluster: see the comment above")
	}
	return Config{
		Installation: installation, Namespace: namespace, Kubeconfig: kubeconfig,
		AgentImage: standIn(t), Image: cmp.Or(os.Getenv("RELEVO_TEST_IMAGE"), "dev.local/relevo/busybox:test"),
	}
}

func open(t testing.TB, cfg Config) *Provider {
	t.Helper()
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// restricted makes a namespace of the test's own.
func restricted(t testing.TB, level string) string {
	t.Helper()
	namespaces := open(t, settings(t, "admin", "default")).client.CoreV1().Namespaces()
	name := "relevo-test-" + strings.ToLower(rand.Text()[:8])
	_, err := namespaces.Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{enforce: level}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := namespaces.Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	return name
}

func TestConformance(t *testing.T) {
	namespace := restricted(t, "restricted")
	of := func(t *testing.T, installation string) *Provider {
		return open(t, settings(t, installation, namespace))
	}
	here := here(t, of(t, "nobody"))
	conformance.Suite(t, func(*testing.T) conformance.Harness {
		h := conformance.Harness{
			Open:       func(t *testing.T, installation string) provider.Provider { return of(t, installation) },
			Left:       func(t *testing.T, installation string) []string { return left(t, of(t, installation)) },
			Remove:     func(t *testing.T, st provider.Status) { removeJob(t, of(t, "nobody"), st) },
			Impossible: func(l *execution.Launch) { l.Resources.Memory = -1 },
			Close: func(t *testing.T, installation string) {
				if err := of(t, installation).Dismantle(context.WithoutCancel(t.Context())); err != nil {
					t.Error(err)
				}
			},
			Processes: here, Parallel: true, Prepares: true, Patience: long,
		}
		if here {
			h.Kill = kill
		}
		return h
	})
}

// here tells whether the cluster's node is this machine.
func here(t testing.TB, p *Provider) bool {
	t.Helper()
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := p.client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return len(nodes.Items) == 1 && nodes.Items[0].Status.NodeInfo.BootID == strings.TrimSpace(string(boot))
}

// removeJob is kubectl delete job, by an administrator.
func removeJob(t testing.TB, p *Provider, st provider.Status) {
	t.Helper()
	background := metav1.DeletePropagationBackground
	err := p.client.BatchV1().Jobs(p.cfg.Namespace).Delete(context.WithoutCancel(t.Context()), jobName(t, p, st),
		metav1.DeleteOptions{PropagationPolicy: &background})
	if err != nil {
		t.Fatal(err)
	}
}

// jobName finds a worker's Job by its handle, whatever its installation.
func jobName(t testing.TB, p *Provider, st provider.Status) string {
	t.Helper()
	jobs, err := p.client.BatchV1().Jobs(p.cfg.Namespace).List(context.WithoutCancel(t.Context()), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, job := range jobs.Items {
		if string(job.UID) == st.Handle {
			return job.Name
		}
	}
	t.Fatalf("there is no Job %s", st.Handle)
	return ""
}

// left names the Jobs, pods and Secrets of an installation.
func left(t testing.TB, p *Provider) []string {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	var names []string
	jobs, err := p.client.BatchV1().Jobs(p.cfg.Namespace).List(ctx, p.selector(""))
	if err != nil {
		t.Fatal(err)
	}
	for _, job := range jobs.Items {
		names = append(names, "job/"+job.Name)
	}
	pods, err := p.client.CoreV1().Pods(p.cfg.Namespace).List(ctx, p.selector(""))
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods.Items {
		names = append(names, "pod/"+pod.Name)
	}
	secrets, err := p.client.CoreV1().Secrets(p.cfg.Namespace).List(ctx, p.selector(""))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets.Items {
		names = append(names, "secret/"+secret.Name)
	}
	return names
}

// kill ends the agent with SIGKILL, from outside of its container.
func kill(t *testing.T, st provider.Status) {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		command, _ := os.ReadFile(path)
		if !strings.HasPrefix(string(command), agentAt+"\x00run\x00") {
			continue
		}
		folder := filepath.Dir(path)
		// The pod's UID stands in the names of its control groups and mounts.
		mounts, _ := os.ReadFile(folder + "/mountinfo")
		if !strings.Contains(string(mounts), podUID(t, st)) {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(folder))
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("there is no agent of %+v", st)
}

// podUID is that of the pod of a worker's Job.
func podUID(t testing.TB, st provider.Status) string {
	t.Helper()
	p := open(t, settings(t, "nobody", "default"))
	pods, err := p.client.CoreV1().Pods(metav1.NamespaceAll).List(context.WithoutCancel(t.Context()), metav1.ListOptions{
		LabelSelector: "batch.kubernetes.io/controller-uid=" + st.Handle,
	})
	if err != nil || len(pods.Items) != 1 {
		t.Fatalf("pods of %+v: %d, %v", st, len(pods.Items), err)
	}
	return string(pods.Items[0].UID)
}
