package provider_test

import (
	"maps"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/provider"
)

func launch() execution.Launch {
	return execution.Launch{
		AttemptRef: events.AttemptRef{
			JobRef: events.JobRef{Run: "R", Job: "build.0"}, Attempt: 2, Fence: events.Fence{Epoch: 3, Counter: 4},
		},
		Worker: "w", Assignment: "as", Pool: "linux",
	}
}

// TestMarksAreReadAsWritten: under any names, and the names of annotations are
// those that others know.
func TestMarksAreReadAsWritten(t *testing.T) {
	l := launch()
	at := events.Placement{Pool: "linux", Assignment: "as", Worker: "w"}
	for _, m := range []provider.Marks{provider.Annotations, "dev.relevo."} {
		installation, ref, placed := m.Read(m.Of("here", l))
		if installation != "here" || ref != l.AttemptRef || placed != at {
			t.Errorf("%s: %s, %+v, %+v", m, installation, ref, placed)
		}
	}
	want := map[string]string{
		provider.AnnotationInstallation: "here", provider.AnnotationWorker: "w", provider.AnnotationFence: "3.4",
		provider.AnnotationRun: "R", provider.AnnotationJob: "build.0", provider.AnnotationAttempt: "2",
		provider.AnnotationPool: "linux", provider.AnnotationAssignment: "as",
	}
	if got := provider.Annotations.Of("here", l); !maps.Equal(got, want) {
		t.Errorf("annotations %v, want %v", got, want)
	}
	if installation, ref, placed, ok := provider.Annotated(want); !ok || installation != "here" || ref != l.AttemptRef || placed != at {
		t.Errorf("annotated: %s, %+v, %+v, %v", installation, ref, placed, ok)
	}
}

// TestAnnotatedRefuses what a person wrote, or left out.
func TestAnnotatedRefuses(t *testing.T) {
	for name, spoiled := range map[string][]string{
		provider.AnnotationInstallation: {""}, provider.AnnotationWorker: {""}, provider.AnnotationRun: {""}, provider.AnnotationJob: {""},
		provider.AnnotationPool: {""}, provider.AnnotationAssignment: {""}, provider.AnnotationFence: {"", "1", "x.y", "01.2"},
		provider.AnnotationAttempt: {"", "0", "-1", "two", "99999999999999999999"},
	} {
		for _, value := range spoiled {
			a := provider.Annotations.Of("here", launch())
			a[name] = value
			if _, ref, _, ok := provider.Annotated(a); ok || ref.Attempt > 2 {
				t.Errorf("%s=%q is taken: %+v", name, value, ref)
			}
		}
	}
}
