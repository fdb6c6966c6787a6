package arch

import (
	"cmp"
	"fmt"
	"go/ast"
	"slices"
)

// The budgets, in lines. Generated files have none.
const (
	fileMost      = 500
	fileP95       = 300
	functionMost  = 70
	functionP95   = 40
	mainMost      = 40 // every function of a binary's package main in deploy
	p95Population = 40 // below it the 95th percentile is just the longest
)

// A sized thing is a file or a function with its length in lines.
type sized struct {
	Finding // Text holds the function's name, or nothing
	lines   int
}

func fileSizes(t *Tree) []Finding {
	var all []sized
	for _, s := range t.Sources {
		if !s.Generated {
			all = append(all, sized{Finding{Path: s.Path}, s.Lines})
		}
	}
	return overBudget("file", all, fileMost, fileP95)
}

func functionSizes(t *Tree) []Finding {
	var all []sized
	var found []Finding
	for _, f := range t.Files {
		if f.Generated {
			continue
		}
		for _, decl := range f.AST.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			s := sized{Finding{f.Path, t.line(fn), fn.Name.Name}, t.length(fn)}
			all = append(all, s)
			if belongsInMain(f, fn) && s.lines > mainMost {
				s.Text = fmt.Sprintf("%s has %d lines, a main's functions at most %d", s.Text, s.lines, mainMost)
				found = append(found, s.Finding)
			}
		}
	}
	return append(found, overBudget("function", all, functionMost, functionP95)...)
}

// belongsInMain says that a function is part of a binary's main: func main
// anywhere, and all that stands beside it in deploy.
func belongsInMain(f *File, fn *ast.FuncDecl) bool {
	return f.AST.Name.Name == "main" && !f.Test &&
		(top(f.Dir) == "deploy" || fn.Name.Name == "main" && fn.Recv == nil)
}

// overBudget returns each thing longer than most, and one finding more when
// the 95th percentile (nearest rank) exceeds p95.
func overBudget(kind string, all []sized, most, p95 int) []Finding {
	var found []Finding
	for _, s := range all {
		if s.lines > most {
			name := cmp.Or(s.Text, "the file")
			s.Text = fmt.Sprintf("%s has %d lines, a %s at most %d", name, s.lines, kind, most)
			found = append(found, s.Finding)
		}
	}
	if len(all) < p95Population {
		return found
	}
	slices.SortStableFunc(all, func(a, b sized) int { return cmp.Compare(a.lines, b.lines) })
	at := (len(all)*95+99)/100 - 1
	if all[at].lines > p95 {
		text := fmt.Sprintf("the 95th percentile of %s length is %d lines, its budget %d; the longest:", kind, all[at].lines, p95)
		for _, s := range slices.Backward(all[max(at, len(all)-10):]) {
			text += fmt.Sprintf(" %s %s (%d)", s.Path, s.Text, s.lines)
		}
		found = append(found, Finding{".", 0, text})
	}
	return found
}
