// Package arch holds the house rules of this source tree as tests: who may
// import whom, what the domain must not touch, how long a file may be, what a
// test must not do. It parses the source itself, since a cached answer of the
// go command can hide a break. Every rule is tried on a planted tree in
// testdata, so that a rule that finds nothing is known to look.
//
// The tables that people edit (layers, context map, ports, exceptions) stand
// in tables.go; each row says why.
package arch

import "fmt"

// A Finding is one break of a rule.
type Finding struct {
	Path string // slash-separated, from the root of the tree
	Line int    // 0 when the whole file or folder is meant
	Text string // what is wrong, and what to do where that is not plain
}

// String gives "path:line: text".
func (f Finding) String() string {
	if f.Line == 0 {
		return f.Path + ": " + f.Text
	}
	return fmt.Sprintf("%s:%d: %s", f.Path, f.Line, f.Text)
}

// A Rule looks at a whole tree and returns its findings in the tree's order.
type Rule struct {
	Name  string // also the name of its planted tree, testdata/<name>.txtar
	Check func(*Tree) []Finding
}

// Rules returns every rule with the house's own tables.
func Rules() []Rule {
	return []Rule{
		{"layout", layout},
		{"layers", importsLeftwards},
		{"domain-imports", func(t *Tree) []Finding { return domainImports(t, contextMap) }},
		{"domain-purity", domainPurity},
		{"adapters", func(t *Tree) []Finding { return adapters(t, ports, adapterExceptions) }},
		{"client", func(t *Tree) []Finding { return byClient(t, clientUsers) }},
		{"environment", func(t *Tree) []Finding { return environment(t, environmentReaders) }},
		{"file-sizes", fileSizes},
		{"function-sizes", functionSizes},
		{"comments", packageComments},
		{"skips", skips},
		{"sleeps", func(t *Tree) []Finding { return sleeps(t, sleepers) }},
		{"lean-host", leanHost},
		{"lean-agent", leanAgent},
	}
}
