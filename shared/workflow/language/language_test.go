package language

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestGenerated holds that the files in docs are those that the table gives.
func TestGenerated(t *testing.T) {
	for _, f := range Generated() {
		want, err := f.Make()
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("../../../docs", filepath.FromSlash(f.Path)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("docs/%s is out of date: go generate ./shared/workflow/language", f.Path)
		}
	}
}

func TestNearest(t *testing.T) {
	for name, want := range map[string]string{
		"stpes": "steps", "step": "steps", "Steps": "steps", "runs_on": "runs-on", "timeout-minute": "timeout-minutes",
		"x": "", "": "", "completely": "", "uses-it": "", "ned": "needs", "need": "needs",
	} {
		if got := Nearest(name, Job.Names()); got != want {
			t.Errorf("%q is near %q, want %q", name, got, want)
		}
	}
}

// TestTable holds that the table says of each key what its readers need.
func TestTable(t *testing.T) {
	for _, p := range append(places, overlayPlaces...) {
		seen := map[string]bool{}
		for _, k := range p.Keys {
			if seen[k.Name] {
				t.Errorf("%s has %s twice", p.ID, k.Name)
			}
			seen[k.Name] = true
			if k.Doc == "" || (k.Value == nil) != (k.Support == Refused) || k.Required && k.Support == Refused {
				t.Errorf("%s of %s is incomplete", k.Name, p.ID)
			}
		}
	}
}
