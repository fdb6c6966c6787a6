package workflow_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/workflow"
)

// repository makes a folder with these files.
func repository(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const gitHubFile = "on: push\njobs: {build: {runs-on: linux, steps: [{run: echo}]}}\n"

func TestFind(t *testing.T) {
	dir := repository(t, map[string]string{
		".relevo/b.yaml": oneJob, ".relevo/a.yml": oneJob, ".relevo/overlay.yaml": "", ".relevo/notes.txt": "",
		".relevo/deeper/c.yaml": "", ".github/workflows/ci.yml": "", ".github/workflows/cd.yaml": "", ".github/dependabot.yml": "",
	})
	got, err := workflow.Find(dir)
	want := []string{".relevo/a.yml", ".relevo/b.yaml", ".github/workflows/cd.yaml", ".github/workflows/ci.yml"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := workflow.Find(t.TempDir()); len(got) > 0 || err != nil {
		t.Errorf("an empty repository has %v, %v", got, err)
	}
}

func TestLintFolder(t *testing.T) {
	dir := repository(t, map[string]string{
		".relevo/ok.yaml":          oneJob,
		".relevo/bad.yaml":         "jobs: {}\n",
		".github/workflows/ci.yml": gitHubFile,
		workflow.OverlayFile:       "workflows:\n  ci.yml: {jobs: {biuld: {priority: 1}}}\n  cj.yml: {jobs: {}}\n",
	})
	checked, errs, err := workflow.Lint(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{".github/workflows/ci.yml", ".relevo/bad.yaml", ".relevo/ok.yaml", workflow.OverlayFile}; !slices.Equal(checked, want) {
		t.Errorf("checked %v", checked)
	}
	want := `.relevo/bad.yaml:1:7: jobs is empty
.relevo/overlay.yaml:2:19: .github/workflows/ci.yml has no job "biuld" (did you mean "build"?)
.relevo/overlay.yaml:3:3: there is no file .github/workflows/cj.yml (did you mean "ci.yml"?)`
	if errs.Error() != want {
		t.Errorf("got\n%s", errs)
	}
	for file, want := range map[string]string{
		".relevo/ok.yaml":          "",
		".relevo/bad.yaml":         ".relevo/bad.yaml:1:7: jobs is empty",
		".github/workflows/ci.yml": `.relevo/overlay.yaml:2:19: .github/workflows/ci.yml has no job "biuld" (did you mean "build"?)`,
		workflow.OverlayFile:       `.relevo/overlay.yaml:3:3: there is no file .github/workflows/cj.yml (did you mean "ci.yml"?)`,
	} {
		if _, errs, err := workflow.Lint(dir, file); err != nil || errs.Error() != want {
			t.Errorf("%s: got %s, %v", file, errs, err)
		}
	}
	if _, _, err := workflow.Lint(dir, "missing.yaml"); err == nil {
		t.Error("a missing file is no error")
	}
}

func TestLoad(t *testing.T) {
	dir := repository(t, map[string]string{
		".relevo/ok.yaml":          oneJob,
		".github/workflows/ci.yml": gitHubFile,
		workflow.OverlayFile:       "workflows: {ci.yml: {jobs: {build: {priority: 7}}}}\n",
	})
	spec, errs, err := workflow.Load(dir, ".github/workflows/ci.yml", nil)
	if err != nil || errs != nil || spec.Jobs[0].Priority != 7 {
		t.Fatalf("%v %v %v", spec, errs, err)
	}
	if spec, errs, err = workflow.Load(dir, filepath.Join(dir, ".relevo/ok.yaml"), nil); err != nil || errs != nil || len(spec.Jobs) != 1 {
		t.Fatalf("%v %v %v", spec, errs, err)
	}
	if err := os.WriteFile(filepath.Join(dir, workflow.OverlayFile), []byte("x: y\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	// A bad overlay spoils the files that it is for, and no others.
	if _, errs, err = workflow.Load(dir, ".github/workflows/ci.yml", nil); err != nil || !strings.HasPrefix(errs.Error(), ".relevo/overlay.yaml:1:1: ") {
		t.Errorf("%v %v", errs, err)
	}
	if _, errs, err = workflow.Load(dir, ".relevo/ok.yaml", nil); err != nil || errs != nil {
		t.Errorf("%v %v", errs, err)
	}
}

func TestInputs(t *testing.T) {
	const src = `on:
  workflow_dispatch:
    inputs:
      name: {required: true}
      count: {type: number, default: 3}
      dry: {type: boolean}
      where: {type: choice, options: [here, there]}
` + oneJob
	for _, c := range []struct {
		name  string
		given map[string]any
		want  string // of the first error, or the values
	}{
		{"only checked", nil, "map[count:3 dry:false name: where:here]"},
		{"missing", map[string]any{}, "f.yaml:2:3: the input name is required and was not given"},
		{"as text", map[string]any{"name": "n", "count": "4", "dry": "true", "where": "there"}, "map[count:4 dry:true name:n where:there]"},
		{"of their type", map[string]any{"name": 5.0, "count": 4.0, "dry": true}, "map[count:4 dry:true name:5 where:here]"},
		{"no number", map[string]any{"name": "", "count": "four"}, `f.yaml:2:3: the input count must be a number, not "four"`},
		{"no boolean", map[string]any{"name": "", "dry": "yes"}, `f.yaml:2:3: the input dry must be true or false, not "yes"`},
		{"no choice", map[string]any{"name": "", "where": "else"}, `f.yaml:2:3: the input where must be one of its options, not "else"`},
		{"unknown", map[string]any{"name": "", "colour": "x"}, `f.yaml:2:3: there is no input "colour" (declare it in on.workflow_dispatch.inputs)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec, errs := workflow.Parse("f.yaml", []byte(src), workflow.Options{Inputs: c.given})
			got := errs.Error()
			if spec != nil {
				got = fmt.Sprint(spec.Inputs)
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestOrder holds that needs come first and the order of the file else.
func TestOrder(t *testing.T) {
	src := "jobs:\n"
	for _, line := range []string{"e: {needs: [d, b]", "d: {needs: a", "b: {needs: a", "c: {name: c", "a: {name: a", "f: {needs: e"} {
		src += "  " + line + ", steps: [{run: echo}]}\n"
	}
	spec, errs := workflow.Parse("f.yaml", []byte(src), workflow.Options{})
	if errs != nil {
		t.Fatal(errs)
	}
	var got string
	for _, j := range spec.Jobs {
		got += j.ID
	}
	if got != "cadbef" {
		t.Errorf("the order is %s", got)
	}
}
