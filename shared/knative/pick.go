package knative

import (
	"fmt"
	"slices"
	"strings"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
)

// Pick chooses the functions that a process serves. function (FUNCTION) lists
// functions or contexts, comma-separated; an unknown one is an error. Without
// it, service (K_SERVICE) may be the name of a function or of a context. Else
// all are served, and events find theirs by type.
func Pick(functions []fn.Function, function, service string) ([]fn.Function, error) {
	if function == "" {
		if picked := named(functions, service); len(picked) > 0 {
			return picked, nil
		}
		return functions, nil
	}
	var picked []fn.Function
	for name := range strings.SplitSeq(function, ",") {
		some := named(functions, strings.TrimSpace(name))
		if len(some) == 0 {
			return nil, fmt.Errorf("knative: FUNCTION: no function or context %q; there are %s", name, strings.Join(names(functions), ", "))
		}
		for _, f := range some {
			if !slices.ContainsFunc(picked, func(other fn.Function) bool { return other.Name == f.Name }) {
				picked = append(picked, f)
			}
		}
	}
	return picked, nil
}

// named is the function of that name, or else those of that context.
func named(functions []fn.Function, name string) []fn.Function {
	var ofContext []fn.Function
	for _, f := range functions {
		if f.Name == name {
			return []fn.Function{f}
		}
		if f.Context != "" && f.Context == events.Context(name) {
			ofContext = append(ofContext, f)
		}
	}
	return ofContext
}

func names(functions []fn.Function) []string {
	all := make([]string, 0, len(functions))
	for _, f := range functions {
		all = append(all, f.Name)
	}
	return all
}
