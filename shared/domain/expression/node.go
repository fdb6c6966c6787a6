package expression

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// shapes says for each operation how many arguments it has and whether it has
// a name.
var shapes = map[Op]struct {
	min, max int
	named    bool
}{
	Lit:   {0, 0, false},
	Var:   {0, 0, true},
	Prop:  {1, 1, true},
	Index: {2, 2, false},
	Star:  {1, 1, false},
	Call:  {0, MaxNodes, true},
	Not:   {1, 1, false},
	And:   {2, MaxNodes, false},
	Or:    {2, MaxNodes, false},
	Eq:    {2, 2, false},
	Ne:    {2, 2, false},
	Lt:    {2, 2, false},
	Le:    {2, 2, false},
	Gt:    {2, 2, false},
	Ge:    {2, 2, false},
}

// wellFormed looks at the node alone, not at its arguments.
func wellFormed(n *Node) error {
	if n == nil {
		return fmt.Errorf("expression: %w: a node is missing", ErrMalformed)
	}
	shape, ok := shapes[n.Op]
	switch {
	case !ok:
		return fmt.Errorf("expression: %w: no operation %q", ErrMalformed, n.Op)
	case len(n.Args) < shape.min || len(n.Args) > shape.max:
		return fmt.Errorf("expression: %w: %s with %d arguments", ErrMalformed, n.Op, len(n.Args))
	case shape.named != (n.Name != ""):
		return fmt.Errorf("expression: %w: %s named %q", ErrMalformed, n.Op, n.Name)
	case n.Value != nil && n.Op != Lit:
		return fmt.Errorf("expression: %w: %s with a value", ErrMalformed, n.Op)
	case n.Op == Call:
		f, ok := Function(n.Name)
		if !ok {
			return fmt.Errorf("expression: %w: no function %q", ErrMalformed, n.Name)
		}
		if problem := f.Accepts(len(n.Args)); problem != "" {
			return fmt.Errorf("expression: %w: %s", ErrMalformed, problem)
		}
	}
	switch n.Value.(type) {
	case nil, bool, float64, string:
		return nil
	}
	return fmt.Errorf("expression: %w: a literal of type %T", ErrMalformed, n.Value)
}

// UnmarshalJSON is strict: unknown fields, operations and functions are
// errors, and so is a tree beyond MaxDepth or MaxNodes.
func (n *Node) UnmarshalJSON(data []byte) error {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return fmt.Errorf("expression: decode node: %w", err)
	}
	nodes := 0
	decoded, err := decode(v, 1, &nodes)
	if err != nil {
		return err
	}
	*n = *decoded
	return nil
}

func decode(v any, depth int, nodes *int) (*Node, error) {
	if depth > MaxDepth {
		return nil, errDepth
	}
	if *nodes++; *nodes > MaxNodes {
		return nil, errNodes
	}
	fields, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("expression: %w: a node is a JSON object", ErrMalformed)
	}
	n := &Node{}
	var args []any
	for key, v := range fields {
		ok := true
		switch key {
		case "op":
			var op string
			op, ok = v.(string)
			n.Op = Op(op)
		case "name":
			n.Name, ok = v.(string)
		case "value":
			n.Value = v
		case "args":
			args, ok = v.([]any)
		default:
			ok = false
		}
		if !ok {
			return nil, fmt.Errorf("expression: %w: a node's %q", ErrMalformed, key)
		}
	}
	for _, arg := range args {
		child, err := decode(arg, depth+1, nodes)
		if err != nil {
			return nil, err
		}
		n.Args = append(n.Args, child)
	}
	return n, wellFormed(n)
}

// Walk calls visit with n and all below it, parents first; where visit answers
// false it does not go below. Of a tree beyond the bounds, which Eval refuses,
// it sees a part.
func Walk(n *Node, visit func(*Node) bool) {
	nodes := 0
	_ = walk(n, 1, &nodes, visit)
}

func walk(n *Node, depth int, nodes *int, visit func(*Node) bool) error {
	if n == nil {
		return nil
	}
	if depth > MaxDepth {
		return errDepth
	}
	if *nodes++; *nodes > MaxNodes {
		return errNodes
	}
	if !visit(n) {
		return nil
	}
	for _, arg := range n.Args {
		if err := walk(arg, depth+1, nodes, visit); err != nil {
			return err
		}
	}
	return nil
}

// Contexts names the contexts that an expression reads, in lower case, sorted.
func Contexts(n *Node) []string {
	names := map[string]bool{}
	Walk(n, func(n *Node) bool {
		if n.Op == Var {
			names[strings.ToLower(n.Name)] = true
		}
		return true
	})
	return slices.Sorted(maps.Keys(names))
}

// callsStatus says that success, failure, cancelled or always is called
// anywhere in the tree.
func callsStatus(n *Node) (found bool, err error) {
	nodes := 0
	err = walk(n, 1, &nodes, func(n *Node) bool {
		if n.Op == Call && !found {
			f, _ := Function(n.Name)
			found = f.Status
		}
		return true
	})
	return found, err
}
