// Package expression evaluates the ${{ }} expressions of pipeline files. An
// expression is compiled once, when the file is read, to a JSON tree (Node);
// the control plane and the agent evaluate that tree with the same code.
package expression

// Op names what a Node does.
type Op string

// The operations.
const (
	Lit   Op = "lit"   // Value: nil, bool, float64 or string
	Var   Op = "var"   // a context by Name: env, matrix, steps …
	Prop  Op = "prop"  // Args[0].Name
	Index Op = "index" // Args[0][Args[1]]
	Star  Op = "star"  // Args[0].* : every value of an object or array
	Call  Op = "call"  // Name(Args…)
	Not   Op = "not"   // !Args[0]
	And   Op = "and"   // Args[0] && Args[1]
	Or    Op = "or"    // Args[0] || Args[1]
	Eq    Op = "eq"    // ==, and so on
	Ne    Op = "ne"
	Lt    Op = "lt"
	Le    Op = "le"
	Gt    Op = "gt"
	Ge    Op = "ge"
)

// Node is one node of a compiled expression.
type Node struct {
	Op    Op      `json:"op"`
	Value any     `json:"value,omitempty"`
	Name  string  `json:"name,omitempty"`
	Args  []*Node `json:"args,omitempty"`
}

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
