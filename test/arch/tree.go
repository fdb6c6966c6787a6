package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// A Tree is a parsed source tree. Folders that begin with a dot, testdata and
// bin are left out; nested modules are part of it.
type Tree struct {
	FS      fs.FS
	Module  string    // the module's path, from go.mod
	Folders []string  // all of them, the root apart
	Sources []*Source // hand-written or not, in every language, in walking order
	Files   []*File   // the Go files among them
	fset    *token.FileSet
}

// A Source is a file of program text.
type Source struct {
	Path      string
	Lines     int
	Generated bool // it has the customary "Code generated … DO NOT EDIT." line
}

// A File is a parsed Go file.
type File struct {
	*Source
	Dir     string
	Test    bool // its name ends in _test.go
	Imports []Import
	AST     *ast.File
}

// An Import is one import declaration.
type Import struct {
	Path string
	Line int
}

// sourceExtensions are the languages whose files have a size budget.
var sourceExtensions = map[string]bool{
	".go": true, ".lua": true, ".sh": true, ".js": true, ".css": true, ".html": true,
}

// Load parses the tree in fsys, whose root must hold the go.mod.
func Load(fsys fs.FS) (*Tree, error) {
	mod, err := fs.ReadFile(fsys, "go.mod")
	if err != nil {
		return nil, fmt.Errorf("arch: read go.mod: %w", err)
	}
	t := &Tree{FS: fsys, fset: token.NewFileSet()}
	for line := range strings.Lines(string(mod)) {
		if name, ok := strings.CutPrefix(line, "module "); ok {
			t.Module = strings.TrimSpace(name)
		}
	}
	err = fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && leftOut(p):
			return fs.SkipDir
		case d.IsDir() && p != ".":
			t.Folders = append(t.Folders, p)
		case d.Type().IsRegular() && sourceExtensions[path.Ext(p)]:
			return t.add(p)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("arch: load tree: %w", err)
	}
	return t, nil
}

func leftOut(folder string) bool {
	base := path.Base(folder)
	return folder == "bin" || base == "testdata" || base == "node_modules" ||
		(folder != "." && strings.HasPrefix(base, "."))
}

func (t *Tree) add(p string) error {
	text, err := fs.ReadFile(t.FS, p)
	if err != nil {
		return err
	}
	s := &Source{Path: p, Lines: bytes.Count(text, []byte("\n")), Generated: generated(text)}
	t.Sources = append(t.Sources, s)
	if path.Ext(p) != ".go" {
		return nil
	}
	parsed, err := parser.ParseFile(t.fset, p, text, parser.ParseComments)
	if err != nil {
		return err
	}
	f := &File{Source: s, Dir: path.Dir(p), Test: strings.HasSuffix(p, "_test.go"), AST: parsed}
	for _, spec := range parsed.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		f.Imports = append(f.Imports, Import{name, t.line(spec)})
	}
	t.Files = append(t.Files, f)
	return nil
}

// generated looks at the head of a file of any language: the mark may stand
// behind any comment sign.
func generated(text []byte) bool {
	for line := range bytes.Lines(text[:min(len(text), 2000)]) {
		if _, after, ok := bytes.Cut(line, []byte("Code generated ")); ok {
			return bytes.Contains(after, []byte(" DO NOT EDIT."))
		}
	}
	return false
}

func (t *Tree) line(n ast.Node) int { return t.fset.Position(n.Pos()).Line }

// length is how many lines a node takes, from its first to its last.
func (t *Tree) length(n ast.Node) int {
	return t.fset.Position(n.End()).Line - t.line(n) + 1
}

// own returns the folder of an import path that belongs to this module.
func (t *Tree) own(importPath string) (dir string, ok bool) {
	if importPath == t.Module {
		return ".", true
	}
	return strings.CutPrefix(importPath, t.Module+"/")
}

// top is the top-level folder of a folder, "." for the root package.
func top(dir string) string {
	first, _, _ := strings.Cut(dir, "/")
	return first
}

// within says that dir is root or lies below it.
func within(dir, root string) bool {
	return dir == root || strings.HasPrefix(dir, root+"/")
}

// standard says that an import path belongs to the standard library: its
// first element has no dot, as a module's path on a host would.
func standard(importPath string) bool {
	return !strings.Contains(top(importPath), ".")
}
