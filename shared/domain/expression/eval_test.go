package expression_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/domain/expression"
)

type Node = expression.Node

func node(op expression.Op, args ...*Node) *Node { return &Node{Op: op, Args: args} }
func lit(value any) *Node                        { return &Node{Op: expression.Lit, Value: value} }
func v(name string) *Node                        { return &Node{Op: expression.Var, Name: name} }

func call(name string, args ...*Node) *Node {
	return &Node{Op: expression.Call, Name: name, Args: args}
}

func prop(of *Node, names ...string) *Node {
	for _, name := range names {
		of = &Node{Op: expression.Prop, Name: name, Args: []*Node{of}}
	}
	return of
}

func index(of *Node, key any) *Node { return node(expression.Index, of, lit(key)) }
func star(of *Node) *Node           { return node(expression.Star, of) }

func object(kv ...any) map[string]any {
	m := map[string]any{}
	for i := 0; i < len(kv); i += 2 {
		m[kv[i].(string)] = kv[i+1]
	}
	return m
}

func list(items ...any) []any { return append([]any{}, items...) }

// contexts are what the tests of this package read.
func contexts() map[string]any {
	return object(
		"env", object("A", "upper", "a", "lower", "Zed", "z", "zed", "Z", "N", "7"),
		"list", list("zero", 1.0, list("in"), nil),
		"labels", list(object("name", "bug", "n", 1.0), object("Name", "help"), object(), "text", list("x", "y")),
		"tree", object("b", object("v", 2.0), "a", object("v", 1.0), "c", list(object("v", 3.0))),
	)
}

func TestAccess(t *testing.T) {
	for name, c := range map[string]struct {
		n    *Node
		want any
	}{
		"a property":                       {prop(v("env"), "N"), "7"},
		"the exact name goes first":        {prop(v("env"), "a"), "lower"},
		"and the other exact one":          {prop(v("env"), "A"), "upper"},
		"then any case, first by name":     {prop(v("env"), "ZED"), "z"},
		"a context in any case":            {prop(v("ENV"), "N"), "7"},
		"a missing property":               {prop(v("env"), "none"), nil},
		"of a missing property":            {prop(v("env"), "none", "none"), nil},
		"of a missing context":             {prop(v("none"), "none"), nil},
		"of a text":                        {prop(v("env"), "N", "length"), nil},
		"by a text":                        {index(v("env"), "n"), "7"},
		"by a value that becomes a text":   {index(lit(nil), "n"), nil},
		"an element":                       {index(v("list"), 0.0), "zero"},
		"by a text that is a number":       {index(v("list"), "1"), 1.0},
		"by a number that is rounded down": {index(v("list"), 1.9), 1.0},
		"by true":                          {index(v("list"), true), 1.0},
		"by null, which is 0":              {index(v("list"), nil), "zero"},
		"behind the end":                   {index(v("list"), 4.0), nil},
		"before the start":                 {index(v("list"), -1.0), nil},
		"far behind the end":               {index(v("list"), 1e300), nil},
		"by a text that is none":           {prop(v("list"), "length"), nil},
		"by a list":                        {node(expression.Index, v("list"), v("list")), nil},
		"an object by a list":              {node(expression.Index, v("env"), v("list")), nil},
		"all of a list":                    {star(v("list")), list("zero", 1.0, list("in"), nil)},
		"all of an object, by key":         {star(v("tree")), list(object("v", 1.0), object("v", 2.0), list(object("v", 3.0)))},
		"a property of all":                {prop(star(v("labels")), "name"), list("bug", "help")},
		"a property of all of an object":   {prop(star(v("tree")), "v"), list(1.0, 2.0)},
		"an element of all":                {index(star(v("labels")), 1.0), list("y")},
		"all of all":                       {star(star(v("tree"))), list(1.0, 2.0, object("v", 3.0))},
		"a property of all of all":         {prop(star(star(v("tree"))), "v"), list(3.0)},
		"all of a text":                    {star(lit("text")), list()},
		"all of nothing":                   {prop(star(v("none")), "name"), list()},
	} {
		got, err := expression.Eval(c.n, &expression.Env{Contexts: contexts()})
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %#v, %v; want %#v", name, got, err, c.want)
		}
	}
}

func TestLogicGivesOperands(t *testing.T) {
	fails := call("fromJSON", lit("{"))
	for name, c := range map[string]struct {
		n    *Node
		want any
	}{
		"the first that is false":     {node(expression.And, lit(1.0), lit(""), fails), ""},
		"the last":                    {node(expression.And, lit(1.0), lit("x")), "x"},
		"the first that is true":      {node(expression.Or, lit(nil), lit("x"), fails), "x"},
		"the last, though false":      {node(expression.Or, lit(false), lit(0.0)), 0.0},
		"not":                         {node(expression.Not, lit("")), true},
		"what case does not choose":   {call("case", lit(false), fails, lit(true), lit("y"), fails), "y"},
		"the default of case":         {call("case", lit(false), fails, lit("d")), "d"},
		"an index of nothing at all":  {node(expression.Index, lit(nil), fails), nil},
		"hashFiles of several":        {call("hashFiles", lit("a"), lit(1.0)), "a,1"},
		"a list of all behind an and": {prop(node(expression.And, lit(true), star(v("labels"))), "name"), list("bug", "help")},
	} {
		env := &expression.Env{Contexts: contexts(), HashFiles: func(p []string) (string, error) {
			return strings.Join(p, ","), nil
		}}
		got, err := expression.Eval(c.n, env)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %#v, %v; want %#v", name, got, err, c.want)
		}
	}
}

