package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"knative.dev/serving/pkg/apis/autoscaling"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
)

// TestGenerated holds the files equal to what the table says: make gen.
func TestGenerated(t *testing.T) {
	files, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is stale (%v): make gen", name, err)
		}
	}
	old, err := stale(files)
	if err != nil || len(old) > 0 {
		t.Errorf("generated no more: %q (%v): make gen", old, err)
	}
}

// TestEveryShapeIsSomebodys: a row for a function that was renamed would be
// lost without a word.
func TestEveryShapeIsSomebodys(t *testing.T) {
	all, front := table()
	known := map[string]bool{}
	for _, u := range append(perFunction(all, front), fused(all, front)...) {
		known[u.name] = true
	}
	for name := range shapes {
		if !known[name] {
			t.Errorf("nothing is called %s", name)
		}
	}
}

// TestFusedServesAll holds that each function is in one Service in both ways.
func TestFusedServesAll(t *testing.T) {
	all, front := table()
	for way, units := range map[string][]unit{"per function": perFunction(all, front), "fused": fused(all, front)} {
		served := map[string]int{}
		for _, u := range units {
			for _, f := range u.functions {
				served[f.Name]++
			}
		}
		for _, f := range all {
			if served[f.Name] != 1 {
				t.Errorf("%s: %s is in %d Services", way, f.Name, served[f.Name])
			}
		}
	}
}

// TestMayNotBe holds that Knative's own checks look at what is generated.
func TestMayNotBe(t *testing.T) {
	f := fn.Function{Name: "f", On: events.TypeJobRequested, Handle: fn.On[events.JobRequested]("f", events.Pipeline, "", nil).Handle}
	for want, spoil := range map[string]func(*unit){
		"":                                func(*unit) {},
		autoscaling.WindowAnnotationKey:   func(u *unit) { u.shape.window = because("1s", "too short") },
		autoscaling.MaxScaleAnnotationKey: func(u *unit) { u.shape.most = because(-1, "less than nothing") },
		"containerConcurrency":            func(u *unit) { u.shape.concurrency = because[int64](-1, "less than none") },
		"timeoutSeconds":                  func(u *unit) { u.shape.timeout = because[int64](601, "longer than Knative allows") },
		"metadata.name":                   func(u *unit) { u.name = "Not_A_Name" },
	} {
		u := unit{name: "f", functions: []fn.Function{f}, shape: shapeOf("f")}
		spoil(&u)
		_, err := u.manifest()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestTriggerTakesFurtherTypes: a function may hear several types of ours.
func TestTriggerTakesFurtherTypes(t *testing.T) {
	f := fn.Function{Name: "f", On: events.TypeJobRequested, Also: []events.Type{events.TypeJobRetried}}
	trigger, _ := unit{name: "f", functions: []fn.Function{f}, shape: shapeOf("f")}.trigger(f)
	if err := checkTrigger(trigger); err != nil {
		t.Fatal(err)
	}
	if got := trigger.Spec.Filters; len(got) != 1 || len(got[0].Any) != 2 || got[0].Any[1].Exact["type"] != string(events.TypeJobRetried) {
		t.Errorf("got %+v", got)
	}
	trigger.Spec.Broker = ""
	if err := checkTrigger(trigger); err == nil {
		t.Error("a trigger without a broker is taken")
	}
}

// TestEachHasItsRightsAlone holds that an account which removes workers could
// not launch one, and one that looks at them could not remove any; and that
// none lacks a right because the provider's own list changed.
func TestEachHasItsRightsAlone(t *testing.T) {
	for _, c := range []struct {
		named map[string][]string
		rules []rbacv1.PolicyRule
		verbs []string
	}{
		{toRemove, removing(), []string{"delete", "list", "watch"}},
		{toLook, looking(), []string{"list"}},
	} {
		may := map[string]bool{}
		for _, r := range c.rules {
			for _, verb := range r.Verbs {
				may[verb+" "+r.Resources[0]] = true
				if !slices.Contains(c.verbs, verb) {
					t.Errorf("it may %s %s", verb, r.Resources)
				}
			}
		}
		for resource, verbs := range c.named {
			for _, verb := range verbs {
				if !may[verb+" "+resource] {
					t.Errorf("it may not %s %s: does the provider name that right?", verb, resource)
				}
			}
		}
	}
}
