package arch

import (
	"go/ast"
	"slices"
	"strings"
)

// adapters holds that no package of shared imports another, but for ports
// and the listed exceptions, so that each can be replaced alone. A test may
// use another adapter as its fake.
func adapters(t *Tree, ports []Row, exceptions []Edge) []Finding {
	var found []Finding
	for _, f := range t.Files {
		if top(f.Dir) != "shared" || within(f.Dir, domain) || f.Test {
			continue
		}
		for _, imp := range f.Imports {
			dir, own := t.own(imp.Path)
			if !own || top(dir) != "shared" || adapter(dir) == adapter(f.Dir) {
				continue
			}
			if listed(ports, dir) || slices.ContainsFunc(exceptions, func(e Edge) bool {
				return within(f.Dir, e.From) && within(dir, e.To)
			}) {
				continue
			}
			found = append(found, Finding{f.Path, imp.Line, adapter(f.Dir) + " imports " + adapter(dir) + ": adapters do not know each other"})
		}
	}
	return found
}

// adapter is the folder of shared that a folder belongs to: "shared/redis"
// for shared/redis/scripts.
func adapter(dir string) string {
	return "shared/" + top(strings.TrimPrefix(dir, "shared/"))
}

func listed(rows []Row, p string) bool {
	return slices.ContainsFunc(rows, func(r Row) bool { return within(p, r.Path) })
}

// byClient holds that those who ask the API do so with its Go client: what a
// route is called, and how its answers are read, is known in one place.
func byClient(t *Tree, users []Row) []Finding {
	asks := []string{"NewRequest", "NewRequestWithContext", "Get", "Head", "Post", "PostForm", "DefaultClient"}
	var found []Finding
	for _, f := range t.Files {
		if f.Test || !listed(users, f.Dir) {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if pkg, name := f.selects(sel); pkg == "net/http" && slices.Contains(asks, name) {
					found = append(found, Finding{f.Path, t.line(sel), "uses http." + name + ": shared/client asks the API"})
				}
			}
			return true
		})
	}
	return found
}

// environment holds that config alone reads environment variables, so that
// one reference can list them all.
func environment(t *Tree, readers []Row) []Finding {
	readsIt := []string{"Getenv", "LookupEnv", "Environ", "ExpandEnv"}
	var found []Finding
	for _, f := range t.Files {
		if f.Test || top(f.Dir) == "config" || top(f.Dir) == "test" || listed(readers, f.Dir) {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if pkg, name := f.selects(sel); pkg == "os" && slices.Contains(readsIt, name) {
					found = append(found, Finding{f.Path, t.line(sel), "uses os." + name + ": config reads the environment"})
				}
			}
			return true
		})
	}
	return found
}
