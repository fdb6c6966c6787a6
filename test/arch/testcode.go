package arch

import (
	"go/ast"
	"maps"
	"slices"
)

// testCode are the test files and what is made for them (a conformance suite
// imports testing from an ordinary file).
func testCode(t *Tree) []*File {
	var files []*File
	for _, f := range t.Files {
		if f.Test || slices.ContainsFunc(f.Imports, func(i Import) bool { return i.Path == "testing" }) {
			files = append(files, f)
		}
	}
	return files
}

// skips finds tests that leave themselves out: a missing tool must fail, or
// the suite is green where nothing ran.
func skips(t *Tree) []Finding {
	var found []Finding
	for _, f := range testCode(t) {
		ast.Walk(&skipVisitor{tree: t, file: f, found: &found}, f.AST)
	}
	return found
}

// A skipVisitor knows which names are a *testing.T, B, F or a testing.TB in
// the functions around the node; other types may have a Skip of their own.
type skipVisitor struct {
	tree  *Tree
	file  *File
	tests map[string]bool
	found *[]Finding
}

func (v *skipVisitor) Visit(n ast.Node) ast.Visitor {
	switch n := n.(type) {
	case *ast.FuncDecl:
		return v.enter(n.Type)
	case *ast.FuncLit:
		return v.enter(n.Type)
	case *ast.SelectorExpr:
		if pkg, name := v.file.selects(n); pkg == "testing" && name == "Short" {
			*v.found = append(*v.found, Finding{v.file.Path, v.tree.line(n), "uses testing.Short: every test always runs"})
		}
		x, ok := n.X.(*ast.Ident)
		if ok && v.tests[x.Name] && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, n.Sel.Name) {
			*v.found = append(*v.found, Finding{v.file.Path, v.tree.line(n), "skips a test: fail, and let test/setup install what is missing"})
		}
	}
	return v
}

func (v *skipVisitor) enter(fn *ast.FuncType) ast.Visitor {
	inner := *v
	inner.tests = maps.Clone(v.tests)
	if inner.tests == nil {
		inner.tests = map[string]bool{}
	}
	for _, param := range fn.Params.List {
		typ := param.Type
		if star, ok := typ.(*ast.StarExpr); ok {
			typ = star.X
		}
		isTest := false
		if sel, ok := typ.(*ast.SelectorExpr); ok {
			pkg, name := v.file.selects(sel)
			isTest = pkg == "testing" && slices.Contains([]string{"T", "B", "F", "TB"}, name)
		}
		for _, name := range param.Names {
			inner.tests[name.Name] = isTest
		}
	}
	return &inner
}

// sleeps finds time.Sleep in tests: it makes them slow on a fast machine and
// wrong on a slow one. In a synctest bubble the clock is fake and sleeping is
// how it moves.
func sleeps(t *Tree, allowed []Row) []Finding {
	var found []Finding
	for _, f := range testCode(t) {
		if listed(allowed, f.Path) {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if sel, ok := n.Fun.(*ast.SelectorExpr); ok {
					if pkg, name := f.selects(sel); pkg == "testing/synctest" && name == "Test" {
						return false
					}
				}
			case *ast.SelectorExpr:
				if pkg, name := f.selects(n); pkg == "time" && name == "Sleep" {
					found = append(found, Finding{f.Path, t.line(n), "sleeps: use testing/synctest, or poll with a deadline"})
				}
			}
			return true
		})
	}
	return found
}
