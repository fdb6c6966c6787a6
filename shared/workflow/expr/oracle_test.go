package expr

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
	"pgregory.net/rapid"

	"github.com/relevo-ci/relevo/shared/domain/expression"
)

// disagreement compares what this parser and actionlint's say of a source, but
// for where they differ on purpose.
func disagreement(src string) string {
	tokens, f := lex(src)
	if f == nil {
		_, f = parse(tokens)
	}
	_, theirs := actionlint.NewExprParser().Parse(actionlint.NewExprLexer(src + closing))
	switch {
	case f == nil && theirs != nil:
		if strings.Contains(strings.Join(strings.Fields(src), ""), "[*]") || // GitHub has it
			strings.Contains(theirs.Message, "invalid integer literal") { // above 31 bits
			return ""
		}
		return fmt.Sprintf("%q compiles, but actionlint says %s", src, theirs.Message)
	case f != nil && theirs == nil:
		for _, known := range []string{
			tooLong, "nests deeper", "is no number", // -0xff
			`the expression, found "."`, `the expression, found "["`, // of a literal
			`or ), found "."`, `or ), found "["`,
			`expected ), found "."`, `expected ), found "["`,
			`expected ], found "."`, `expected ], found "["`,
			"}} within an expression",
		} {
			if strings.Contains(f.message, known) {
				return ""
			}
		}
		return fmt.Sprintf("%q parses for actionlint, but here: %s", src, f.message)
	}
	return ""
}

// TestAgreesWithActionlint joins random tokens: most make no expression, and
// both parsers have to see the same.
func TestAgreesWithActionlint(t *testing.T) {
	tokens := rapid.SampledFrom([]string{
		"a", "b", "github", "null", "true", "f(", "g (", "(", ")", "[", "]", "[*]", ".", "*", ".c", ".*",
		"!", "!", "==", "!=", "<", ">=", "&&", "||", ",", "1", "-2.5e3", "0x1F", "3000000000", "'s'", "'it''s'", "''", "}}", "+",
	})
	rapid.Check(t, func(t *rapid.T) {
		src := strings.Join(rapid.SliceOfN(tokens, 0, 12).Draw(t, "tokens"), rapid.SampledFrom([]string{" ", ""}).Draw(t, "between"))
		if problem := disagreement(src); problem != "" {
			t.Fatal(problem)
		}
	})
}

var binarySigns = map[expression.Op]string{
	expression.And: " && ", expression.Or: "||", expression.Eq: " == ", expression.Ne: "!=",
	expression.Lt: "<", expression.Le: " <=", expression.Gt: ">", expression.Ge: " >= ",
}

// source writes a tree as an expression, with parentheses around everything.
func source(n *expression.Node) string {
	var args []string
	for _, arg := range n.Args {
		args = append(args, source(arg))
	}
	switch n.Op {
	case expression.Lit:
		switch v := n.Value.(type) {
		case nil:
			return "null"
		case string:
			return "'" + strings.ReplaceAll(v, "'", "''") + "'"
		case float64:
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
		return fmt.Sprint(n.Value)
	case expression.Var:
		return strings.ToUpper(n.Name)
	case expression.Prop:
		return "(" + args[0] + ")." + n.Name
	case expression.Index:
		return "(" + args[0] + ")[" + args[1] + "]"
	case expression.Star:
		return "(" + args[0] + ") .*"
	case expression.Not:
		return "! (" + args[0] + ")"
	case expression.Call:
		return strings.ToUpper(n.Name) + "(" + strings.Join(args, ",") + ")"
	}
	return "(" + strings.Join(args, ")"+binarySigns[n.Op]+"(") + ")"
}

// draw makes a tree as the compiler would.
func draw(t *rapid.T, depth int) *expression.Node {
	kind := 0
	if depth > 0 {
		kind = rapid.IntRange(0, 6).Draw(t, "kind")
	}
	below := func(n int) (args []*expression.Node) {
		for range n {
			args = append(args, draw(t, depth-1))
		}
		return args
	}
	switch kind {
	case 1:
		op := rapid.SampledFrom([]expression.Op{expression.And, expression.Or}).Draw(t, "op")
		args := below(rapid.IntRange(2, 4).Draw(t, "operands"))
		if args[0].Op == op { // would become one row
			args[0] = literal(true)
		}
		return &expression.Node{Op: op, Args: args}
	case 2:
		op := rapid.SampledFrom([]expression.Op{"eq", "ne", "lt", "le", "gt", "ge", "index"}).Draw(t, "op")
		return &expression.Node{Op: op, Args: below(2)}
	case 3:
		op := rapid.SampledFrom([]expression.Op{expression.Not, expression.Star}).Draw(t, "op")
		return &expression.Node{Op: op, Args: below(1)}
	case 4:
		return &expression.Node{Op: expression.Prop, Name: rapid.SampledFrom([]string{"a", "B-c", "_1", "null"}).Draw(t, "property"), Args: below(1)}
	case 5:
		f := rapid.SampledFrom(expression.Signatures()).Draw(t, "function")
		return &expression.Node{Op: expression.Call, Name: f.Name, Args: below(f.Min)}
	}
	if name := rapid.SampledFrom([]string{"", "", "env", "github", "a-b"}).Draw(t, "context"); name != "" {
		return &expression.Node{Op: expression.Var, Name: name}
	}
	return literal(rapid.OneOf(
		rapid.Just[any](nil), rapid.Just[any](true), rapid.Just[any](false),
		rapid.StringMatching(`[a-zé' {}$]*`).AsAny(), rapid.Float64Range(-1e18, 1e18).AsAny(),
	).Draw(t, "literal"))
}

// TestCompileReadsWhatIsMeant writes random trees as source and compiles them.
func TestCompileReadsWhatIsMeant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := draw(t, 5)
		src := source(want)
		got, err := Compile(src)
		if len(src) > MaxSource {
			return
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: %v, reads as %s", src, err, source(got))
		}
		tmpl, errs := CompileTemplate("a${{" + src + "}}b")
		if len(errs) > 0 || len(tmpl.Parts) != 3 || !reflect.DeepEqual(tmpl.Parts[1].Expr, want) {
			t.Fatalf("%s in a template: %v", src, errs)
		}
	})
}
