package expression_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/relevo-ci/relevo/shared/domain/expression"
)

type Template = expression.Template

func template(parts ...any) Template {
	var t Template
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			t.Parts = append(t.Parts, expression.Part{Text: p})
		case *Node:
			t.Parts = append(t.Parts, expression.Part{Expr: p})
		}
	}
	return t
}

func TestTemplate(t *testing.T) {
	env := &expression.Env{Contexts: contexts()}
	for name, c := range map[string]struct {
		t     Template
		text  string
		value any
		json  string
	}{
		"nothing":         {Template{}, "", "", `""`},
		"a text":          {expression.Text("a <b>"), "a <b>", "a <b>", `"a \u003cb\u003e"`},
		"two texts":       {template("a", "b"), "ab", "ab", `"ab"`},
		"an expression":   {template(lit(false)), "false", false, `[{"op":"lit","value":false}]`},
		"a list":          {template(prop(star(v("tree")), "v")), "Array", list(1.0, 2.0), `[{"op":"prop","name":"v","args":[{"op":"star","args":[{"op":"var","name":"tree"}]}]}]`},
		"null":            {template(lit(nil)), "", nil, `[{"op":"lit"}]`},
		"both":            {template("n=", prop(v("env"), "N"), "!"), "n=7!", "n=7!", `["n=",{"op":"prop","name":"N","args":[{"op":"var","name":"env"}]},"!"]`},
		"empty texts":     {template("", lit(1.0), ""), "1", 1.0, `[{"op":"lit","value":1}]`},
		"two expressions": {template(lit(""), lit(0.0)), "0", "0", `[{"op":"lit","value":""},{"op":"lit","value":0}]`},
	} {
		if got, err := c.t.Eval(env); err != nil || got != c.text {
			t.Errorf("%s: Eval %q, %v; want %q", name, got, err, c.text)
		}
		if got, err := c.t.Value(env); err != nil || !reflect.DeepEqual(got, c.value) {
			t.Errorf("%s: Value %#v, %v; want %#v", name, got, err, c.value)
		}
		if got, err := json.Marshal(c.t); err != nil || string(got) != c.json {
			t.Errorf("%s: JSON %s, %v; want %s", name, got, err, c.json)
		}
	}
	fails := template("a", call("fromJSON", lit("{")))
	if s, err := fails.Eval(nil); err == nil || s != "" {
		t.Errorf("an expression that fails: %q, %v", s, err)
	}
	if got, err := fails.Value(nil); err == nil || got != nil {
		t.Errorf("an expression that fails: %v, %v", got, err)
	}
	if got := template(v("b"), "x", prop(v("a"), "p"), v("b")).Contexts(); !reflect.DeepEqual(got, []string{"a", "b"}) {
		t.Errorf("contexts %q", got)
	}
	if s, ok := template("a", lit(1.0)).Literal(); ok {
		t.Errorf("an expression is the literal %q", s)
	}
}

func TestDecodeRefuses(t *testing.T) {
	deep := strings.Repeat(`{"op":"not","args":[`, 201) + `{"op":"lit"}` + strings.Repeat("]}", 201)
	wide := `{"op":"or","args":[` + strings.Repeat(`{"op":"lit"},`, 20_001) + `{"op":"lit"}]}`
	for name, c := range map[string]struct {
		json string
		want error // nil: any
	}{
		"null":               {`null`, expression.ErrMalformed},
		"a number":           {`1`, expression.ErrMalformed},
		"no list":            {`{"op":"lit"}`, expression.ErrMalformed},
		"a number in it":     {`["a",1]`, expression.ErrMalformed},
		"null in it":         {`[null]`, expression.ErrMalformed},
		"a list in it":       {`[["a"]]`, expression.ErrMalformed},
		"no operation":       {`[{}]`, expression.ErrMalformed},
		"unknown operation":  {`[{"op":"pow"}]`, expression.ErrMalformed},
		"a number as such":   {`[{"op":1}]`, expression.ErrMalformed},
		"unknown field":      {`[{"op":"lit","line":1}]`, expression.ErrMalformed},
		"field in capitals":  {`[{"OP":"lit"}]`, expression.ErrMalformed},
		"a list as literal":  {`[{"op":"lit","value":[]}]`, expression.ErrMalformed},
		"named literal":      {`[{"op":"lit","name":"x"}]`, expression.ErrMalformed},
		"variable unnamed":   {`[{"op":"var"}]`, expression.ErrMalformed},
		"variable's value":   {`[{"op":"var","name":"x","value":1}]`, expression.ErrMalformed},
		"variable's argment": {`[{"op":"var","name":"x","args":[{"op":"lit"}]}]`, expression.ErrMalformed},
		"missing argument":   {`[{"op":"eq","args":[{"op":"lit"}]}]`, expression.ErrMalformed},
		"null argument":      {`[{"op":"not","args":[null]}]`, expression.ErrMalformed},
		"arguments no list":  {`[{"op":"not","args":{}}]`, expression.ErrMalformed},
		"unknown function":   {`[{"op":"call","name":"exec"}]`, expression.ErrMalformed},
		"function's arity":   {`[{"op":"call","name":"always","args":[{"op":"lit"}]}]`, expression.ErrMalformed},
		"malformed below":    {`[{"op":"not","args":[{"op":"not"}]}]`, expression.ErrMalformed},
		"too deep":           {`[` + deep + `]`, expression.ErrLimit},
		"too wide":           {`[` + wide + `]`, expression.ErrLimit},
		"nested without end": {strings.Repeat("[", 200_000), nil},
		"a number too large": {`[{"op":"lit","value":1e999}]`, nil},
	} {
		var got Template
		err := json.Unmarshal([]byte(c.json), &got)
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, error %v", name, got, err)
		}
	}
	var n Node
	if err := json.Unmarshal([]byte(deep), &n); !errors.Is(err, expression.ErrLimit) {
		t.Errorf("a deep node: error %v", err)
	}
}

