package expression

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// valueSize is what a value in a list takes, in bytes.
const valueSize = 16

// access evaluates a.b, a[b] and a.*. What is not there is null.
func (r *run) access(n *Node, depth int) (any, error) {
	from, err := r.eval(n.Args[0], depth+1)
	if err != nil {
		return nil, err
	}
	if n.Op == Star {
		return r.star(from)
	}
	if !collection(from) {
		return nil, nil
	}
	var key any = n.Name
	if n.Op == Index {
		if key, err = r.eval(n.Args[1], depth+1); err != nil {
			return nil, err
		}
	}
	each, ok := from.(filtered)
	if !ok {
		v, _, err := r.at(from, key)
		return v, err
	}
	if err := r.spend(valueSize * len(each)); err != nil {
		return nil, err
	}
	found := filtered{}
	for _, item := range each {
		v, ok, err := r.at(item, key)
		if err != nil {
			return nil, err
		}
		if ok {
			found = append(found, v)
		}
	}
	return found, nil
}

// star gives the values of a list or an object; of an object in the order of
// its keys, so that every evaluation gives the same.
func (r *run) star(from any) (any, error) {
	items := []any{from}
	if each, ok := from.(filtered); ok {
		items = each
	}
	found := filtered{}
	for _, item := range items {
		switch item := item.(type) {
		case []any:
			if err := r.spend(valueSize * len(item)); err != nil {
				return nil, err
			}
			found = append(found, item...)
		case map[string]any:
			if err := r.spend(valueSize * len(item)); err != nil {
				return nil, err
			}
			for _, key := range slices.Sorted(maps.Keys(item)) {
				found = append(found, item[key])
			}
		}
	}
	return found, nil
}

func (r *run) at(from, key any) (v any, ok bool, err error) {
	switch from := from.(type) {
	case map[string]any:
		if collection(key) {
			return nil, false, nil
		}
		return r.lookup(from, String(key))
	case []any:
		i := math.Floor(Number(key))
		if !(i >= 0 && i < float64(len(from))) { // NaN too
			return nil, false, nil
		}
		v = from[int(i)]
		return v, true, known(v)
	}
	return nil, false, nil
}

// lookup finds a property. An exact match goes first, so that variables whose
// names differ in case alone stay apart; then the first by name, so that every
// evaluation finds the same.
func (r *run) lookup(in map[string]any, key string) (v any, ok bool, err error) {
	if v, ok = in[key]; ok {
		return v, true, known(v)
	}
	if err := r.spend(len(in)); err != nil {
		return nil, false, err
	}
	var match string
	for k := range in {
		if (!ok || k < match) && strings.EqualFold(k, key) {
			match, ok = k, true
		}
	}
	if !ok {
		return nil, false, nil
	}
	return in[match], true, known(in[match])
}

func collection(v any) bool {
	switch v.(type) {
	case []any, map[string]any, filtered:
		return true
	}
	return false
}

// known refuses values that a caller put into a context in a form that no
// operation reads, such as int: better an error than a silent null.
func known(v any) error {
	switch v.(type) {
	case nil, bool, float64, string, []any, map[string]any, filtered:
		return nil
	}
	return fmt.Errorf("expression: %w: a context holds a %T", ErrMalformed, v)
}
