package workflow_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/workflow"
)

var update = flag.Bool("update", false, "write the golden files again")

const samples = "../../test/testdata"

// golden compares with a file in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update writes it):\n%s", path, got)
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	return files
}

func source(t *testing.T, path string) []byte {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func asJSON(t *testing.T, spec *pipeline.Spec) []byte {
	t.Helper()
	out, err := json.MarshalIndent(spec, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	var again pipeline.Spec
	if err := json.Unmarshal(out, &again); err != nil {
		t.Fatalf("the compiled file cannot be read back: %v", err)
	}
	if twice, _ := json.MarshalIndent(again, "", "  "); !bytes.Equal(out, twice) {
		t.Errorf("the compiled file is not the same after reading it back:\n%s", twice)
	}
	return append(out, '\n')
}

func base(path string) string {
	return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
}

func TestSamples(t *testing.T) {
	for _, path := range glob(t, samples+"/*.yaml") {
		t.Run(base(path), func(t *testing.T) {
			spec, errs := workflow.Parse(".relevo/"+filepath.Base(path), source(t, path), workflow.Options{})
			if errs != nil {
				t.Fatal(errs)
			}
			golden(t, "specs/"+base(path)+".json", asJSON(t, spec))
		})
	}
}

func TestBadSamples(t *testing.T) {
	for _, path := range glob(t, samples+"/bad/*.yaml") {
		t.Run(base(path), func(t *testing.T) {
			spec, errs := workflow.Parse(".relevo/"+filepath.Base(path), source(t, path), workflow.Options{})
			if spec != nil || errs.Err() == nil {
				t.Fatal("a bad file is accepted")
			}
			golden(t, "errors/"+base(path)+".txt", []byte(errs.Error()+"\n"))
		})
	}
}

// TestGitHub reads files as they are found in the wild, with the overlay.
func TestGitHub(t *testing.T) {
	overlay, errs := workflow.ParseOverlay(workflow.OverlayFile, source(t, "testdata/github/overlay.yaml"))
	if errs != nil {
		t.Fatal(errs)
	}
	for _, path := range glob(t, "testdata/github/*.yml") {
		t.Run(base(path), func(t *testing.T) {
			spec, errs := workflow.Parse(".github/workflows/"+filepath.Base(path), source(t, path), workflow.Options{Overlay: overlay})
			if len(errs) > 0 {
				golden(t, "errors/github-"+base(path)+".txt", []byte(errs.Error()+"\n"))
				return
			}
			golden(t, "specs/github-"+base(path)+".json", asJSON(t, spec))
		})
	}
}

func TestBadOverlay(t *testing.T) {
	_, errs := workflow.ParseOverlay(workflow.OverlayFile, source(t, "testdata/github/bad-overlay.yaml"))
	golden(t, "errors/overlay.txt", []byte(errs.Error()+"\n"))
}
