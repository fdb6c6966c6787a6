package arch

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"
)

// planted loads an archive as a tree. Its comment lists the findings that its
// rule must make, one a line, behind whatever explains the case.
func planted(t *testing.T, archive *txtar.Archive) *Tree {
	t.Helper()
	files := fstest.MapFS{}
	for _, f := range archive.Files {
		files[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	return load(t, files)
}

// wanted are the archive comment's lines that begin with "want: ".
func wanted(archive *txtar.Archive) []string {
	var want []string
	for line := range strings.Lines(string(archive.Comment)) {
		if finding, ok := strings.CutPrefix(line, "want: "); ok {
			want = append(want, strings.TrimSpace(finding))
		}
	}
	return want
}

// plantedTables are the rules that take tables, with tables of their own: the
// house's exceptions must not decide what is found in a planted tree.
var plantedTables = map[string]func(*Tree) []Finding{
	"domain-imports": func(t *Tree) []Finding {
		return domainImports(t, []Edge{{"*", "grammar", ""}, {"zebra", "lion", ""}})
	},
	"adapters": func(t *Tree) []Finding {
		return adapters(t, []Row{{"shared/port", ""}}, []Edge{{"shared/bird", "shared/fish/scales", ""}})
	},
	"client":      func(t *Tree) []Finding { return byClient(t, []Row{{"functions/pages", ""}}) },
	"environment": func(t *Tree) []Finding { return environment(t, []Row{{"shared/agent", ""}}) },
	"sleeps":      func(t *Tree) []Finding { return sleeps(t, []Row{{"shared/allowed_test.go", ""}}) },
}

// TestPlanted runs each rule over its planted tree, which holds breaks beside
// code that only looks like one: the findings must be exactly the wanted.
func TestPlanted(t *testing.T) {
	for _, rule := range Rules() {
		if strings.HasSuffix(rule.Name, "-sizes") {
			continue // long files are planted by TestLimits and TestPercentiles
		}
		if check, ok := plantedTables[rule.Name]; ok {
			rule.Check = check
		}
		t.Run(rule.Name, func(t *testing.T) {
			archive, err := txtar.ParseFile(filepath.Join("testdata", rule.Name+".txtar"))
			if err != nil {
				t.Fatal(err)
			}
			want := wanted(archive)
			if len(want) == 0 {
				t.Fatal("the planted tree breaks no rule")
			}
			expect(t, rule.Check(planted(t, archive)), want)
		})
	}
}

func expect(t *testing.T, found []Finding, want []string) {
	t.Helper()
	var got []string
	for _, f := range found {
		got = append(got, f.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestLeanHostMayBeAbsent holds that a tree without the lean host breaks no
// rule about it.
func TestLeanHostMayBeAbsent(t *testing.T) {
	tree := planted(t, txtar.Parse([]byte("-- shared/a/a.go --\npackage a\n")))
	expect(t, leanHost(tree), nil)
	expect(t, leanAgent(tree), nil)
}

func TestUpdateKeepsReasons(t *testing.T) {
	imports := map[string]Finding{"example.org/b": {}, "example.org/a": {}}
	known := parseList([]byte("# head\nexample.org/b the second # aside\nexample.org/gone a reason\n"))
	rows := parseList(writeList(imports, known))
	want := map[string]reviewedImport{"example.org/a": {3, ""}, "example.org/b": {4, "the second"}}
	if len(rows) != len(want) || rows["example.org/a"] != want["example.org/a"] || rows["example.org/b"] != want["example.org/b"] {
		t.Errorf("got %v, want %v", rows, want)
	}
}
