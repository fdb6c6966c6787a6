package arch

import (
	"go/ast"
	"slices"
	"strings"
)

const domain = "shared/domain"

// domainFiles are the hand-written program files of the domain; its tests may
// do I/O and use what they need.
func domainFiles(t *Tree) []*File {
	var files []*File
	for _, f := range t.Files {
		if within(f.Dir, domain) && !f.Test {
			files = append(files, f)
		}
	}
	return files
}

// context is the domain package (the bounded context) that a folder belongs
// to: "pipeline" for shared/domain/pipeline/graph.
func context(dir string) string {
	return top(strings.TrimPrefix(dir, domain+"/"))
}

// domainImports holds what a domain package may import: events, its own
// context, others as the map says, and a short list of the standard library.
func domainImports(t *Tree, edges []Edge) []Finding {
	var found []Finding
	for _, f := range domainFiles(t) {
		for _, imp := range f.Imports {
			if why := domainRefuses(t, f, imp.Path, edges); why != "" {
				found = append(found, Finding{f.Path, imp.Line, why})
			}
		}
	}
	return found
}

func domainRefuses(t *Tree, f *File, importPath string, edges []Edge) string {
	dir, own := t.own(importPath)
	switch {
	case own && within(dir, "events"):
		return ""
	case own && within(dir, domain):
		from, to := context(f.Dir), context(dir)
		if from == to || slices.ContainsFunc(edges, func(e Edge) bool {
			return e.To == to && (e.From == from || e.From == "*")
		}) {
			return ""
		}
		return from + " imports " + to + ", which the context map does not allow"
	case own:
		return "the domain imports " + dir + ", which is not part of it"
	case !standard(importPath):
		return "the domain imports " + importPath + ", a third party"
	case !domainStdlib[importPath]:
		return "the domain imports " + importPath + ", which is not on its list of the standard library"
	}
	return ""
}

// domainPurity finds the clock, output and goroutines in the domain: the
// simulator needs every decision to follow from its arguments.
func domainPurity(t *Tree) []Finding {
	var found []Finding
	for _, f := range domainFiles(t) {
		ast.Inspect(f.AST, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				found = append(found, Finding{f.Path, t.line(n), "starts a goroutine"})
			case *ast.SelectorExpr:
				if pkg, name := f.selects(n); slices.Contains(domainForbidden[pkg], name) {
					found = append(found, Finding{f.Path, t.line(n), "uses " + pkg + "." + name + ": take the value as an argument"})
				}
			}
			return true
		})
	}
	return found
}

// selects resolves pkg.Name to the import path of pkg; the path is empty when
// the left side is no imported package.
func (f *File) selects(sel *ast.SelectorExpr) (importPath, name string) {
	x, ok := sel.X.(*ast.Ident)
	if !ok || x.Obj != nil { // a variable of this file shadows the import
		return "", ""
	}
	for i, spec := range f.AST.Imports {
		p := f.Imports[i].Path
		local := p[strings.LastIndex(p, "/")+1:]
		if spec.Name != nil {
			local = spec.Name.Name
		}
		if local == x.Name {
			return p, sel.Sel.Name
		}
	}
	return "", ""
}
