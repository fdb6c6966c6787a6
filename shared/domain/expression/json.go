package expression

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// toJSON writes a value as indented JSON, the keys of objects sorted.
func (r *run) toJSON(v any) (any, error) {
	out := text{run: r}
	out.json(v, 1)
	return out.result()
}

func (t *text) json(v any, depth int) {
	if depth > MaxDepth {
		t.check(errDepth)
	}
	if textLen(v) > MaxText { // before it is quoted
		t.check(errText)
	}
	t.check(known(v))
	if t.err != nil {
		return
	}
	switch v := v.(type) {
	case nil:
		t.add("null")
	case string:
		t.add(quote(v))
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			t.add("null") // JSON has no such numbers
			return
		}
		t.add(formatNumber(v))
	case []any:
		t.items("[", "]", len(v), depth, func(i int) { t.json(v[i], depth+1) })
	case map[string]any:
		keys := slices.Sorted(maps.Keys(v))
		t.items("{", "}", len(v), depth, func(i int) {
			t.add(quote(keys[i]))
			t.add(": ")
			t.json(v[keys[i]], depth+1)
		})
	default:
		t.add(String(v))
	}
}

func (t *text) items(open, closing string, n, depth int, item func(int)) {
	t.add(open)
	for i := 0; i < n && t.err == nil; i++ {
		if i > 0 {
			t.add(",")
		}
		t.add("\n" + strings.Repeat("  ", depth))
		item(i)
	}
	if n > 0 {
		t.add("\n" + strings.Repeat("  ", depth-1))
	}
	t.add(closing)
}

// quote writes a JSON string and leaves <, > and & readable, for these texts
// go to people and programs, not into HTML.
func quote(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil { // a string always encodes
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (r *run) fromJSON(s string) (any, error) {
	switch {
	case len(s) > MaxText:
		return nil, errText
	case jsonDepth(s) > MaxDepth:
		return nil, errDepth
	}
	if err := r.spend(valueSize / 2 * len(s)); err != nil { // "0," makes a value of two bytes
		return nil, err
	}
	var v any
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		return nil, fmt.Errorf("expression: fromJSON: %w", err)
	}
	return v, nil
}

// jsonDepth is how deep JSON nests, before it is decoded.
func jsonDepth(s string) int {
	deepest, depth, quoted := 0, 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			depth++
			deepest = max(deepest, depth)
		case c == ']' || c == '}':
			depth--
		}
	}
	return deepest
}
