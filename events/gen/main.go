// Command gen writes what follows from the types and comments of package
// events: a JSON Schema for each event, the envelope's, the bundle of them all,
// the AsyncAPI document and docs/events.md. `make gen` runs it.
//
// With -baseline it also records the language as released: from then on
// TestNothingBreaks holds every later change against it. It refuses to record a
// language that breaks the one recorded, unless -force says that nobody speaks
// that yet.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:generate go run .

// root is package events, seen from here: go generate and go test both start in
// the folder of the file.
const root = ".."

// baselinePath is the bundle of the last release.
var baselinePath = filepath.Join(root, "schemas", "baseline.json")

func main() {
	baseline := flag.Bool("baseline", false, "record the language as released")
	force := flag.Bool("force", false, "with -baseline: record it even if it breaks what was released")
	flag.Parse()
	if err := run(*baseline, *force); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(baseline, force bool) error {
	l, err := readLanguage(root)
	if err != nil {
		return err
	}
	files, err := generate(l)
	if err != nil {
		return err
	}
	stale, err := staleFiles(root, files)
	if err != nil {
		return err
	}
	for _, path := range stale {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	for path, text := range files {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
	}
	if baseline {
		next, err := encode(l.bundle())
		if err != nil {
			return err
		}
		return record(baselinePath, next, force)
	}
	return nil
}

// record writes the bundle next as the baseline.
func record(path string, next []byte, force bool) error {
	prev, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err == nil && !force {
		found, err := breaks(prev, next)
		if err != nil {
			return err
		}
		if len(found) > 0 {
			return fmt.Errorf("the language breaks the one released:\n%s", strings.Join(found, "\n"))
		}
	}
	return os.WriteFile(path, next, 0o644)
}

// staleFiles are the schemas of events that are no more. The AsyncAPI document
// beside them is written where the functions' table is known.
func staleFiles(root string, files map[string][]byte) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(root, "schemas", "*.json"))
	return slices.DeleteFunc(found, func(path string) bool {
		return files[path] != nil || path == baselinePath || filepath.Base(path) == "asyncapi.json"
	}), err
}
