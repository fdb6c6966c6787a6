//go:build e2e

package kubernetes

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/relevo-ci/relevo/providers/conformance"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/provider"
)

// secured opens an installation in a namespace of its own, which is gone at the
// test's end.
func secured(t testing.TB, change func(*Config)) *Provider {
	t.Helper()
	cfg := settings(t, t.Name(), restricted(t, "restricted"))
	if change != nil {
		change(&cfg)
	}
	p := open(t, cfg)
	if err := p.Secure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// launched makes a worker; what becomes of it is told to a watch that has begun.
func launched(t testing.TB, p *Provider, l execution.Launch) {
	t.Helper()
	if _, err := p.Create(t.Context(), l); err != nil {
		t.Fatal(err)
	}
}

// told collects what Watch tells.
func told(t testing.TB, p *Provider) <-chan provider.Change {
	t.Helper()
	cs := make(chan provider.Change, 100)
	go func() { _ = p.Watch(t.Context(), func(c provider.Change) { cs <- c }) }()
	return cs
}

// first waits for the first change that is an end.
func first(t testing.TB, cs <-chan provider.Change) provider.Change {
	t.Helper()
	for late := time.After(long); ; {
		select {
		case c := <-cs:
			if !c.Doomed {
				return c
			}
		case <-late:
			t.Fatal("nothing is told")
		}
	}
}

// eventually polls until holds answers true.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(long)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

// ready waits until the stand-in did its script, and gives its pod and what it
// printed.
func ready(t testing.TB, p *Provider, l execution.Launch) (*corev1.Pod, string) {
	t.Helper()
	var text []byte
	eventually(t, "the agent is ready", func() bool {
		r, err := p.Logs(t.Context(), l.Worker)
		if err != nil {
			return false
		}
		defer r.Close()
		text, _ = io.ReadAll(r)
		return bytes.Contains(text, []byte("ready\n"))
	})
	pod, _, err := p.latest(t.Context(), l.Worker)
	if err != nil {
		t.Fatal(err)
	}
	return pod, string(text)
}

// status is what List says of the only worker.
func status(t testing.TB, p *Provider) provider.Status {
	t.Helper()
	all, err := p.List(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("List gives %+v, %v; want one", all, err)
	}
	return all[0]
}

// TestHarmToPods does what befalls pods.
func TestHarmToPods(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		harm func(t *testing.T, p *Provider, pod *corev1.Pod) error
		want string
	}{
		"deleted": {func(t *testing.T, p *Provider, pod *corev1.Pod) error {
			return p.client.CoreV1().Pods(pod.Namespace).Delete(t.Context(), pod.Name, metav1.DeleteOptions{})
		}, "its pod was deleted: exited 143 (terminated)"},
		"deleted by force": {func(t *testing.T, p *Provider, pod *corev1.Pod) error {
			now := int64(0)
			return p.client.CoreV1().Pods(pod.Namespace).Delete(t.Context(), pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now})
		}, "its pod was deleted: "},
		"evicted": {func(t *testing.T, p *Provider, pod *corev1.Pod) error {
			return p.client.PolicyV1().Evictions(pod.Namespace).Evict(t.Context(), &policyv1.Eviction{
				ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace},
			})
		}, "evicted through the API, most likely to drain its node"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := secured(t, nil)
			changes := told(t, p)
			l := conformance.Launch(1)
			launched(t, p, l)
			pod, _ := ready(t, p, l)
			if err := c.harm(t, p, pod); err != nil {
				t.Fatal(err)
			}
			if got := first(t, changes); got.Failed != nil || got.AttemptRef != l.AttemptRef || !strings.Contains(got.Reason, c.want) {
				t.Errorf("Watch told %+v, want %s", got, c.want)
			}
			eventually(t, "List says that it ended", func() bool { st := status(t, p); return !st.Running && st.Preparing == "" })
			if st := status(t, p); st.Reason == "" {
				t.Errorf("List gives %+v", st)
			}
			if err := p.Terminate(t.Context(), l.Worker, l.Fence); err != nil {
				t.Error(err)
			}
			if names := left(t, p); len(names) > 0 {
				t.Errorf("left: %q", names)
			}
		})
	}
}

