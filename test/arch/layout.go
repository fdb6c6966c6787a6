package arch

import (
	"io/fs"
	"path"
	"strings"
)

// layout holds the shape of the tree: what stands at the top, and that no
// folder's name is a bucket's.
func layout(t *Tree) []Finding {
	var found []Finding
	entries, err := fs.ReadDir(t.FS, ".")
	if err != nil {
		return []Finding{{".", 0, err.Error()}}
	}
	for _, e := range entries {
		if !topLevel[e.Name()] && !strings.HasPrefix(e.Name(), ".") {
			found = append(found, Finding{e.Name(), 0, "does not belong at the top level"})
		}
	}
	for _, folder := range t.Folders {
		if bucketNames[path.Base(folder)] {
			found = append(found, Finding{folder, 0, "the folder's name does not say what is inside"})
		}
	}
	return found
}

// importsLeftwards holds the order of the layers, that config is read by the
// binaries alone, and that functions take ports instead of providers. Tests
// may use a provider (the fake one) but do not reach rightwards either.
func importsLeftwards(t *Tree) []Finding {
	var found []Finding
	for _, f := range t.Files {
		for _, imp := range f.Imports {
			dir, ok := t.own(imp.Path)
			if !ok {
				continue
			}
			from, to := top(f.Dir), top(dir)
			switch {
			case layers[to] > layers[from]:
				found = append(found, Finding{f.Path, imp.Line, from + " imports " + to + ", which lies to its right"})
			case to == "config" && from != "config" && layers[from] < layers["deploy"]:
				found = append(found, Finding{f.Path, imp.Line, from + " imports config: take the values as arguments"})
			case to == "providers" && from == "functions" && !f.Test:
				found = append(found, Finding{f.Path, imp.Line, "a function imports a provider: take a port"})
			}
		}
	}
	return found
}
