package manifests_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	eventingduckv1 "knative.dev/eventing/pkg/apis/duck/v1"
	eventingv1 "knative.dev/eventing/pkg/apis/eventing/v1"
	sourcesv1 "knative.dev/eventing/pkg/apis/sources/v1"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/relevo-ci/relevo/test/manifests"
)

// ways are all that the documentation offers: an overlay and what is added.
var ways = []struct{ overlay, components string }{
	{"per-function", ""},
	{"fused", ""},
	{"development", "local-images"},
	{"development", "local-images redis-volume"},
	{"fused", "in-memory redis-dev quota local-images"},
	{"per-function", "kafka quota"},
	{"per-function", "rabbitmq"},
	{"per-function", "jetstream cdevents"},
	{"fused", "kafka"},
	{"per-function", "untrusted telemetry archive"},
	{"fused", "untrusted telemetry archive cdevents"},
}

// secrets are what the documentation has people make beforehand.
var secrets = []string{"relevo-redis/url", "relevo-redis/password", "relevo-worker/key", "relevo-api/token"}

// built is what one way makes.
type built struct {
	*testing.T
	objects []metav1.Object
}

func build(t *testing.T, overlay, components string) built {
	t.Helper()
	var added []string
	for name := range strings.FieldsSeq(components) {
		added = append(added, "components/"+name)
	}
	objects, err := manifests.Build(t.TempDir(), []string{"overlays/" + overlay}, added)
	if err != nil {
		t.Fatal(err)
	}
	return built{t, objects}
}

// all are the objects of one type.
func all[T metav1.Object](b built) []T {
	var found []T
	for _, o := range b.objects {
		if o, ok := o.(T); ok {
			found = append(found, o)
		}
	}
	return found
}

// named finds an object of a type by its name, in its namespace.
func named[T metav1.Object](b built, namespace, name string) (T, bool) {
	for _, o := range all[T](b) {
		if o.GetName() == name && o.GetNamespace() == namespace {
			return o, true
		}
	}
	var none T
	return none, false
}

func TestEachWayHoldsTogether(t *testing.T) {
	for _, way := range ways {
		t.Run(way.overlay+" "+way.components, func(t *testing.T) {
			b := build(t, way.overlay, way.components)
			for _, s := range all[*servingv1.Service](b) {
				b.service(s)
			}
			for _, d := range all[*eventingv1.Trigger](b) {
				if _, ok := named[*eventingv1.Broker](b, d.Namespace, d.Spec.Broker); !ok {
					t.Errorf("%s has no broker", d.Name)
				}
				b.reaches(d.Name, d.Namespace, &d.Spec.Subscriber)
				b.delivers(d.Name, d.Namespace, d.Spec.Delivery)
			}
			for _, d := range all[*eventingv1.Broker](b) {
				b.delivers(d.Name, d.Namespace, d.Spec.Delivery)
				if c := d.Spec.Config; c != nil && !slices.ContainsFunc(b.objects, func(o metav1.Object) bool { return o.GetName() == c.Name }) {
					t.Errorf("the broker's config %s is not there", c.Name)
				}
			}
			for _, d := range all[*sourcesv1.PingSource](b) {
				b.reaches(d.Name, d.Namespace, &d.Spec.Sink)
			}
			for _, d := range all[*sourcesv1.ApiServerSource](b) {
				b.reaches(d.Name, d.Namespace, &d.Spec.Sink)
				b.account(d.Namespace, d.Spec.ServiceAccountName)
			}
			for _, d := range all[*sourcesv1.SinkBinding](b) {
				b.reaches(d.Name, d.Namespace, &d.Spec.Sink)
			}
			for _, d := range all[*rbacv1.RoleBinding](b) {
				b.bound(d)
			}
		})
	}
}

// service holds one function's Service: what it names is there, and it keeps
// to Pod Security's level restricted.
func (b built) service(s *servingv1.Service) {
	b.Helper()
	spec := s.Spec.Template.Spec
	b.account(s.Namespace, spec.ServiceAccountName)
	c := spec.Containers[0]
	for _, from := range c.EnvFrom {
		if _, ok := named[*corev1.ConfigMap](b, s.Namespace, from.ConfigMapRef.Name); !ok {
			b.Errorf("%s: no ConfigMap %s", s.Name, from.ConfigMapRef.Name)
		}
	}
	for _, env := range c.Env {
		if env.ValueFrom == nil {
			continue
		}
		// These are for those who have some: docs/forges.md, docs/cloudevents.md, docs/deploy.md.
		ref := env.ValueFrom.SecretKeyRef
		needless := slices.Contains([]string{"relevo-forges", "relevo-events", "relevo-logs"}, ref.Name)
		if needless && (ref.Optional == nil || !*ref.Optional) {
			b.Errorf("%s does not start without the key %s of %s", s.Name, ref.Key, ref.Name)
		} else if !needless && !slices.Contains(secrets, ref.Name+"/"+ref.Key) {
			b.Errorf("%s: nobody is told to make the secret %s/%s", s.Name, ref.Name, ref.Key)
		}
	}
	x := c.SecurityContext
	if x == nil || *x.AllowPrivilegeEscalation || !*x.RunAsNonRoot || !*x.ReadOnlyRootFilesystem ||
		x.Capabilities.Drop[0] != "ALL" || x.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		b.Errorf("%s is not restricted: %+v", s.Name, x)
	}
	if !slices.Contains([]string{"api", "console", "webhook"}, s.Name) && s.Labels["networking.knative.dev/visibility"] != "cluster-local" {
		b.Errorf("%s is reached from outside", s.Name)
	}
}

