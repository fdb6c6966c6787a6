package main

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relevo-ci/relevo/providers/kubernetes"
)

// toRemove is what removing takes, and telling how much there is room for: no
// maker of workers, no reader of what they print or of one Secret by its name.
// Secrets are listed, since Terminate deletes them by UID.
var toRemove = map[string][]string{
	"jobs":           {"delete", "list", "watch"},
	"pods":           {"delete", "list", "watch"},
	"secrets":        {"delete", "list"},
	"events":         {"list"},
	"resourcequotas": {"list"},
}

// toLook is what it takes to say what became of a worker.
var toLook = map[string][]string{"jobs": {"list"}, "pods": {"list"}, "events": {"list"}}

func removing() []rbacv1.PolicyRule { return only(toRemove) }

func looking() []rbacv1.PolicyRule { return only(toLook) }

// looks tells that a unit looks at workers, and neither makes nor removes any.
func looks(u unit) bool { return u.serves("job-changed") && len(u.functions) == 1 }

// only are those of the provider's rights that are named here: verbs by resource.
func only(named map[string][]string) []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	for _, r := range kubernetes.Rules() {
		verbs := named[r.Resources[0]]
		r.Verbs = slices.DeleteFunc(slices.Clone(r.Verbs), func(verb string) bool { return !slices.Contains(verbs, verb) })
		if len(r.Verbs) > 0 {
			rules = append(rules, r)
		}
	}
	return rules
}

// rights are Roles in a namespace of jobs, made of what the provider says that
// it needs, and the accounts that have them.
func rights(units []unit, jobs string) ([]byte, error) {
	var documents [][]byte
	for _, role := range []struct {
		name  string
		rules []rbacv1.PolicyRule
		has   func(unit) bool
	}{
		{"launcher", kubernetes.Rules(), func(u unit) bool { return u.serves("assignment-created") }},
		{"remover", removing(), func(u unit) bool { return u.launches() && !u.serves("assignment-created") && !looks(u) }},
		{"looker", looking(), looks},
	} {
		meta := metav1.ObjectMeta{Name: role.name, Namespace: jobs, Labels: map[string]string{"app.kubernetes.io/part-of": "relevo"}}
		rules := &rbacv1.Role{
			TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "Role"},
			ObjectMeta: meta, Rules: role.rules,
		}
		binding := &rbacv1.RoleBinding{
			TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "RoleBinding"},
			ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.name},
		}
		for _, u := range units {
			if role.has(u) {
				binding.Subjects = append(binding.Subjects, rbacv1.Subject{Kind: "ServiceAccount", Name: u.name, Namespace: namespace})
			}
		}
		for _, object := range []any{rules, binding} {
			text, err := document(object, nil)
			if err != nil {
				return nil, err
			}
			documents = append(documents, text)
		}
	}
	return joined(generated+"# Who may launch workers, who may remove them, and who may look at them.\n", documents), nil
}
