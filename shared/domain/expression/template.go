package expression

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

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

// Eval gives the text with every expression replaced by String of its value.
// The bound on work is one for the whole template.
func (t Template) Eval(env *Env) (string, error) {
	r := newRun(env)
	out := text{run: r}
	for _, p := range t.Parts {
		if p.Expr == nil {
			out.add(p.Text)
			continue
		}
		v, err := r.expression(p.Expr)
		if err != nil {
			return "", err
		}
		out.add(String(v))
	}
	return out.b.String(), out.err
}

// Value is the value of the expression where the template is nothing but one
// (a bool stays a bool, a list a list), and otherwise what Eval gives.
func (t Template) Value(env *Env) (any, error) {
	if n := t.only(); n != nil {
		return Eval(n, env)
	}
	s, err := t.Eval(env)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// only is the expression of a template that is nothing else.
func (t Template) only() *Node {
	var found *Node
	for _, p := range t.Parts {
		if p.Expr == nil && p.Text == "" {
			continue
		}
		if p.Expr == nil || found != nil {
			return nil
		}
		found = p.Expr
	}
	return found
}

// Literal is the text of a template without expressions.
func (t Template) Literal() (s string, ok bool) {
	var b strings.Builder
	for _, p := range t.Parts {
		if p.Expr != nil {
			return "", false
		}
		b.WriteString(p.Text)
	}
	return b.String(), true
}

// Contexts names the contexts that the template's expressions read, in lower
// case, sorted.
func (t Template) Contexts() []string {
	var names []string
	for _, p := range t.Parts {
		names = append(names, Contexts(p.Expr)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// MarshalJSON writes a string, or a list of strings and nodes.
func (t Template) MarshalJSON() ([]byte, error) {
	if s, ok := t.Literal(); ok {
		return json.Marshal(s)
	}
	parts := make([]any, 0, len(t.Parts))
	for _, p := range t.Parts {
		switch {
		case p.Expr != nil:
			parts = append(parts, p.Expr)
		case p.Text != "":
			parts = append(parts, p.Text)
		}
	}
	return json.Marshal(parts)
}

// UnmarshalJSON is as strict as a Node's.
func (t *Template) UnmarshalJSON(data []byte) error {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return fmt.Errorf("expression: decode template: %w", err)
	}
	if s, ok := v.(string); ok {
		*t = Text(s)
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		return fmt.Errorf("expression: %w: a template is a JSON string or list", ErrMalformed)
	}
	parts := make([]Part, 0, len(list))
	for _, item := range list {
		if s, ok := item.(string); ok {
			parts = append(parts, Part{Text: s})
			continue
		}
		nodes := 0
		n, err := decode(item, 1, &nodes)
		if err != nil {
			return err
		}
		parts = append(parts, Part{Expr: n})
	}
	*t = Template{Parts: parts}
	return nil
}

// Strings makes a context of variables.
func Strings(m map[string]string) map[string]any {
	values := make(map[string]any, len(m))
	for k, v := range m {
		values[k] = v
	}
	return values
}
