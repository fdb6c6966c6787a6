package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGenerated holds the files equal to what the tables say: make gen.
func TestGenerated(t *testing.T) {
	files, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range files {
		got, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(path)))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is stale (%v): make gen", path, err)
		}
	}
}

// TestFolders holds a folder for each function, and a function for each folder.
func TestFolders(t *testing.T) {
	named := map[string]bool{"generate": true}
	for _, f := range table() {
		named[f.Name] = true
	}
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && !named[e.Name()] {
			t.Errorf("functions/%s is no row of the table", e.Name())
		}
		delete(named, e.Name())
	}
	for name := range named {
		t.Errorf("%s has no folder", name)
	}
}

// TestNames holds a function's name to the tail of its event type.
func TestNames(t *testing.T) {
	for _, f := range table() {
		parts := strings.Split(string(f.On), ".")
		if len(parts) != 6 {
			continue // HTTP, or every event
		}
		tail := parts[3] + "-" + parts[4]
		if f.Name != tail && !strings.HasPrefix(f.Name, tail+"-") {
			t.Errorf("%s answers %s: it should be called %s, or that and its context", f.Name, f.On, tail)
		}
	}
}

// TestInvokedAsTheRoot holds every function to the invocation of the root
// package, of which their image is made.
func TestInvokedAsTheRoot(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "func.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	root := invocation(raw)
	for _, f := range table() {
		if got := invocation(funcYAML(f)); got == "" || got != root {
			t.Errorf("%s has %q, the root %q", f.Name, got, root)
		}
	}
}

func invocation(yaml []byte) string {
	for line := range strings.Lines(string(yaml)) {
		if strings.HasPrefix(line, "invoke: ") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
