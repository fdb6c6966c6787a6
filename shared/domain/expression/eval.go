package expression

import "fmt"

// filtered is what `.*` gives: a property or index behind it is taken of each
// element. It leaves the package as a plain list.
type filtered []any

// Eval gives the value of an expression: nil, bool, float64, string, []any or
// map[string]any. Lists and objects may be the very ones of the environment.
func Eval(n *Node, env *Env) (any, error) {
	return newRun(env).expression(n)
}

// Condition decides an `if`. A nil node is success(); a condition that calls
// none of success, failure, cancelled and always anywhere is success() && (…).
func Condition(n *Node, env *Env) (bool, error) {
	r := newRun(env)
	if n == nil {
		return r.env.Status.succeeded(), nil
	}
	decides, err := callsStatus(n)
	if err != nil {
		return false, err
	}
	if !decides && !r.env.Status.succeeded() {
		return false, nil
	}
	v, err := r.expression(n)
	return err == nil && Truthy(v), err
}

func (s Status) succeeded() bool { return s == Success || s == "" }

// expression evaluates a whole tree, within bounds of its own for its size.
func (r *run) expression(n *Node) (any, error) {
	r.nodes = 0
	v, err := r.eval(n, 1)
	if err != nil {
		return nil, err
	}
	return plain(v), nil
}

func plain(v any) any {
	if f, ok := v.(filtered); ok {
		return []any(f)
	}
	return v
}

func (r *run) eval(n *Node, depth int) (any, error) {
	if depth > MaxDepth {
		return nil, errDepth
	}
	if r.nodes++; r.nodes > MaxNodes {
		return nil, errNodes
	}
	if err := wellFormed(n); err != nil {
		return nil, err
	}
	switch n.Op {
	case Lit:
		return n.Value, nil
	case Var:
		v, _, err := r.lookup(r.env.Contexts, n.Name)
		return v, err
	case Prop, Index, Star:
		return r.access(n, depth)
	case Call:
		return r.call(n, depth)
	case Not:
		v, err := r.eval(n.Args[0], depth+1)
		return !Truthy(v), err
	case And, Or:
		return r.logical(n, depth)
	default:
		return r.comparison(n, depth)
	}
}

// logical gives the operand that decides, as in JavaScript, and leaves those
// after it alone.
func (r *run) logical(n *Node, depth int) (any, error) {
	var v any
	for _, arg := range n.Args {
		var err error
		if v, err = r.eval(arg, depth+1); err != nil {
			return nil, err
		}
		if Truthy(v) == (n.Op == Or) {
			return v, nil
		}
	}
	return v, nil
}

func (r *run) comparison(n *Node, depth int) (any, error) {
	a, err := r.eval(n.Args[0], depth+1)
	if err != nil {
		return nil, err
	}
	b, err := r.eval(n.Args[1], depth+1)
	if err != nil {
		return nil, err
	}
	if err := r.spend(textLen(a) + textLen(b)); err != nil {
		return nil, err
	}
	switch n.Op {
	case Eq:
		return equal(a, b), nil
	case Ne:
		return !equal(a, b), nil
	case Lt:
		return order(a, b) == less, nil
	case Le:
		return order(a, b) == less || equal(a, b), nil
	case Gt:
		return order(a, b) == greater, nil
	case Ge:
		return order(a, b) == greater || equal(a, b), nil
	}
	return nil, fmt.Errorf("expression: %w: no operation %q", ErrMalformed, n.Op)
}