func (b built) account(namespace, name string) {
	b.Helper()
	if _, ok := named[*corev1.ServiceAccount](b, namespace, name); !ok {
		b.Errorf("no account %s in %s", name, namespace)
	}
}

// delivers holds where an event goes in the end.
func (b built) delivers(name, namespace string, d *eventingduckv1.DeliverySpec) {
	b.Helper()
	if d != nil && d.DeadLetterSink == nil {
		b.Errorf("%s drops what it cannot deliver", name)
	} else if d != nil {
		b.reaches(name, namespace, d.DeadLetterSink)
	}
}

func (b built) reaches(name, namespace string, d *duckv1.Destination) {
	b.Helper()
	ok := false
	switch d.Ref.Kind {
	case "Service":
		_, ok = named[*servingv1.Service](b, namespace, d.Ref.Name)
	case "Broker":
		_, ok = named[*eventingv1.Broker](b, namespace, d.Ref.Name)
	}
	if !ok {
		b.Errorf("%s sends to %s %s, which is not there", name, d.Ref.Kind, d.Ref.Name)
	}
}

func (b built) bound(d *rbacv1.RoleBinding) {
	b.Helper()
	if _, ok := named[*rbacv1.Role](b, d.Namespace, d.RoleRef.Name); !ok {
		b.Errorf("no role %s in %s", d.RoleRef.Name, d.Namespace)
	}
	there := 0
	for _, s := range d.Subjects {
		if _, ok := named[*corev1.ServiceAccount](b, s.Namespace, s.Name); ok {
			there++
		} else if d.Namespace != "relevo-jobs-untrusted" { // that component names the accounts of both ways
			b.Errorf("no account %s in %s", s.Name, s.Namespace)
		}
	}
	if there == 0 {
		b.Errorf("nobody has the role %s in %s", d.RoleRef.Name, d.Namespace)
	}
}

// TestLeastPrivilege holds who has a token of the cluster's, and who has which
// secret, in both ways to deploy.
func TestLeastPrivilege(t *testing.T) {
	for overlay, want := range map[string]struct{ launchers, removers, key, forges []string }{
		"per-function": {
			[]string{"assignment-created"},
			[]string{"clock-ticked", "job-cancelled", "job-completed", "job-failed", "job-retried"},
			[]string{"assignment-created", "worker"},
			[]string{"delivery-received", "status-requested", "worker"},
		},
		"fused": {[]string{"provider"}, []string{"clock-ticked"}, []string{"provider", "worker"}, []string{"trigger", "worker"}},
	} {
		t.Run(overlay, func(t *testing.T) {
			b := build(t, overlay, "")
			subjects := map[string][]string{}
			for _, d := range all[*rbacv1.RoleBinding](b) {
				for _, s := range d.Subjects {
					subjects[d.RoleRef.Name] = append(subjects[d.RoleRef.Name], s.Name)
				}
			}
			equal(t, "launchers", subjects["launcher"], want.launchers)
			equal(t, "removers", subjects["remover"], want.removers)
			var tokens, pods, key, api, hooks, forges, secrets []string
			for _, a := range all[*corev1.ServiceAccount](b) {
				if a.AutomountServiceAccountToken == nil || *a.AutomountServiceAccountToken {
					tokens = append(tokens, a.Name)
				}
			}
			for _, s := range all[*servingv1.Service](b) {
				if m := s.Spec.Template.Spec.AutomountServiceAccountToken; m == nil || *m {
					pods = append(pods, s.Name)
				}
				text := fmt.Sprint(s.Spec.Template.Spec.Containers[0].Env)
				if strings.Contains(text, "_WEBHOOK_SECRET") {
					hooks = append(hooks, s.Name)
				}
				if strings.Contains(text, "_GITHUB_TOKEN") {
					forges = append(forges, s.Name)
				}
				if strings.Contains(fmt.Sprint(s.Spec.Template.Spec.Volumes), "relevo-secrets") {
					secrets = append(secrets, s.Name)
				}
				if strings.Contains(text, "relevo-worker") {
					key = append(key, s.Name)
				} else if strings.Contains(text, "relevo-api") {
					api = append(api, s.Name)
				}
			}
			lookers := []string{"job-changed"}
			equal(t, "lookers", subjects["looker"], lookers)
			granted := slices.Concat(want.launchers, want.removers, lookers)
			equal(t, "accounts with a token", tokens, append(granted, "job-source"))
			equal(t, "pods with a token", pods, granted)
			equal(t, "who has the workers' key", key, want.key)
			equal(t, "who has the api's token", api, []string{"api", "console"})
			equal(t, "who has the webhooks' secrets", hooks, []string{"webhook"})
			equal(t, "who has the forges' tokens", forges, want.forges)
			equal(t, "who has the jobs' secrets", secrets, []string{"worker"})
		})
	}
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// TestReadRefuses holds that reading looks.
func TestReadRefuses(t *testing.T) {
	const head = "metadata: {name: x, namespace: relevo}\n"
	for want, text := range map[string]string{
		"":                     "apiVersion: v1\nkind: ConfigMap\n" + head,
		`no type for v1/Pod`:   "apiVersion: v1\nkind: Pod\n" + head,
		`unknown field "spce"`: "apiVersion: serving.knative.dev/v1\nkind: Service\n" + head + "spce: {}\n",
		"spec.schedule":        "apiVersion: sources.knative.dev/v1\nkind: PingSource\n" + head + "spec: {schedule: never, sink: {uri: http://x}}\n",
		"spec.delivery.timeout": "apiVersion: eventing.knative.dev/v1\nkind: Broker\n" + head +
			"spec: {delivery: {timeout: soon}}\n",
	} {
		_, err := manifests.Read([]byte(text))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