// quota bounds a namespace.
func quota(hard corev1.ResourceList) func(*testing.T, *Provider) {
	return func(t *testing.T, p *Provider) {
		_, err := p.client.CoreV1().ResourceQuotas(p.cfg.Namespace).Create(t.Context(), &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Name: "q"}, Spec: corev1.ResourceQuotaSpec{Hard: hard},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the quota is counted", func() bool {
			q, err := p.client.CoreV1().ResourceQuotas(p.cfg.Namespace).Get(t.Context(), "q", metav1.GetOptions{})
			return err == nil && len(q.Status.Hard) > 0
		})
	}
}

// TestWorkersThatCannotStart says why, first while it waits, then for good.
func TestWorkersThatCannotStart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config    func(*Config)
		launch    func(*execution.Launch)
		prepare   func(*testing.T, *Provider)
		preparing string
		failed    string // empty: it waits on
		permanent bool
	}{
		"image": {
			launch:    func(l *execution.Launch) { l.Image = "dev.local/relevo/none:such" },
			preparing: "cannot be pulled", failed: "image dev.local/relevo/none:such cannot be pulled",
		},
		"node": {
			config:    func(c *Config) { c.NodeSelector = map[string]string{"no": "such"} },
			preparing: "its pod waits for a node: 0/1 nodes are available",
		},
		"memory": {launch: func(l *execution.Launch) { l.Resources.Memory = 1 << 50 }, preparing: "Insufficient memory"},
		"quota": {
			prepare:   quota(corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}),
			preparing: "waits for room in the namespace's quota", failed: "exceeded quota",
		},
		"Pod Security": {
			config:    func(c *Config) { c.Root = true },
			preparing: "breaks the Pod Security", failed: "violates PodSecurity", permanent: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := settings(t, t.Name(), restricted(t, "restricted"))
			cfg.Patience = 3 * time.Second
			if c.config != nil {
				c.config(&cfg)
			}
			p := open(t, cfg)
			if c.prepare != nil {
				c.prepare(t, p)
			}
			l := conformance.Launch(1)
			if c.launch != nil {
				c.launch(&l)
			}
			launched(t, p, l)
			eventually(t, "List says "+c.preparing, func() bool {
				return strings.Contains(status(t, p).Preparing, c.preparing)
			})
			if c.failed != "" {
				if got := first(t, told(t, p)); got.Failed == nil || got.Failed.Permanent != c.permanent || !strings.Contains(got.Failed.Reason, c.failed) {
					t.Errorf("Watch told %+v, want the failure %s", got, c.failed)
				}
			}
			if err := p.Terminate(t.Context(), l.Worker, l.Fence); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRefusedByTheAPI has Jobs that are never made.
func TestRefusedByTheAPI(t *testing.T) {
	p := secured(t, nil)
	_, err := p.client.CoreV1().ResourceQuotas(p.cfg.Namespace).Create(t.Context(), &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "q"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/jobs.batch": resource.MustParse("1"), corev1.ResourceRequestsCPU: resource.MustParse("3"), corev1.ResourceRequestsMemory: resource.MustParse("4Gi")}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if capacity, err := p.Capacity(t.Context()); err != nil || capacity.Slots != 1 || capacity.CPU != 3000 || capacity.Memory != 4<<30 {
		t.Errorf("Capacity gave %+v, %v", capacity, err)
	}
	eventually(t, "a second Job is too many", func() bool {
		// The quota counts from some moment on.
		_, err = p.Create(t.Context(), conformance.Launch(2))
		if err == nil {
			_, err = p.Create(t.Context(), conformance.Launch(3))
		}
		return err != nil
	})
	failed(t, err, false, "exceeded quota")
	gone := open(t, settings(t, t.Name(), "relevo-test-no-such-namespace"))
	_, err = gone.Create(t.Context(), conformance.Launch(1))
	failed(t, err, true, "kubectl create namespace")
	if err := gone.Secure(t.Context()); err == nil || !strings.Contains(err.Error(), "kubectl create namespace") {
		t.Errorf("Secure without a namespace gave %v", err)
	}
}

func TestOutOfMemory(t *testing.T) {
	p := secured(t, nil)
	changes := told(t, p)
	l := conformance.Launch(1, "eat")
	l.Resources.Memory = 48 << 20
	launched(t, p, l)
	const want = "killed: out of memory (limit 48 MiB): raise resources.memory"
	if c := first(t, changes); c.Reason != want || c.Exit != 137 {
		t.Errorf("Watch told %+v, want %s", c, want)
	}
	if st := status(t, p); st.Reason != want {
		t.Errorf("List gives %+v, want %s", st, want)
	}
}

func TestDeadline(t *testing.T) {
	p := secured(t, func(c *Config) { c.Margin = 8 * time.Second })
	changes := told(t, p)
	l := conformance.Launch(1)
	l.Grace, l.Job.TimeoutMinutes = time.Second, 1.0/60
	launched(t, p, l)
	if c := first(t, changes); !strings.Contains(c.Reason, "its Job passed its deadline of 10s") || c.Failed != nil {
		t.Errorf("Watch told %+v, want that it passed its deadline", c)
	}
}

// TestOrphans has an administrator delete a Job and leave its pod.
func TestOrphans(t *testing.T) {
	p := secured(t, nil)
	l := conformance.Launch(1)
	launched(t, p, l)
	pod, _ := ready(t, p, l)
	orphan := metav1.DeletePropagationOrphan
	err := p.client.BatchV1().Jobs(pod.Namespace).Delete(t.Context(), p.nameOf(l.Worker, l.Fence), metav1.DeleteOptions{PropagationPolicy: &orphan})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the Job is gone", func() bool {
		jobs, err := p.client.BatchV1().Jobs(pod.Namespace).List(t.Context(), metav1.ListOptions{})
		return err == nil && len(jobs.Items) == 0
	})
	if st := status(t, p); !st.Running || st.AttemptRef != l.AttemptRef {
		t.Errorf("List gives %+v", st)
	}
	if err := p.Terminate(t.Context(), l.Worker, l.Fence); err != nil {
		t.Error(err)
	}
	if names := left(t, p); len(names) > 0 {
		t.Errorf("left: %q", names)
	}
}

