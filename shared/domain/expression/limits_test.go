package expression_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/domain/expression"
)

// TestLimits tries to make an evaluation endless or huge, by the tree, by the
// data and by both.
func TestLimits(t *testing.T) {
	deep := lit(true)
	for range expression.MaxDepth {
		deep = node(expression.Not, deep)
	}
	shared := lit(false) // a small graph that is a tree of 2^100 nodes
	for range 100 {
		shared = node(expression.Or, shared, shared)
	}
	loop := node(expression.Not, nil)
	loop.Args[0] = loop
	half := strings.Repeat("x", expression.MaxText/2)
	halves := make([]*Node, 200)
	for i := range halves {
		halves[i] = call("contains", v("half"), lit("y"))
	}
	zeros := make([]*Node, 5)
	for i := range zeros {
		zeros[i] = node(expression.Not, call("fromJSON", lit("["+strings.Repeat("0,", 500_000)+"0]")))
	}
	var nested any = "x"
	for range expression.MaxDepth + 1 {
		nested = list(nested)
	}
	cycle := object()
	cycle["cycle"] = cycle
	wide := make([]any, 1<<20)
	env := &expression.Env{Contexts: object("half", half, "nested", nested, "cycle", cycle, "wide", wide, "wider", list(wide, wide, wide, wide, wide, wide, wide, wide))}

	for name, n := range map[string]*Node{
		"a deep tree":              deep,
		"a shared tree":            shared,
		"a tree with a cycle":      loop,
		"format doubling":          call("format", lit("{0}{0}{0}"), v("half")),
		"join of many":             call("join", v("wide"), lit("--")),
		"toJSON of much":           call("toJSON", v("wide")),
		"toJSON of a text":         call("toJSON", lit(half+half+half)),
		"toJSON of depth":          call("toJSON", v("nested")),
		"toJSON of a cycle":        call("toJSON", v("cycle")),
		"fromJSON of depth":        call("fromJSON", lit(strings.Repeat("[", 200_000))),
		"fromJSON of objects":      call("fromJSON", lit(strings.Repeat(`{"":`, 200_000))),
		"fromJSON of a lot":        call("fromJSON", lit("["+strings.Repeat("0,", 1<<20)+"0]")),
		"fromJSON again and again": node(expression.Or, zeros...),
		"searching many times":     node(expression.Or, halves...),
		"all of all of all":        star(star(star(node(expression.And, star(v("wider")), star(star(v("wider"))), star(star(v("wider"))), star(star(v("wider"))))))),
	} {
		if _, err := expression.Eval(n, env); !errors.Is(err, expression.ErrLimit) {
			t.Errorf("%s: error %v", name, err)
		}
		if n == deep || n == shared || n == loop {
			if _, err := expression.Condition(n, env); !errors.Is(err, expression.ErrLimit) {
				t.Errorf("%s as a condition: error %v", name, err)
			}
			expression.Contexts(n) // comes to an end
		}
	}

	long := expression.Template{Parts: []expression.Part{{Text: half}, {Expr: v("half")}, {Text: "x"}}}
	if _, err := long.Eval(env); !errors.Is(err, expression.ErrLimit) {
		t.Errorf("a long template: error %v", err)
	}
	long.Parts = long.Parts[:2]
	if s, err := long.Eval(env); err != nil || len(s) != expression.MaxText {
		t.Errorf("a template as long as can be: %d bytes, %v", len(s), err)
	}
}

// TestWithinLimits holds that quotes and brackets in texts are not depth.
func TestWithinLimits(t *testing.T) {
	s := `["` + strings.Repeat(`[{\"`, 1000) + `", "\\"]`
	got, err := expression.Eval(call("fromJSON", lit(s)), nil)
	if l, ok := got.([]any); err != nil || !ok || len(l) != 2 {
		t.Errorf("%v, %v", got, err)
	}
	deepest := strings.Repeat("[", expression.MaxDepth) + strings.Repeat("]", expression.MaxDepth)
	got, err = expression.Eval(call("toJSON", call("fromJSON", lit(deepest))), nil)
	if s, ok := got.(string); err != nil || !ok || strings.Count(s, "[") != expression.MaxDepth {
		t.Errorf("%v, %v", got, err)
	}
}
