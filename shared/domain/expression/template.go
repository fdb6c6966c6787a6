package expression

import "errors"

// Template is text with expressions in it. A text without expressions is
// written as a plain JSON string, any other as a list of strings and Nodes.
type Template struct {
	Parts []Part
}

// Part is a literal text, or an expression where Expr is set.
type Part struct {
	Text string
	Expr *Node
}

// Text makes a template of a literal.
func Text(s string) Template { return Template{Parts: []Part{{Text: s}}} }

var errTodo = errors.New("expression: not there yet")

// Eval gives the text with every expression replaced by String of its value.
func (t Template) Eval(env *Env) (string, error) { return "", errTodo }

// Value is the value of the expression where the template is nothing but one
// (a bool stays a bool, a list a list), and otherwise what Eval gives.
func (t Template) Value(env *Env) (any, error) { return nil, errTodo }

// Literal is the text of a template without expressions.
func (t Template) Literal() (text string, ok bool) { return "", false }

// Contexts names the contexts that the template's expressions read, sorted.
func (t Template) Contexts() []string { return nil }

// Eval gives the value of an expression: nil, bool, float64, string, []any or
// map[string]any.
func Eval(n *Node, env *Env) (any, error) { return nil, errTodo }

// Condition decides an `if`. A nil node is success(); a condition that calls
// none of success, failure, cancelled and always anywhere is success() && (…).
func Condition(n *Node, env *Env) (bool, error) { return false, errTodo }

// Truthy is how a condition reads a value: null, false, 0, NaN and "" are
// false, everything else is true.
func Truthy(v any) bool { return false }

// String is how a value stands in a text: null is empty, a list is "Array", an
// object "Object".
func String(v any) string { return "" }

// Walk calls visit with n and all below it, parents first; where visit answers
// false it does not go below.
func Walk(n *Node, visit func(*Node) bool) {}

// Contexts names the contexts that an expression reads, sorted.
func Contexts(n *Node) []string { return nil }

// Strings makes a context of variables.
func Strings(m map[string]string) map[string]any { return nil }
