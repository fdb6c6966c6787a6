// Package expression evaluates the ${{ }} expressions of pipeline files. An
// expression is compiled once, when the file is read, to a JSON tree (Node);
// the control plane and the agent evaluate that tree with the same code.
//
// The semantics are those that GitHub documents for Actions: loose equality,
// strings compared without case, a missing property is null. Evaluation is
// total: a tree, an environment or a JSON text of any shape gives a value or an
// error, within the bounds of limits.go.
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
	And   Op = "and"   // Args[0] && Args[1] && … ; at least two
	Or    Op = "or"    // Args[0] || Args[1] || … ; at least two
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

// Status is how everything before went: the needs of a job, or the steps
// before a step.
type Status string

// The statuses; the empty one counts as Success.
const (
	Success   Status = "success"
	Failure   Status = "failure"
	Cancelled Status = "cancelled"
	// Skipped is neither: a need that did not run, or was cancelled alone.
	Skipped Status = "skipped"
)

// Env is what an expression reads.
type Env struct {
	// Contexts by lower-case name. A value, at any depth, is nil, bool, float64,
	// string, []any or map[string]any: what encoding/json decodes to. They are
	// only read, so that one map may serve several evaluations at once.
	Contexts map[string]any
	// Status answers success(), failure() and cancelled().
	Status Status
	// HashFiles answers hashFiles(patterns…): a digest in hexadecimal, or empty
	// when nothing matches. Nil where there is no workspace: calling it is an
	// error.
	HashFiles func(patterns []string) (string, error)
}