// draw makes any expression that the compiler could.
func draw(t *rapid.T, depth int) *Node {
	texts := rapid.SampledFrom([]string{"", "a", "A", "name", "1", " 7 ", "{0}", `{"a":[1]}`, "é<&>", "\x00\u2028"})
	names := rapid.SampledFrom([]string{"env", "list", "labels", "tree", "none"})
	leaf := func() *Node {
		switch rapid.IntRange(0, 4).Draw(t, "leaf") {
		case 0:
			return lit(texts.Draw(t, "text"))
		case 1:
			return lit(rapid.Float64Range(-1e30, 1e30).Draw(t, "number"))
		case 2:
			return lit(rapid.SampledFrom([]any{nil, true, false, 0.0, 1.0}).Draw(t, "literal"))
		}
		return v(names.Draw(t, "context"))
	}
	if depth == 0 {
		return leaf()
	}
	below := func(n int) []*Node {
		args := make([]*Node, n)
		for i := range args {
			args[i] = draw(t, depth-1)
		}
		return args
	}
	binary := []expression.Op{"eq", "ne", "lt", "le", "gt", "ge", "index"}
	switch rapid.IntRange(0, 6).Draw(t, "node") {
	case 0:
		return node(rapid.SampledFrom([]expression.Op{"and", "or"}).Draw(t, "op"), below(rapid.IntRange(2, 4).Draw(t, "operands"))...)
	case 1, 2:
		return node(rapid.SampledFrom(binary).Draw(t, "op"), below(2)...)
	case 3:
		return node(rapid.SampledFrom([]expression.Op{"not", "star"}).Draw(t, "op"), below(1)...)
	case 4:
		return prop(below(1)[0], rapid.SampledFrom([]string{"name", "A", "v"}).Draw(t, "property"))
	case 5:
		f := rapid.SampledFrom(expression.Signatures()).Draw(t, "function")
		return call(f.Name, below(f.Min)...)
	}
	return leaf()
}

// TestRoundTrip holds that a template means the same after a way through JSON,
// and that its JSON is written one way only.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var before Template
		for range rapid.IntRange(0, 3).Draw(t, "parts") {
			before.Parts = append(before.Parts, expression.Part{Text: rapid.String().Draw(t, "text")},
				expression.Part{Expr: draw(t, 4)})
		}
		written, err := json.Marshal(before)
		if err != nil {
			t.Fatal(err)
		}
		var after Template
		if err := json.Unmarshal(written, &after); err != nil {
			t.Fatalf("%s: %v", written, err)
		}
		if again, err := json.Marshal(after); err != nil || string(again) != string(written) {
			t.Fatalf("%s was read and written as %s, %v", written, again, err)
		}
		env := &expression.Env{Contexts: contexts(), Status: expression.Failure}
		a, errA := before.Value(env)
		b, errB := after.Value(env)
		if !reflect.DeepEqual(a, b) || (errA == nil) != (errB == nil) {
			t.Fatalf("%s gives %#v (%v), and read again %#v (%v)", written, a, errA, b, errB)
		}
	})
}
