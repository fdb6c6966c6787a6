package arch

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

const (
	hostFolder  = "deploy/host"
	agentFolder = "deploy/agent"
	// hostList is the reviewed list of what the lean host imports from third
	// parties: an import path and a reason a line.
	hostList = "test/arch/lean_host.txt"
)

// thirdParties returns what the program in folder imports from other modules,
// directly or through packages of this one, and where each is first imported.
// Build constraints are not looked at, so it errs on the side of more; what a
// third party imports in turn is left to whoever reviews the list.
func thirdParties(t *Tree, folder string) map[string]Finding {
	byFolder := map[string][]*File{}
	for _, f := range t.Files {
		if !f.Test && !ignored(f) {
			byFolder[f.Dir] = append(byFolder[f.Dir], f)
		}
	}
	found := map[string]Finding{}
	seen := map[string]bool{folder: true}
	for queue := []string{folder}; len(queue) > 0; queue = queue[1:] {
		for _, f := range byFolder[queue[0]] {
			for _, imp := range f.Imports {
				dir, own := t.own(imp.Path)
				switch {
				case own && !seen[dir]:
					seen[dir] = true
					queue = append(queue, dir)
				case !own && !standard(imp.Path):
					if _, again := found[imp.Path]; !again {
						found[imp.Path] = Finding{f.Path, imp.Line, ""}
					}
				}
			}
		}
	}
	return found
}

// ignored says that a file is never part of its folder's package: a program
// for go:generate, marked as such.
func ignored(f *File) bool {
	for _, group := range f.AST.Comments {
		if group.Pos() > f.AST.Package {
			break
		}
		for _, c := range group.List {
			if c.Text == "//go:build ignore" {
				return true
			}
		}
	}
	return false
}

// leanAgent holds that the agent, copied into every worker, is made of the
// standard library.
func leanAgent(t *Tree) []Finding {
	imports := thirdParties(t, agentFolder)
	found := make([]Finding, 0, len(imports))
	for _, path := range slices.Sorted(maps.Keys(imports)) {
		where := imports[path]
		where.Text = "the agent links " + path + "; it is made of the standard library"
		found = append(found, where)
	}
	return found
}

// leanHost compares what the lean host imports with the reviewed list.
func leanHost(t *Tree) []Finding {
	if !slices.Contains(t.Folders, hostFolder) {
		return nil
	}
	imports := thirdParties(t, hostFolder)
	list, err := fs.ReadFile(t.FS, hostList)
	if err != nil {
		return []Finding{{hostList, 0, "cannot be read: " + err.Error()}}
	}
	reviewed := parseList(list)
	var found []Finding
	for _, path := range slices.Sorted(maps.Keys(imports)) {
		where := imports[path]
		if i := slices.IndexFunc(leanForbidden, func(r Row) bool { return strings.HasPrefix(path, r.Path) }); i >= 0 {
			where.Text = "the lean host links " + path + ": " + leanForbidden[i].Why
			found = append(found, where)
		} else if _, ok := reviewed[path]; !ok {
			where.Text = "the lean host links " + path + ", which " + hostList + " does not list"
			found = append(found, where)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(reviewed)) {
		if _, ok := imports[path]; !ok {
			found = append(found, Finding{hostList, reviewed[path].line, path + " is listed and no longer linked"})
		} else if reviewed[path].why == "" {
			found = append(found, Finding{hostList, reviewed[path].line, path + " is listed without a reason"})
		}
	}
	return found
}

type reviewedImport struct {
	line int
	why  string
}

// parseList reads lines of an import path and a reason; # begins a comment.
func parseList(text []byte) map[string]reviewedImport {
	rows := map[string]reviewedImport{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if path, why, _ := strings.Cut(strings.TrimSpace(line), " "); path != "" {
			rows[path] = reviewedImport{n, strings.TrimSpace(why)}
		}
	}
	return rows
}

// writeList formats the list for the given imports, with the reasons known so
// far.
func writeList(imports map[string]Finding, known map[string]reviewedImport) []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, "# What the lean host (deploy/host) imports from third parties, and why.")
	fmt.Fprintln(&b, "# `go test ./test/arch -update` writes the paths; the reasons are for people.")
	for _, path := range slices.Sorted(maps.Keys(imports)) {
		fmt.Fprintln(&b, strings.TrimSpace(path+" "+known[path].why))
	}
	return b.Bytes()
}
