package main

import (
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// bindings bind the accounts of those that launch and remove workers, and no
// other, to the Roles in base/platform/jobs.yaml.
func bindings(units []unit) ([]byte, error) {
	var documents [][]byte
	for _, role := range []struct {
		name string
		has  func(unit) bool
	}{
		{"launcher", func(u unit) bool { return u.serves("assignment-created") }},
		{"remover", func(u unit) bool { return u.launches() && !u.serves("assignment-created") }},
	} {
		binding := &rbacv1.RoleBinding{
			TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "RoleBinding"},
			ObjectMeta: metav1.ObjectMeta{Name: role.name, Namespace: jobs, Labels: map[string]string{"app.kubernetes.io/part-of": "relevo"}},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.name},
		}
		for _, u := range units {
			if role.has(u) {
				binding.Subjects = append(binding.Subjects, rbacv1.Subject{Kind: "ServiceAccount", Name: u.name, Namespace: namespace})
			}
		}
		text, err := document(binding, nil)
		if err != nil {
			return nil, err
		}
		documents = append(documents, text)
	}
	return joined(generated+"# Who may launch and remove workers.\n", documents), nil
}
