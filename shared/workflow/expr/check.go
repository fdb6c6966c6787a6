package expr

import (
	"fmt"
	"slices"
	"strings"

	"github.com/relevo-ci/relevo/shared/domain/expression"
)

// Check tells what of n is not known, called wrongly or not available in the
// scope. Nodes carry no positions: all errors stand at the start. Scope's own
// Compile methods find the same, with positions.
func Check(n *expression.Node, in Scope) []*Error {
	return placeAll("", 0, tree{root: n}.check(&in))
}

// check finds unknown and wrongly called functions and, in a scope, what is
// not available there.
func (t tree) check(in *Scope) []fault {
	var faults []fault
	expression.Walk(t.root, func(n *expression.Node) bool {
		if len(faults) == maxErrors {
			return false
		}
		message := ""
		switch n.Op {
		case expression.Call:
			message = checkCall(n, in)
		case expression.Var:
			if in != nil {
				message = checkContext(n.Name, in.Contexts)
			}
		}
		if message != "" {
			faults = append(faults, fault{t.at[n], message})
		}
		return true
	})
	return faults
}

func checkCall(n *expression.Node, in *Scope) string {
	f, ok := expression.Function(n.Name)
	if !ok {
		var names []string
		for _, f := range expression.Signatures() {
			names = append(names, f.Name)
		}
		return fmt.Sprintf("unknown function %q%s", n.Name, hint(n.Name, names))
	}
	if problem := f.Accepts(len(n.Args)); problem != "" {
		return problem
	}
	if in == nil || !dependsOnPlace(f) || slices.Contains(in.Functions, f.Name) {
		return ""
	}
	if f.Status {
		return fmt.Sprintf("function %q is not available here, only in conditions (if)", f.Name)
	}
	return fmt.Sprintf("function %q is not available here, only in steps", f.Name)
}

func dependsOnPlace(f expression.Signature) bool {
	return f.Status || f.Name == "hashFiles"
}

func checkContext(name string, available []string) string {
	switch {
	case slices.Contains(available, name):
		return ""
	case !slices.Contains(contexts, name):
		return fmt.Sprintf("unknown context %q%s%s", name, hint(name, contexts), list(available))
	}
	return fmt.Sprintf("context %q is not available here%s", name, list(available))
}

func list(available []string) string {
	if len(available) == 0 {
		return "; no context is"
	}
	return "; available: " + strings.Join(available, ", ")
}

// hint names the nearest of the known, if it is near enough to be meant.
func hint(name string, known []string) string {
	best, nearest := len(name)/3+2, ""
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < best {
			best, nearest = d, k
		}
	}
	if nearest == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", nearest)
}

// distance counts the letters to put in, leave out or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
