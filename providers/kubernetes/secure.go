package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Rules are the rights that the provider needs, in its namespace alone: what a
// Role for its service account is made of.
func Rules() []rbacv1.PolicyRule {
	rule := func(group, resource string, verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: verbs}
	}
	return []rbacv1.PolicyRule{
		rule("batch", "jobs", "create", "delete", "get", "list", "watch"),
		rule("", "pods", "delete", "list", "watch"),
		rule("", "pods/log", "get"),
		rule("", "pods/portforward", "create", "get"),
		rule("", "secrets", "create", "delete", "get", "list"),
		rule("", "events", "list", "watch"),
		rule("", "namespaces", "get"),
		rule("", "resourcequotas", "list"),
		rule("networking.k8s.io", "networkpolicies", "create", "get", "update"),
	}
}

// Secure checks that the namespace is there and keeps its pods within bounds,
// that the service account has the rights it needs, and makes the network
// policy. The error says what to do.
func (p *Provider) Secure(ctx context.Context) error {
	if err := p.checkRights(ctx); err != nil {
		return wrap("check rights", err)
	}
	if err := p.checkNamespace(ctx); err != nil {
		return wrap("check namespace "+p.cfg.Namespace, err)
	}
	return wrap("make network policy "+p.policyName(), p.ensurePolicy(ctx))
}

// checkRights names all rights that are missing at once.
func (p *Provider) checkRights(ctx context.Context) error {
	var missing []string
	for _, rule := range Rules() {
		resource, sub, _ := strings.Cut(rule.Resources[0], "/")
		var verbs []string
		for _, verb := range rule.Verbs {
			review, err := p.client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
				Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
					Namespace: p.cfg.Namespace, Verb: verb, Group: rule.APIGroups[0], Resource: resource, Subresource: sub,
				}},
			}, metav1.CreateOptions{})
			if err != nil {
				return fmt.Errorf("does the cluster answer at %s, and is the service account's token good? %w", p.rest.Host, err)
			}
			if !review.Status.Allowed {
				verbs = append(verbs, verb)
			}
		}
		if verbs != nil {
			missing = append(missing, fmt.Sprintf(`{apiGroups: [%q], resources: [%q], verbs: ["%s"]}`, rule.APIGroups[0], rule.Resources[0], strings.Join(verbs, `", "`)))
		}
	}
	if missing != nil {
		return fmt.Errorf("the service account of Relevo lacks rights in the namespace %s: add to its Role the rules\n%s", p.cfg.Namespace, strings.Join(missing, "\n"))
	}
	return nil
}

// enforce is the label that bounds what pods of a namespace may be.
const enforce = "pod-security.kubernetes.io/enforce"

// checkNamespace wants the bound itself, besides pods that keep to it: it holds
// for whatever else comes to be in the namespace of untrusted jobs.
func (p *Provider) checkNamespace(ctx context.Context) error {
	name := p.cfg.Namespace
	namespace, err := p.client.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("it is not there: kubectl create namespace %s && kubectl label namespace %s %s=%s", name, name, enforce, p.level())
	}
	if err != nil {
		return err
	}
	if namespace.Status.Phase == corev1.NamespaceTerminating {
		return errors.New("it is being deleted: make it again, or set another")
	}
	allowed := []string{"restricted"}
	if p.cfg.Root {
		allowed = []string{"baseline"}
	}
	if level := namespace.Labels[enforce]; !slices.Contains(allowed, level) {
		return fmt.Errorf("its Pod Security is %q: kubectl label --overwrite namespace %s %s=%s", level, name, enforce, p.level())
	}
	return nil
}

// level is the Pod Security Standard that the pods keep to.
func (p *Provider) level() string {
	if p.cfg.Root {
		return "baseline"
	}
	return "restricted"
}

// ensurePolicy makes the network policy, or makes it what it should be.
func (p *Provider) ensurePolicy(ctx context.Context) error {
	policies, want := p.client.NetworkingV1().NetworkPolicies(p.cfg.Namespace), p.policy()
	there, err := policies.Get(ctx, want.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = policies.Create(ctx, want, metav1.CreateOptions{})
		if !apierrors.IsAlreadyExists(err) {
			return err
		}
		there, err = policies.Get(ctx, want.Name, metav1.GetOptions{})
	}
	if err != nil || samePolicy(there, want) {
		return err
	}
	want.ResourceVersion = there.ResourceVersion
	_, err = policies.Update(ctx, want, metav1.UpdateOptions{})
	if apierrors.IsConflict(err) {
		return fmt.Errorf("another one changes it just now: %w", err)
	}
	return err
}

func samePolicy(a, b *networkingv1.NetworkPolicy) bool {
	return equality.Semantic.DeepEqual(a.Spec, b.Spec) && equality.Semantic.DeepEqual(a.Labels, b.Labels)
}

// Dismantle removes the installation's network policy, for an installation that
// ends with its control plane. It takes a right that Rules does not name.
func (p *Provider) Dismantle(ctx context.Context) error {
	err := p.client.NetworkingV1().NetworkPolicies(p.cfg.Namespace).Delete(ctx, p.policyName(), metav1.DeleteOptions{})
	return wrap("remove network policy "+p.policyName(), ignoreGone(err))
}
