package kubernetes

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// ParseSelector reads a node selector, "key=value,key=value"; empty is none.
func ParseSelector(text string) (map[string]string, error) {
	selector := map[string]string{}
	for _, part := range list(text) {
		key, value, ok := strings.Cut(part, "=")
		switch {
		case !ok:
			return nil, fmt.Errorf("kubernetes: node selector %q: it is not key=value", part)
		case len(validation.IsQualifiedName(key)) > 0:
			return nil, fmt.Errorf("kubernetes: node selector %q: %s", part, strings.Join(validation.IsQualifiedName(key), "; "))
		case len(validation.IsValidLabelValue(value)) > 0:
			return nil, fmt.Errorf("kubernetes: node selector %q: %s", part, strings.Join(validation.IsValidLabelValue(value), "; "))
		}
		selector[key] = value
	}
	if len(selector) == 0 {
		return nil, nil
	}
	return selector, nil
}

// ParseTolerations reads tolerations as kubectl writes taints, comma-separated:
// "key=value:Effect", "key:Effect", "key=value" or "key", without an effect for
// all of them; a key alone for every value. Empty is none.
func ParseTolerations(text string) ([]corev1.Toleration, error) {
	var all []corev1.Toleration
	for _, part := range list(text) {
		taint, effect, _ := strings.Cut(part, ":")
		key, value, equal := strings.Cut(taint, "=")
		t := corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffect(effect)}
		if equal {
			t.Operator, t.Value = corev1.TolerationOpEqual, value
		}
		switch t.Effect {
		case "", corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute:
		default:
			return nil, fmt.Errorf("kubernetes: toleration %q: the effect is NoSchedule, PreferNoSchedule or NoExecute", part)
		}
		if wrong := append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...); len(wrong) > 0 {
			return nil, fmt.Errorf("kubernetes: toleration %q: %s", part, strings.Join(wrong, "; "))
		}
		all = append(all, t)
	}
	return all, nil
}

// list are the parts of a comma-separated text, without empty ones.
func list(text string) []string {
	var parts []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}