func TestErrors(t *testing.T) {
	noFiles := errors.New("no files")
	env := &expression.Env{
		Contexts:  object("bad", object("int", 1), "badlist", list(1), "deep", object("in", list(object("x", struct{}{})))),
		HashFiles: func([]string) (string, error) { return "", noFiles },
	}
	for name, c := range map[string]struct {
		n    *Node
		want error // nil: any
		says string
	}{
		"no node":             {nil, expression.ErrMalformed, "node is missing"},
		"no argument":         {node(expression.Not, nil), expression.ErrMalformed, "node is missing"},
		"unknown operation":   {node("pow", lit(1.0), lit(2.0)), expression.ErrMalformed, `no operation "pow"`},
		"too few arguments":   {node(expression.Eq, lit(1.0)), expression.ErrMalformed, "eq with 1"},
		"unknown function":    {call("system", lit("ls")), expression.ErrMalformed, `no function "system"`},
		"wrongly called":      {call("contains", lit("a")), expression.ErrMalformed, "contains takes 2 arguments, not 1"},
		"an even case":        {call("case", lit(true), lit(1.0), lit(2.0), lit(3.0)), expression.ErrMalformed, "odd number"},
		"literal list":        {lit(list()), expression.ErrMalformed, "literal of type"},
		"a context of ints":   {prop(v("bad"), "int"), expression.ErrMalformed, "holds a int"},
		"a list of ints":      {call("join", v("badlist")), expression.ErrMalformed, "holds a int"},
		"searching ints":      {call("contains", v("badlist"), lit(1.0)), expression.ErrMalformed, "holds a int"},
		"a struct deep below": {call("toJSON", v("deep")), expression.ErrMalformed, "struct"},
		"no such value":       {call("format", lit("{1}"), lit("a")), nil, "{1} has no value, only 1"},
		"a brace alone":       {call("format", lit("{0"), lit("a")), nil, "brace stands alone"},
		"a closing brace":     {call("format", lit("{0}}"), lit("a")), nil, "brace stands alone"},
		"no number":           {call("format", lit("{}"), lit("a")), nil, "brace stands alone"},
		"a format specifier":  {call("format", lit("{0:x}"), lit("a")), nil, "brace stands alone"},
		"no JSON":             {call("fromJSON", lit("")), nil, "fromJSON: unexpected end"},
		"a number too large":  {call("fromJSON", lit("1e999")), nil, "fromJSON"},
		"case of a text":      {call("case", lit("true"), lit(1.0), lit(2.0)), nil, "condition 1 is not true or false"},
		"hashFiles that fail": {call("hashFiles", lit("*")), noFiles, "hashFiles: no files"},
	} {
		got, err := expression.Eval(c.n, env)
		if err == nil || !strings.Contains(err.Error(), c.says) || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %#v, error %v", name, got, err)
		}
	}
	if _, err := expression.Eval(call("hashFiles", lit("*")), nil); err == nil {
		t.Error("hashFiles without files gave no error")
	}
}

func TestCondition(t *testing.T) {
	always, failure, cancelled := call("always"), call("failure"), call("cancelled")
	for name, c := range map[string]struct {
		n    *Node
		want [3]bool // after success, failure, cancellation
	}{
		"none":                      {nil, [3]bool{true, false, false}},
		"true":                      {lit(true), [3]bool{true, false, false}},
		"a text that is true":       {lit("false"), [3]bool{true, false, false}},
		"false":                     {lit(""), [3]bool{}},
		"success":                   {call("success"), [3]bool{true, false, false}},
		"always":                    {always, [3]bool{true, true, true}},
		"failure":                   {failure, [3]bool{false, true, false}},
		"cancelled":                 {cancelled, [3]bool{false, false, true}},
		"in any case":               {call("ALWAYS"), [3]bool{true, true, true}},
		"not cancelled":             {node(expression.Not, cancelled), [3]bool{true, true, false}},
		"called but not decisive":   {node(expression.Or, lit(true), failure), [3]bool{true, true, true}},
		"deep inside":               {call("contains", call("format", lit("{0}"), always), lit("true")), [3]bool{true, true, true}},
		"never reached when failed": {call("fromJSON", lit("true")), [3]bool{true, false, false}},
	} {
		for i, status := range []expression.Status{expression.Success, expression.Failure, expression.Cancelled} {
			got, err := expression.Condition(c.n, &expression.Env{Status: status})
			if err != nil || got != c.want[i] {
				t.Errorf("%s after %s: %v, %v", name, status, got, err)
			}
		}
	}
	if ok, err := expression.Condition(nil, nil); !ok || err != nil {
		t.Errorf("without an environment: %v, %v", ok, err)
	}
	if ok, err := expression.Condition(node("pow"), nil); ok || !errors.Is(err, expression.ErrMalformed) {
		t.Errorf("malformed: %v, %v", ok, err)
	}
}

func TestWalk(t *testing.T) {
	n := node(expression.Or, prop(v("Env"), "A"), call("contains", star(v("labels")), node(expression.Index, v("env"), v("matrix"))))
	if got := expression.Contexts(n); !reflect.DeepEqual(got, []string{"env", "labels", "matrix"}) {
		t.Errorf("contexts %q", got)
	}
	var ops []expression.Op
	expression.Walk(n, func(n *Node) bool {
		ops = append(ops, n.Op)
		return n.Op != expression.Prop
	})
	want := []expression.Op{"or", "prop", "call", "star", "var", "index", "var", "var"}
	if !reflect.DeepEqual(ops, want) {
		t.Errorf("walked %q", ops)
	}
	expression.Walk(nil, func(*Node) bool { t.Error("visited nothing"); return true })
}
