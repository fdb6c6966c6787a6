package kubernetes

import (
	"maps"
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestParseSelector(t *testing.T) {
	for text, want := range map[string]map[string]string{
		"":                      nil,
		" , ":                   nil,
		"a=b":                   {"a": "b"},
		"a=b, example.org/c=":   {"a": "b", "example.org/c": ""},
		"kubernetes.io/arch=x1": {corev1.LabelArchStable: "x1"},
	} {
		if got, err := ParseSelector(text); err != nil || !maps.Equal(got, want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, bad := range []string{"a", "=b", "a b=c", "a=b c", "a=b,c"} {
		if got, err := ParseSelector(bad); err == nil {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
}

func TestParseTolerations(t *testing.T) {
	const exists, equal = corev1.TolerationOpExists, corev1.TolerationOpEqual
	for text, want := range map[string][]corev1.Toleration{
		"":                  nil,
		"a":                 {{Key: "a", Operator: exists}},
		"a:NoSchedule":      {{Key: "a", Operator: exists, Effect: corev1.TaintEffectNoSchedule}},
		"a=b:NoExecute, c=": {{Key: "a", Operator: equal, Value: "b", Effect: corev1.TaintEffectNoExecute}, {Key: "c", Operator: equal}},
	} {
		if got, err := ParseTolerations(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, bad := range []string{":NoSchedule", "a:Never", "a=b c", "=", "a=b:NoSchedule:x"} {
		if got, err := ParseTolerations(bad); err == nil {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
}

// FuzzSettings: what is read is what can be written again.
func FuzzSettings(f *testing.F) {
	for _, seed := range []string{"a=b,c=d", "a=b:NoSchedule", "a,,b", "a/b=c:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if selector, err := ParseSelector(text); err == nil {
			again := ""
			for key, value := range selector {
				again += key + "=" + value + ","
			}
			if got, err := ParseSelector(again); err != nil || !maps.Equal(got, selector) {
				t.Errorf("%q is %v, and %q is %v, %v", text, selector, again, got, err)
			}
		}
		tolerations, err := ParseTolerations(text)
		if err != nil {
			return
		}
		again := ""
		for _, t := range tolerations {
			again += t.Key
			if t.Operator == corev1.TolerationOpEqual {
				again += "=" + t.Value
			}
			if t.Effect != "" {
				again += ":" + string(t.Effect)
			}
			again += ","
		}
		if got, err := ParseTolerations(again); err != nil || !reflect.DeepEqual(got, tolerations) {
			t.Errorf("%q is %v, and %q is %v, %v", text, tolerations, again, got, err)
		}
	})
}
