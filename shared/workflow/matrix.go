package workflow

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

const (
	// mostCombinations of one matrix, as in Actions.
	mostCombinations = 256
	// mostAxes bounds the lists that are combined.
	mostAxes = 64
	// mostProduct bounds them before exclude takes some away; of all matrices
	// of a file together there may be a few times as many.
	mostProduct  = 1024
	mostProducts = 16 * mostProduct
	// mostComparisons bounds what include and exclude may cost in a file.
	mostComparisons = 1_000_000
)

// matrix reads strategy.matrix and unfolds it; ok is false after an error.
func (r *reader) matrix(n *yaml.Node) (_ []combination, ok bool) {
	if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "${{") {
		r.dynamic(n)
		return nil, false
	}
	m, ok := r.lists(n)
	if !ok || !r.affordable(m, n) {
		return nil, false
	}
	all := unfold(m.axes, m.include, m.exclude)
	switch {
	case len(all) == 0:
		r.fail(n, "", "the matrix has no combination")
	case len(all) > mostCombinations:
		r.tooMany(n)
	}
	return all, len(all) > 0 && len(all) <= mostCombinations
}

// lists are what a matrix is made of.
type lists struct {
	axes             []axis
	include, exclude []entry
	filters          int // keys and values in include and exclude
}

func (r *reader) lists(n *yaml.Node) (m lists, ok bool) {
	ok = n.Kind == yaml.MappingNode
	for _, f := range r.pairs(n, "matrix") {
		var fine bool
		switch f.name {
		case "include":
			m.include, fine = r.entries(f)
			m.filters += size(f.value).nodes
		case "exclude":
			m.exclude, fine = r.entries(f)
			m.filters += size(f.value).nodes
		default:
			var a axis
			a, fine = r.axis(f)
			m.axes = append(m.axes, a)
		}
		ok = ok && fine
	}
	return m, ok && r.excludable(m)
}

// affordable bounds what unfolding may cost.
func (r *reader) affordable(m lists, n *yaml.Node) bool {
	if len(m.axes) > mostAxes {
		r.fail(n, "split the job in two", "the matrix has more than %d lists", mostAxes)
		return false
	}
	total := 1
	for _, a := range m.axes {
		if total *= len(a.values); total > mostProduct {
			r.tooMany(n)
			return false
		}
	}
	r.products += total
	r.comparisons += total * m.filters
	if r.products > mostProducts || r.comparisons > mostComparisons {
		r.fail(n, "split the file", "the matrices of this file are too large")
		return false
	}
	return true
}

func (r *reader) tooMany(n *yaml.Node) {
	r.fail(n, "split the job in two", "the matrix has more than %d combinations", mostCombinations)
}

func (r *reader) dynamic(n *yaml.Node) {
	r.fail(n, "write the values out; what depends on the run belongs into if and env", "a matrix made by an expression is not supported")
}

func (r *reader) axis(f field) (axis, bool) {
	a := axis{name: f.name}
	if f.value.Kind == yaml.ScalarNode && strings.Contains(f.value.Value, "${{") {
		r.dynamic(f.value)
		return a, false
	}
	items := r.list(f.value, "matrix."+f.name)
	if f.value.Kind == yaml.SequenceNode && len(items) == 0 {
		r.fail(f.value, "", "matrix.%s has no values", f.name)
	}
	ok := len(items) > 0
	for _, item := range items {
		v, fine := r.literal(item)
		ok = ok && fine
		a.values = append(a.values, v)
	}
	return a, ok
}

func (r *reader) entries(f field) (entries []entry, ok bool) {
	if f.value.Kind == yaml.ScalarNode && strings.Contains(f.value.Value, "${{") {
		r.dynamic(f.value)
		return nil, false
	}
	ok = f.value.Kind == yaml.SequenceNode
	for _, item := range r.list(f.value, f.name) {
		e := entry{node: item, combination: combination{values: map[string]any{}}}
		ok = ok && item.Kind == yaml.MappingNode
		for _, p := range r.pairs(item, "an entry of "+f.name) {
			v, fine := r.literal(p.value)
			ok = ok && fine
			e.set(p.name, v)
		}
		entries = append(entries, e)
	}
	return entries, ok
}

// literal reads any value without expressions: nil, bool, float64, string,
// []any or map[string]any.
func (r *reader) literal(n *yaml.Node) (value any, ok bool) {
	ok = true
	switch n.Kind {
	case yaml.MappingNode:
		object := map[string]any{}
		for _, f := range r.pairs(n, "a value of the matrix") {
			v, fine := r.literal(f.value)
			ok = ok && fine
			object[f.name] = v
		}
		return object, ok
	case yaml.SequenceNode:
		items := []any{}
		for _, item := range n.Content {
			v, fine := r.literal(follow(item))
			ok = ok && fine
			items = append(items, v)
		}
		return items, ok
	}
	if strings.Contains(n.Value, "${{") {
		r.dynamic(n)
		return nil, false
	}
	return r.scalar(n)
}

// excludable reports entries of exclude that name what is no list of the
// matrix: they would never match.
func (r *reader) excludable(m lists) bool {
	known := make([]string, len(m.axes))
	for i, a := range m.axes {
		known[i] = a.name
	}
	ok := true
	for _, e := range m.exclude {
		for _, k := range e.keys {
			if !slices.Contains(known, k) {
				r.fail(e.node, didYouMean(k, known), "exclude names %s, which is no list of the matrix", quote(k))
				ok = false
			}
		}
	}
	return ok
}
