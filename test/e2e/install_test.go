//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relevo-ci/relevo/functions"
	"github.com/relevo-ci/relevo/functions/worker"
	"github.com/relevo-ci/relevo/shared/workers"
)

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The API server takes every overlay.
func TestOverlays(t *testing.T) {
	r := begin(t)
	overlays, err := filepath.Glob("../../deploy/knative/overlays/*/kustomization.yaml")
	if err != nil || len(overlays) < 3 {
		t.Fatalf("overlays %q, %v", overlays, err)
	}
	for _, path := range overlays {
		r.dryRun(filepath.Dir(path))
	}
	// What may be added to them. RabbitMQ's own types are not on this cluster.
	components, err := filepath.Glob("../../deploy/knative/components/*/kustomization.yaml")
	if err != nil || len(components) < 10 {
		t.Fatalf("components %q, %v", components, err)
	}
	r.kubectl("create", "namespace", strangers) // a dry run makes none for what is in it
	r.Cleanup(func() { r.kubectl("delete", "namespace", strangers) })
	for _, path := range components {
		component := filepath.Base(filepath.Dir(path))
		if component == "rabbitmq" {
			continue
		}
		dir, err := os.MkdirTemp(".", "overlay-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		text := "resources: [../../../deploy/knative/overlays/per-function]\ncomponents:\n"
		if component == "redis-volume" {
			text += "  - ../../../deploy/knative/components/redis-dev\n"
		}
		write(t, filepath.Join(dir, "kustomization.yaml"), text+"  - ../../../deploy/knative/components/"+component+"\n")
		r.dryRun(dir)
	}
}

// dryRun asks the API server to take an overlay. A Broker's kind cannot be
// changed once it is there, so that it goes by another name than the installed
// one; and Serving tries pods with their accounts, which therefore must be there.
func (r *rig) dryRun(dir string) {
	r.Helper()
	all := strings.Split(r.kubectl("kustomize", dir), "\n---\n")
	for i, o := range all {
		if _, account, ok := strings.Cut(o, "\nkind: ServiceAccount\n"); ok {
			r.account(account[strings.Index(account, "\n  name: ")+len("\n  name: "):])
		}
		if strings.Contains(o, "\nkind: Broker\n") {
			all[i] = strings.Replace(o, "\n  name: relevo\n", "\n  name: another\n", 1)
		}
	}
	path := r.TempDir() + "/overlay.yaml"
	write(r.TB, path, strings.Join(all, "\n---\n"))
	r.kubectl("apply", "--dry-run=server", "-f", path)
}

// account makes an account, named in the first line, where there is none.
func (r *rig) account(text string) {
	r.Helper()
	name, _, _ := strings.Cut(text, "\n")
	if _, err := r.kube.CoreV1().ServiceAccounts(namespace).Get(r.ctx, name, v1.GetOptions{}); err == nil {
		return
	}
	r.kubectl("create", "serviceaccount", name, "-n", namespace)
	r.Cleanup(func() { r.kubectl("delete", "serviceaccount", name, "-n", namespace) })
}

// What a function must not be allowed, asked function by function: only those
// that launch workers touch Jobs, nobody reads secrets or another namespace.
func TestRights(t *testing.T) {
	r := begin(t)
	may := func(account, verb, group, resource, in string) bool {
		t.Helper()
		review, err := r.kube.AuthorizationV1().SubjectAccessReviews().Create(r.ctx, &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{
				User: "system:serviceaccount:" + namespace + ":" + account,
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Namespace: in, Verb: verb, Group: group, Resource: resource,
				},
			},
		}, v1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return review.Status.Allowed
	}
	launching := 0
	for _, f := range functions.All(functions.Deps{Workers: &workers.Workers{}, Reports: &worker.Reports{}}) {
		if _, err := r.kube.CoreV1().ServiceAccounts(namespace).Get(r.ctx, f.Name, v1.GetOptions{}); err != nil {
			t.Errorf("%s has no account of its own: %v", f.Name, err)
			continue
		}
		for _, verb := range []string{"get", "list", "watch", "create", "update", "patch", "delete"} {
			jobsToo := may(f.Name, verb, "batch", "jobs", jobs)
			if jobsToo && !f.Launches {
				t.Errorf("%s launches nothing and may %s Jobs", f.Name, verb)
			}
			if jobsToo && verb == "delete" {
				launching++
			}
			for _, where := range []string{namespace, "default", "kube-system", ""} {
				for _, what := range []string{"secrets", "pods", "configmaps"} {
					if may(f.Name, verb, "", what, where) {
						t.Errorf("%s may %s %s in %q", f.Name, verb, what, where)
					}
				}
			}
			for _, what := range []string{"roles", "rolebindings", "clusterroles"} {
				if may(f.Name, verb, "rbac.authorization.k8s.io", what, jobs) {
					t.Errorf("%s may %s %s", f.Name, verb, what)
				}
			}
			if !f.Launches && slices.Contains([]string{"get", "list", "watch"}, verb) && may(f.Name, verb, "", "secrets", jobs) {
				t.Errorf("%s may %s the workers' secrets", f.Name, verb)
			}
		}
		for _, what := range []string{"pods/exec", "pods/ephemeralcontainers", "serviceaccounts/token"} {
			if may(f.Name, "create", "", what, jobs) || may(f.Name, "create", "", what, namespace) {
				t.Errorf("%s may create %s", f.Name, what)
			}
		}
	}
	if launching == 0 {
		t.Error("nobody may remove a worker")
	}
	for _, pod := range r.functions() {
		if account := pod.Spec.ServiceAccountName; account == "default" || !strings.HasPrefix(pod.Name, account) {
			t.Errorf("%s runs as %s", pod.Name, account)
		}
	}
}
