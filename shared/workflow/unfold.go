package workflow

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// combination is one job's values of a matrix, in the order in which they were
// set.
type combination struct {
	keys   []string
	values map[string]any
	// axes are the keys that the lists of the matrix gave: no include changes
	// them.
	axes int
}

func (c *combination) set(key string, value any) {
	if _, there := c.values[key]; !there {
		c.keys = append(c.keys, key)
	}
	c.values[key] = value
}

// entry is one entry of include or exclude.
type entry struct {
	combination
	node *yaml.Node
}

// axis is one list of a matrix.
type axis struct {
	name   string
	values []any
}

// unfold gives the combinations in order: all of the axes, the first of which
// changes slowest, without those excluded; then those that include adds.
//
// An entry of include goes into every combination of the axes whose values it
// leaves as they are (it may change what an earlier entry put there), and is a
// combination of its own where there is none.
func unfold(axes []axis, include, exclude []entry) []combination {
	var all []combination
	for _, c := range product(axes) {
		if !excluded(c, exclude) {
			all = append(all, c)
		}
	}
	originals := len(all)
	for _, e := range include {
		added := false
		for i := range all[:originals] {
			if c := &all[i]; c.admits(e) {
				for _, k := range e.keys {
					c.set(k, e.values[k])
				}
				added = true
			}
		}
		if !added {
			all = append(all, e.combination)
		}
	}
	return all
}

func product(axes []axis) []combination {
	if len(axes) == 0 {
		return nil
	}
	all := []combination{{values: map[string]any{}}}
	for _, a := range axes {
		var longer []combination
		for _, c := range all {
			for _, v := range a.values {
				d := combination{keys: append([]string(nil), c.keys...), values: map[string]any{}, axes: len(axes)}
				for _, k := range c.keys {
					d.values[k] = c.values[k]
				}
				d.set(a.name, v)
				longer = append(longer, d)
			}
		}
		all = longer
	}
	return all
}

// admits tells whether e leaves the values of the axes as they are.
func (c *combination) admits(e entry) bool {
	for _, k := range c.keys[:c.axes] {
		if v, there := e.values[k]; there && !reflect.DeepEqual(v, c.values[k]) {
			return false
		}
	}
	return true
}

// excluded tells whether an entry's every value is the combination's.
func excluded(c combination, exclude []entry) bool {
	for _, e := range exclude {
		all := len(e.keys) > 0
		for _, k := range e.keys {
			all = all && within(e.values[k], c.values[k])
		}
		if all {
			return true
		}
	}
	return false
}

// within tells whether what is asked for is (part of) the value: of an object
// the keys that are asked for.
func within(asked, value any) bool {
	a, isObject := asked.(map[string]any)
	v, same := value.(map[string]any)
	if !isObject || !same {
		return reflect.DeepEqual(asked, value)
	}
	for k := range a {
		if inner, there := v[k]; !there || !within(a[k], inner) {
			return false
		}
	}
	return true
}

// suffix is what Actions puts behind a job's name: " (linux, 1.22)".
func (c *combination) suffix() string {
	var leaves []string
	for _, k := range c.keys {
		leaves = appendLeaves(leaves, c.values[k])
	}
	if len(leaves) == 0 {
		return ""
	}
	return " (" + strings.Join(leaves, ", ") + ")"
}

// appendLeaves appends the texts in a value. The keys of an object within a
// value are sorted, since their order is not kept.
func appendLeaves(leaves []string, value any) []string {
	switch v := value.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			leaves = appendLeaves(leaves, v[k])
		}
	case []any:
		for _, item := range v {
			leaves = appendLeaves(leaves, item)
		}
	default:
		if s := textOf(v); s != "" {
			leaves = append(leaves, s)
		}
	}
	return leaves
}