// TestRoot has an image that needs root, in a namespace that allows it.
func TestRoot(t *testing.T) {
	cfg := settings(t, t.Name(), restricted(t, "baseline"))
	cfg.Root = true
	p := open(t, cfg)
	if err := p.Secure(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := conformance.Launch(1, "show")
	launched(t, p, l)
	if _, text := ready(t, p, l); !strings.Contains(text, "mode 600\n") {
		t.Errorf("the agent prints %s", text)
	}
}

// TestRulesAreEnough works with the rights that Rules names, and no others.
func TestRulesAreEnough(t *testing.T) {
	admin := secured(t, nil)
	config, err := connect(admin.cfg)
	if err != nil {
		t.Fatal(err)
	}
	config.Impersonate.UserName = "relevo-" + admin.cfg.Namespace
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	p := newProvider(admin.cfg, client, config)
	if err := p.Secure(t.Context()); err == nil || !strings.Contains(err.Error(), `{apiGroups: ["batch"], resources: ["jobs"], verbs: ["create", "delete", "get", "list", "watch"]}`) {
		t.Errorf("Secure without any right gave %v", err)
	}
	_, err = p.Create(t.Context(), conformance.Launch(1))
	failed(t, err, true, "lacks a right")
	role(t, admin, config.Impersonate.UserName)
	eventually(t, "the rights count", func() bool { return p.Secure(t.Context()) == nil })
	changes := told(t, p)
	l := conformance.Launch(1, "inspect")
	launched(t, p, l)
	ready(t, p, l)
	conn, err := p.PortForward(t.Context(), l.Worker, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if n, err := conn.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
	if err := p.Terminate(t.Context(), l.Worker, l.Fence); err != nil {
		t.Error(err)
	}
	first(t, changes)
}

// role gives a user what Rules names.
func role(t testing.TB, admin *Provider, user string) {
	t.Helper()
	rbac, ctx := admin.client.RbacV1(), context.WithoutCancel(t.Context())
	meta := metav1.ObjectMeta{Name: "relevo", Namespace: admin.cfg.Namespace}
	if _, err := rbac.Roles(meta.Namespace).Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: Rules()}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := rbac.RoleBindings(meta.Namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "relevo"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPortForwardToNobody(t *testing.T) {
	p := secured(t, nil)
	l := conformance.Launch(1)
	launched(t, p, l)
	ready(t, p, l)
	conn, err := p.PortForward(t.Context(), l.Worker, 9)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("Read gave %v, want that the connection was refused", err)
	}
}
