package arch

import (
	"slices"
	"strings"
)

// packageComments holds that each package says what it is for, once: "Package
// x …", or any sentence for a main. A package of tests alone says it in one
// of them.
func packageComments(t *Tree) []Finding {
	type pkg struct{ dir, name string }
	commented := map[pkg]bool{}
	first := map[pkg]*File{}
	var order []pkg
	for _, f := range t.Files {
		p := pkg{f.Dir, strings.TrimSuffix(f.AST.Name.Name, "_test")}
		if first[p] == nil {
			first[p] = f
			order = append(order, p)
		}
		comment := f.AST.Doc.Text()
		if comment != "" && (p.name == "main" || strings.HasPrefix(comment, "Package "+p.name+" ")) {
			commented[p] = true
		}
	}
	order = slices.DeleteFunc(order, func(p pkg) bool { return commented[p] })
	found := make([]Finding, 0, len(order))
	for _, p := range order {
		found = append(found, Finding{first[p].Path, t.line(first[p].AST.Name), "package " + p.name + " has no package comment"})
	}
	return found
}
