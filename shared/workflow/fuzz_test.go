package workflow

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/workflow/language"
)

// FuzzParse holds what is true of every file: it is compiled or its errors
// stand within it; the graph can be run in its order and survives JSON; and
// what is accepted the schema accepts.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{
		"../../test/testdata/*.yaml", "../../test/testdata/bad/*.yaml", "testdata/github/*.y*ml", "../../.relevo/*.yaml",
	} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			f.Fatalf("no files %s: %v", pattern, err)
		}
		for _, path := range paths {
			src, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src, false)
			f.Add(src, true)
		}
	}
	schema := compiled(f, language.Schema)
	f.Fuzz(func(t *testing.T, src []byte, github bool) {
		file := "f.yaml"
		if github {
			file = ".github/workflows/f.yaml"
		}
		spec, errs := Parse(file, src, Options{})
		again, errs2 := Parse(file, src, Options{})
		if !reflect.DeepEqual(spec, again) || !slices.Equal(errs, errs2) {
			t.Fatal("the same file is read differently")
		}
		if _, errs := ParseOverlay(OverlayFile, src); len(errs) > 0 {
			checkErrors(t, src, errs)
		}
		if spec == nil {
			checkErrors(t, src, errs)
			return
		}
		checkSpec(t, spec)
		if err := schema.Validate(asJSON(src)); err != nil {
			t.Fatalf("the schema refuses what is accepted: %v", err)
		}
	})
}

func checkErrors(t *testing.T, src []byte, errs Errors) {
	t.Helper()
	if len(errs) == 0 || len(errs) > mostErrors+1 {
		t.Fatalf("%d errors", len(errs))
	}
	if !slices.IsSortedFunc(errs[:min(len(errs), mostErrors)], func(a, b Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	}) {
		t.Fatalf("not in order:\n%s", errs)
	}
	lines := newLines(src)
	for _, e := range errs {
		if e.Message == "" || e.Line < 1 || e.Line > len(lines.starts) || e.Column < 1 || e.Column > len([]rune(lines.text(e.Line)))+1 {
			t.Fatalf("%s is no place in the file (%d lines)", e, len(lines.starts))
		}
	}
}

func checkSpec(t *testing.T, spec *pipeline.Spec) {
	t.Helper()
	first, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	var again pipeline.Spec
	if err := json.Unmarshal(first, &again); err != nil {
		t.Fatal(err)
	}
	if second, err := json.Marshal(again); err != nil || string(first) != string(second) {
		t.Fatalf("not the same after JSON: %v\n%s\n%s", err, first, second)
	}
	keys := map[events.JobKey]bool{}
	done := map[string]bool{}
	for i, j := range spec.Jobs {
		if keys[j.Key] || (len(j.Steps) == 0) != (j.Await != nil) {
			t.Fatalf("job %s is doubled or empty", j.Key)
		}
		keys[j.Key] = true
		for _, need := range j.Needs {
			if !done[need] {
				t.Fatalf("%s comes before %s, which it needs", j.Key, need)
			}
		}
		if i+1 == len(spec.Jobs) || spec.Jobs[i+1].ID != j.ID {
			done[j.ID] = true
		}
	}
	if len(spec.Jobs) == 0 {
		t.Fatal("no jobs")
	}
}
