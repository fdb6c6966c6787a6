package arch

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

var update = flag.Bool("update", false, "write "+hostList+" again")

// repository loads the tree that this test stands in.
func repository(t *testing.T) (tree *Tree, root string) {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	tree, err = Load(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	return tree, root
}

func TestRepository(t *testing.T) {
	tree, root := repository(t)
	if *update {
		old, err := fs.ReadFile(tree.FS, hostList)
		if err != nil {
			t.Fatal(err)
		}
		list := writeList(thirdParties(tree, hostFolder), parseList(old))
		if err := os.WriteFile(filepath.Join(root, hostList), list, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, rule := range Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			for _, f := range rule.Check(tree) {
				t.Error(f)
			}
		})
	}
}

// TestExceptionsAreNeeded takes each exception away in turn: the rule must
// then find something, or the row has outlived its reason.
func TestExceptionsAreNeeded(t *testing.T) {
	tree, _ := repository(t)
	needed(t, adapterExceptions, func(rows []Edge) []Finding { return adapters(tree, ports, rows) })
	needed(t, environmentReaders, func(rows []Row) []Finding { return environment(tree, rows) })
	needed(t, sleepers, func(rows []Row) []Finding { return sleeps(tree, rows) })
}

func needed[R any](t *testing.T, rows []R, check func([]R) []Finding) {
	t.Helper()
	with := len(check(rows))
	for i, row := range rows {
		if len(check(slices.Delete(slices.Clone(rows), i, i+1))) == with {
			t.Errorf("the exception %+v is not needed", row)
		}
	}
}

func TestEveryRowHasAReason(t *testing.T) {
	for _, edge := range slices.Concat(contextMap, adapterExceptions) {
		if edge.Why == "" {
			t.Errorf("%s to %s has no reason", edge.From, edge.To)
		}
	}
	for _, row := range slices.Concat(ports, environmentReaders, sleepers, leanForbidden) {
		if row.Why == "" {
			t.Errorf("%s has no reason", row.Path)
		}
	}
}
