package expression

import (
	"fmt"
	"strings"
)

// Signature is how a function may be called.
type Signature struct {
	Name     string // as GitHub writes it; called in any case
	Min, Max int    // arguments
	Odd      bool   // an odd number of them
	// Status marks the functions that tell how everything before went. They
	// make sense in conditions alone.
	Status bool
}

var signatures = []Signature{
	{Name: "always", Status: true},
	{Name: "cancelled", Status: true},
	{Name: "case", Min: 3, Max: 255, Odd: true},
	{Name: "contains", Min: 2, Max: 2},
	{Name: "endsWith", Min: 2, Max: 2},
	{Name: "failure", Status: true},
	{Name: "format", Min: 1, Max: 255},
	{Name: "fromJSON", Min: 1, Max: 1},
	{Name: "hashFiles", Min: 1, Max: 255},
	{Name: "join", Min: 1, Max: 2},
	{Name: "startsWith", Min: 2, Max: 2},
	{Name: "success", Status: true},
	{Name: "toJSON", Min: 1, Max: 1},
}

// Signatures lists every function, by name.
func Signatures() []Signature { return append([]Signature(nil), signatures...) }

// Function finds a function by its name in any case.
func Function(name string) (Signature, bool) {
	for _, s := range signatures {
		if strings.EqualFold(s.Name, name) {
			return s, true
		}
	}
	return Signature{}, false
}

// Accepts says what is wrong with a number of arguments; empty: nothing.
func (s Signature) Accepts(args int) (problem string) {
	if args >= s.Min && args <= s.Max && (!s.Odd || args%2 == 1) {
		return ""
	}
	takes := fmt.Sprintf("%d to %d arguments", s.Min, s.Max)
	switch {
	case s.Odd:
		takes = fmt.Sprintf("an odd number of arguments, at least %d", s.Min)
	case s.Max == 1:
		takes = "1 argument"
	case s.Min == s.Max:
		takes = fmt.Sprintf("%d arguments", s.Min)
	}
	return fmt.Sprintf("%s takes %s, not %d", s.Name, takes, args)
}

func (r *run) call(n *Node, depth int) (any, error) {
	f, _ := Function(n.Name) // known: the node is well-formed
	if f.Name == "case" {
		return r.choose(n, depth)
	}
	args := make([]any, len(n.Args))
	for i, arg := range n.Args {
		v, err := r.eval(arg, depth+1)
		if err != nil {
			return nil, err
		}
		args[i] = plain(v)
		if err := r.spend(textLen(v)); err != nil {
			return nil, err
		}
	}
	switch f.Name {
	case "success":
		return r.env.Status.succeeded(), nil
	case "failure":
		return r.env.Status == Failure, nil
	case "cancelled":
		return r.env.Status == Cancelled, nil
	case "always":
		return true, nil
	case "contains":
		return r.contains(args[0], args[1])
	case "startsWith":
		return texts(args) && strings.HasPrefix(fold(String(args[0])), fold(String(args[1]))), nil
	case "endsWith":
		return texts(args) && strings.HasSuffix(fold(String(args[0])), fold(String(args[1]))), nil
	case "format":
		return r.format(String(args[0]), args[1:])
	case "join":
		return r.join(args)
	case "toJSON":
		return r.toJSON(args[0])
	case "fromJSON":
		return r.fromJSON(String(args[0]))
	case "hashFiles":
		return r.hashFiles(args)
	}
	return nil, fmt.Errorf("expression: %w: no function %q", ErrMalformed, n.Name)
}

// choose is case(condition, value, …, default). What is not chosen is not
// evaluated.
func (r *run) choose(n *Node, depth int) (any, error) {
	last := len(n.Args) - 1
	for i := 0; i < last; i += 2 {
		v, err := r.eval(n.Args[i], depth+1)
		if err != nil {
			return nil, err
		}
		yes, ok := v.(bool)
		if !ok {
			return nil, fmt.Errorf("expression: case: condition %d is not true or false", i/2+1)
		}
		if yes {
			return r.eval(n.Args[i+1], depth+1)
		}
	}
	return r.eval(n.Args[last], depth+1)
}

// texts says that every value stands for a text: no list, no object.
func texts(args []any) bool {
	for _, v := range args {
		if collection(v) {
			return false
		}
	}
	return true
}

func (r *run) contains(in, item any) (any, error) {
	list, ok := in.([]any)
	if !ok {
		return texts([]any{in, item}) && strings.Contains(fold(String(in)), fold(String(item))), nil
	}
	for _, v := range list {
		if err := known(v); err != nil {
			return nil, err
		}
		if err := r.spend(1 + textLen(v) + textLen(item)); err != nil {
			return nil, err
		}
		if equal(v, item) {
			return true, nil
		}
	}
	return false, nil
}

func (r *run) join(args []any) (any, error) {
	list, ok := args[0].([]any)
	if !ok {
		if collection(args[0]) {
			return "", nil
		}
		return String(args[0]), nil
	}
	separator := ","
	if len(args) > 1 && !collection(args[1]) {
		separator = String(args[1])
	}
	out := text{run: r}
	for i, v := range list {
		if i > 0 {
			out.add(separator)
		}
		out.check(known(v))
		out.add(String(v))
		if out.err != nil {
			break
		}
	}
	return out.result()
}

func (r *run) hashFiles(args []any) (any, error) {
	if r.env.HashFiles == nil {
		return nil, fmt.Errorf("expression: hashFiles: there are no files here")
	}
	patterns := make([]string, len(args))
	for i, v := range args {
		patterns[i] = String(v)
	}
	digest, err := r.env.HashFiles(patterns)
	if err != nil {
		return nil, fmt.Errorf("expression: hashFiles: %w", err)
	}
	return digest, nil
}
