package expr_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/workflow/expr"
)

func TestCompileTrees(t *testing.T) {
	for src, want := range map[string]string{
		"GitHub.Ref":      `{"op":"prop","name":"Ref","args":[{"op":"var","name":"github"}]}`,
		"a-b._c-1":        `{"op":"prop","name":"_c-1","args":[{"op":"var","name":"a-b"}]}`,
		"x.null":          `{"op":"prop","name":"null","args":[{"op":"var","name":"x"}]}`,
		"x[ * ].y":        `{"op":"prop","name":"y","args":[{"op":"star","args":[{"op":"var","name":"x"}]}]}`,
		"TOJSON(\n null)": `{"op":"call","name":"toJSON","args":[{"op":"lit"}]}`,
		"success( )":      `{"op":"call","name":"success"}`,
		"a || b || c":     `{"op":"or","args":[{"op":"var","name":"a"},{"op":"var","name":"b"},{"op":"var","name":"c"}]}`,
		"a || (b || c)":   `{"op":"or","args":[{"op":"var","name":"a"},{"op":"or","args":[{"op":"var","name":"b"},{"op":"var","name":"c"}]}]}`,
		"!a && !!b":       `{"op":"and","args":[{"op":"not","args":[{"op":"var","name":"a"}]},{"op":"not","args":[{"op":"not","args":[{"op":"var","name":"b"}]}]}]}`,
		"1 < 2 != '}}'":   `{"op":"ne","args":[{"op":"lt","args":[{"op":"lit","value":1},{"op":"lit","value":2}]},{"op":"lit","value":"}}"}]}`,
	} {
		n, fault := expr.Compile(src)
		if fault != nil {
			t.Errorf("%s: %v", src, fault)
			continue
		}
		if got, err := json.Marshal(n); err != nil || string(got) != want {
			t.Errorf("%s\n got %s, %v\nwant %s", src, got, err, want)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	long := "'" + strings.Repeat("x", expr.MaxSource-1) + "'"
	for name, c := range map[string]struct {
		src  string
		at   string // line:column
		says string
	}{
		"nothing":                {"", "1:1", "the expression is empty"},
		"white space":            {" \n ", "2:2", "the expression is empty"},
		"double quotes":          {`github.ref == "main"`, "1:15", "unexpected character '\"' while lexing expression; do you mean string literals? only single quotes are available"},
		"an open string":         {"a == 'b", "1:6", "string is not closed"},
		"an operator alone":      {"&& a", "1:1", `expected a value, found "&&"`},
		"an operand missing":     {"a ==", "1:5", "expected a value, found the end"},
		"two values":             {"a\n b", "2:2", `expected an operator or the end of the expression, found "b"`},
		"an open bracket":        {"a[1", "1:4", "expected ], found the end"},
		"an open parenthesis":    {"(a || b", "1:8", "expected ), found the end"},
		"an open call":           {"format('x', 1", "1:14", "expected , or ), found the end"},
		"a comma too many":       {"format('x',)", "1:12", "expected a value"},
		"a closing parenthesis":  {"a)", "1:2", "operator or the end"},
		"no property":            {"a.", "1:3", "name of a property"},
		"a number as property":   {"a.'b'", "1:3", "name of a property, or *, found"},
		"a star alone":           {"*", "1:1", "expected a value"},
		"a property of a text":   {"'a'.b", "1:4", "operator or the end"},
		"an element of a number": {"1[0]", "1:2", "operator or the end"},
		"one =":                  {"a = b", "1:4", "'='"},
		"arithmetic":             {"a + b", "1:3", "'+'"},
		"an umlaut":              {"'ü' == ü", "1:8", "'ü'"},
		"the end too early":      {"a }} b", "1:3", "}} within an expression"},
		"not UTF-8":              {"'a\xff'", "1:3", "not UTF-8"},
		"a number too large":     {"1e999", "1:1", "out of range"},
		"a hex number below 0":   {"-0xff", "1:1", "is no number"},
		"an unknown function":    {"1 ==\ncontain('a', 'b')", "2:1", `unknown function "contain" (did you mean "contains"?)`},
		"far from any function":  {"exec('rm')", "1:1", `unknown function "exec"`},
		"too few arguments":      {"startsWith('a')", "1:1", "startsWith takes 2 arguments, not 1"},
		"too many arguments":     {"join(1, 2, 3)", "1:1", "join takes 1 to 2 arguments, not 3"},
		"an even case":           {"case(true, 1, false, 2)", "1:1", "an odd number of arguments, at least 3, not 4"},
		"an argument of always":  {"a && always(1)", "1:6", "always takes 0 arguments, not 1"},
		"a text too long":        {long, "1:1", "longer than 21000 bytes"},
	} {
		n, fault := expr.Compile(c.src)
		if fault == nil {
			t.Errorf("%s: compiles to %v", name, n)
			continue
		}
		if at := fmt.Sprintf("%d:%d", fault.Line, fault.Column); at != c.at || !strings.Contains(fault.Message, c.says) {
			t.Errorf("%s: %s %s; want %s %s", name, at, fault.Message, c.at, c.says)
		}
	}
}

// TestNesting holds that no source makes the parser recurse without end.
func TestNesting(t *testing.T) {
	for name, part := range map[string][3]string{
		"parentheses": {"(", "1", ")"},
		"nots":        {"!", "1", ""},
		"indices":     {"a[", "1", "]"},
		"calls":       {"join(", "1", ")"},
		"properties":  {"", "a", ".b"},
		"comparisons": {"", "1", " == 1"},
		"both":        {"(1 && ", "1", ")"},
	} {
		nest := func(n int) string {
			return strings.Repeat(part[0], n) + part[1] + strings.Repeat(part[2], n)
		}
		for _, n := range []int{expression.MaxDepth, 1000, 200_000} {
			if _, fault := expr.Compile(nest(n)); fault == nil || !strings.Contains(fault.Message, "deeper") && !strings.Contains(fault.Message, "longer") {
				t.Errorf("%d %s: %v", n, name, fault)
			}
			if _, faults := expr.CompileTemplate("${{" + nest(n) + "}}"); len(faults) != 1 {
				t.Errorf("%d %s in a template: %v", n, name, faults)
			}
		}
		tree, fault := expr.Compile(nest(expression.MaxDepth - 1))
		if fault != nil {
			t.Errorf("%s as deep as can be: %v", name, fault)
			continue
		}
		if _, err := expression.Eval(tree, nil); err != nil {
			t.Errorf("%s compile, but: %v", name, err)
		}
	}
	row := strings.Repeat("a||", expr.MaxSource/3-1) + "a"
	tree, fault := expr.Compile(row)
	if fault != nil {
		t.Fatalf("a long row: %v", fault)
	}
	if _, err := expression.Eval(tree, nil); err != nil {
		t.Errorf("a long row compiles, but: %v", err)
	}
}

func TestCompileTemplate(t *testing.T) {
	for src, want := range map[string]string{
		"":                               `""`,
		"echo $HOME {{ }} $ {":           `"echo $HOME {{ }} $ {"`,
		"${{1}}":                         `[{"op":"lit","value":1}]`,
		"a${{ '}}' }}}b":                 `["a",{"op":"lit","value":"}}"},"}b"]`,
		"${{ null }}${{ true }}":         `[{"op":"lit"},{"op":"lit","value":true}]`,
		"a\n${{\n  env.A\n}}\nb":         `["a\n",{"op":"prop","name":"A","args":[{"op":"var","name":"env"}]},"\nb"]`,
		"$${{ 1 }} ${ { } } }} ${{'$'}}": `["$",{"op":"lit","value":1}," ${ { } } }} ",{"op":"lit","value":"$"}]`,
	} {
		tmpl, faults := expr.CompileTemplate(src)
		if len(faults) > 0 {
			t.Errorf("%q: %v", src, faults)
			continue
		}
		if got, err := json.Marshal(tmpl); err != nil || string(got) != want {
			t.Errorf("%q\n got %s, %v\nwant %s", src, got, err, want)
		}
	}
}

func TestCompileTemplateErrors(t *testing.T) {
	for name, c := range map[string]struct {
		src  string
		want []string
	}{
		"each of them": {
			"é ${{ a b }}\n${{ fine }} ${{ }}${{ x( }} ${{ exec() }}",
			[]string{
				`expr: 1:9: expected an operator or the end of the expression, found "b"`,
				`expr: 2:17: the expression is empty`,
				`expr: 2:26: expected a value, found the end of the expression`,
				`expr: 2:33: unknown function "exec"`,
			},
		},
		"not closed":      {"a ${{ b", []string{"expr: 1:6: the expression is not closed: }} is missing, or the ' of a string"}},
		"an open string":  {"${{ 'a }} ${{ b b }}", []string{"expr: 1:4: the expression is not closed: }} is missing, or the ' of a string", `expr: 1:17: expected an operator or the end of the expression, found "b"`}},
		"one brace":       {"${{ a } }}", []string{"expr: 1:8: got unexpected character ' ' while lexing end marker }}, expecting '}'"}},
		"one in another":  {"${{ a ${{ b }} }}", []string{"expr: 1:7: got unexpected character '$' while lexing expression"}},
		"too long":        {"${{ '" + strings.Repeat("é", 11_000) + "' }}", []string{"expr: 1:4: the expression is longer than 21000 bytes"}},
		"not UTF-8":       {"ab\xe9 ${{ a }}", []string{"expr: 1:3: the text is not UTF-8"}},
		"no end of opens": {strings.Repeat("${{ 'a", 100_000), slicesOf(1, "")},
		"no end of them":  {strings.Repeat("${{ + }}", 100), slicesOf(10, "")},
		"all in one":      {"${{ " + strings.Repeat("x()||", 1000) + "1 }}", slicesOf(10, "")},
	} {
		tmpl, faults := expr.CompileTemplate(c.src)
		if len(faults) != len(c.want) || len(tmpl.Parts) > 0 {
			t.Errorf("%s: %v", name, faults)
			continue
		}
		for i, want := range c.want {
			if want != "" && faults[i].Error() != want {
				t.Errorf("%s: %v; want %s", name, faults[i], want)
			}
		}
	}
}

func slicesOf(n int, s string) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = s
	}
	return all
}

func TestCompileConditionErrors(t *testing.T) {
	for src, want := range map[string]string{
		"${{ a }} && b":        "expr: 1:1: a condition is one expression: put all of it into one ${{ }}, or leave ${{ }} out",
		"!${{ a }}":            "expr: 1:2: a condition is one expression: put all of it into one ${{ }}, or leave ${{ }} out",
		"${{ a }}${{ b }}":     "expr: 1:1: a condition is one expression: put all of it into one ${{ }}, or leave ${{ }} out",
		"${{ }}":               "expr: 1:5: the expression is empty",
		"a &&":                 "expr: 1:5: expected a value, found the end of the expression",
		"contains('${{', 'a')": "expr: 1:14: ",
	} {
		n, fault := expr.CompileCondition(src)
		if fault == nil || !strings.HasPrefix(fault.Error(), want) {
			t.Errorf("%q: %v, %v; want %s", src, n, fault, want)
		}
	}
}
