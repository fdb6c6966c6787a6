package kubernetes

import (
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/relevo-ci/relevo/events"
)

func namespace(level string, phase corev1.NamespacePhase) *corev1.Namespace {
	return &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: "jobs", Labels: map[string]string{enforce: level}},
		Status:     corev1.NamespaceStatus{Phase: phase},
	}
}

// allow answers what the service account may do.
func allow(p *Provider, may func(verb, resource string) bool) {
	p.client.(*fake.Clientset).PrependReactor("create", "selfsubjectaccessreviews", func(action clienttesting.Action) (bool, runtime.Object, error) {
		review := action.(clienttesting.CreateAction).GetObject().(*authorizationv1.SelfSubjectAccessReview)
		a := review.Spec.ResourceAttributes
		review.Status.Allowed = may(a.Verb, strings.TrimSuffix(a.Resource+"/"+a.Subresource, "/"))
		return true, review, nil
	})
}

func everything(string, string) bool { return true }

func TestSecureSaysWhatToDo(t *testing.T) {
	root := simple()
	root.Root = true
	for name, c := range map[string]struct {
		cfg  Config
		may  func(verb, resource string) bool
		has  []runtime.Object
		want string
	}{
		"well":          {simple(), everything, []runtime.Object{namespace("restricted", "")}, ""},
		"root":          {root, everything, []runtime.Object{namespace("baseline", "")}, ""},
		"no namespace":  {simple(), everything, nil, "kubectl create namespace jobs && kubectl label namespace jobs pod-security.kubernetes.io/enforce=restricted"},
		"being deleted": {simple(), everything, []runtime.Object{namespace("restricted", corev1.NamespaceTerminating)}, "being deleted"},
		"lax":           {simple(), everything, []runtime.Object{namespace("privileged", "")}, "kubectl label --overwrite namespace jobs pod-security.kubernetes.io/enforce=restricted"},
		"too strict":    {root, everything, []runtime.Object{namespace("restricted", "")}, "enforce=baseline"},
		"no rights": {
			simple(), func(verb, resource string) bool { return resource != "pods/log" && verb != "watch" },
			[]runtime.Object{namespace("restricted", "")},
			`{apiGroups: ["batch"], resources: ["jobs"], verbs: ["watch"]}
{apiGroups: [""], resources: ["pods"], verbs: ["watch"]}
{apiGroups: [""], resources: ["pods/log"], verbs: ["get"]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := provide(t, c.cfg, c.has...)
			allow(p, c.may)
			for range 2 {
				err := p.Secure(t.Context())
				if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
					t.Errorf("Secure gave %v, want %q", err, c.want)
				}
			}
		})
	}
}

// TestThePolicyIsMended after somebody opened it.
func TestThePolicyIsMended(t *testing.T) {
	p := provide(t, simple(), namespace("restricted", ""))
	allow(p, everything)
	open := p.policy()
	open.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
	policies := p.client.NetworkingV1().NetworkPolicies("jobs")
	if _, err := policies.Create(t.Context(), open, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := p.Secure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if there, err := policies.Get(t.Context(), open.Name, metav1.GetOptions{}); err != nil || !samePolicy(there, p.policy()) {
		t.Errorf("the policy is %+v, %v", there, err)
	}
	for range 2 {
		if err := p.Dismantle(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestPolicy(t *testing.T) {
	golden(t, "policy.json", provide(t, simple()).policy())
	blocking := simple()
	blocking.Block = []string{"10.0.0.0/8", "fd00::/8"}
	golden(t, "policy-blocking.json", provide(t, blocking).policy())
	own := simple()
	own.Egress = []networkingv1.NetworkPolicyEgressRule{}
	if policy := provide(t, own).policy(); len(policy.Spec.Egress) != 0 {
		t.Errorf("the policy is %+v, want no egress", policy)
	}
}

func TestRules(t *testing.T) { golden(t, "rules.json", Rules()) }

func TestCapacity(t *testing.T) {
	quota := func(name string, scopes []corev1.ResourceQuotaScope, hard ...string) *corev1.ResourceQuota {
		q := &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "jobs"},
			Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{}, Scopes: scopes},
		}
		for i := 0; i < len(hard); i += 2 {
			q.Spec.Hard[corev1.ResourceName(hard[i])] = resource.MustParse(hard[i+1])
		}
		return q
	}
	whole := quota("whole", nil, "requests.cpu", "8", "limits.memory", "16Gi", "requests.nvidia.com/gpu", "2", "count/jobs.batch", "20", "pods", "30")
	for name, c := range map[string]struct {
		set    events.Resources
		quotas []runtime.Object
		want   events.Resources
		err    string
	}{
		"settings":      {set: events.Resources{CPU: 1, Memory: 2, GPU: 3, Slots: 4}, quotas: []runtime.Object{whole}, want: events.Resources{CPU: 1, Memory: 2, GPU: 3, Slots: 4}},
		"quota":         {quotas: []runtime.Object{whole}, want: events.Resources{CPU: 8000, Memory: 16 << 30, GPU: 2, Slots: 20}},
		"both":          {set: events.Resources{Slots: 5}, quotas: []runtime.Object{whole}, want: events.Resources{CPU: 8000, Memory: 16 << 30, GPU: 2, Slots: 5}},
		"the smallest":  {quotas: []runtime.Object{whole, quota("less", nil, "cpu", "1500m", "count/pods", "7")}, want: events.Resources{CPU: 1500, Memory: 16 << 30, GPU: 2, Slots: 7}},
		"of some alone": {quotas: []runtime.Object{whole, quota("scoped", []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeBestEffort}, "pods", "1")}, want: events.Resources{CPU: 8000, Memory: 16 << 30, GPU: 2, Slots: 20}},
		"none":          {err: "requests.cpu in a ResourceQuota of the namespace jobs"},
		"no slots":      {set: events.Resources{CPU: 1, Memory: 1}, err: "count/jobs.batch"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := simple()
			cfg.Capacity = c.set
			got, err := provide(t, cfg, c.quotas...).Capacity(t.Context())
			if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) || c.err == "" && (err != nil || got != c.want) {
				t.Errorf("Capacity gave %+v, %v", got, err)
			}
		})
	}
}
