package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// breaks compares two bundles and says what of next would break those who
// speak prev. Events live long (ledgers are replayed) and both ends are
// upgraded one after the other, so it takes both sides: an event of prev must
// still be valid under next, and a reader of prev must still find in an event
// of next all that it knew. What is left is to add: events, fields that need
// not be there, values of an enumeration.
func breaks(prev, next []byte) ([]string, error) {
	c := comparison{seen: map[[2]string]bool{}}
	for _, side := range []struct {
		text []byte
		defs *map[string]any
	}{{prev, &c.prev}, {next, &c.next}} {
		var bundle struct {
			Defs map[string]any `json:"$defs"`
		}
		if err := json.Unmarshal(side.text, &bundle); err != nil {
			return nil, fmt.Errorf("compare bundles: %w", err)
		}
		*side.defs = bundle.Defs
	}
	for _, name := range slices.Sorted(maps.Keys(c.prev)) {
		// Payloads and values are compared where an event uses them: their names
		// are Go's and stand on no wire.
		if name != "Envelope" && !strings.Contains(name, ".") {
			continue
		}
		if c.next[name] == nil {
			c.found = append(c.found, name+": removed")
			continue
		}
		whole := map[string]any{"$ref": defsPrefix + name}
		c.schema(name, whole, whole)
	}
	return c.found, nil
}

// A comparison collects what it finds.
type comparison struct {
	prev, next map[string]any
	seen       map[[2]string]bool // pairs of definitions
	found      []string
}

func (c *comparison) report(at, format string, args ...any) {
	c.found = append(c.found, at+": "+fmt.Sprintf(format, args...))
}

// annotations say nothing of what is valid.
var annotations = []string{"title", "description", "$comment", "examples", "default", "deprecated"}

// schema compares two schemas that stand in the same place. What is wrong with
// a definition is said once, where it is first used.
func (c *comparison) schema(at string, prev, next any) {
	prev, prevName := resolve(c.prev, prev)
	next, nextName := resolve(c.next, next)
	if prevName != "" && nextName != "" {
		pair := [2]string{prevName, nextName}
		if c.seen[pair] {
			return
		}
		c.seen[pair] = true
	}
	old, ok1 := prev.(map[string]any)
	now, ok2 := next.(map[string]any)
	if !ok1 || !ok2 {
		if !reflect.DeepEqual(prev, next) {
			c.report(at, "changed from %s to %s", text(prev), text(next))
		}
		return
	}
	keys := maps.Clone(old)
	maps.Copy(keys, now)
	if !reflect.DeepEqual(old["type"], now["type"]) {
		keys = map[string]any{"type": nil} // nothing else compares
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if !slices.Contains(annotations, key) {
			c.keyword(at, key, old[key], now[key])
		}
	}
}

// keyword compares one keyword of two schemas; nil where one does not have it.
// Keywords without a rule must be the same.
func (c *comparison) keyword(at, key string, prev, next any) {
	switch {
	case reflect.DeepEqual(prev, next) && !nested(prev):
	case key == "properties":
		c.properties(at, asMap(prev), asMap(next))
	case key == "required":
		c.required(at, asSlice(prev), asSlice(next))
	case key == "enum":
		c.enum(at, prev, next)
	case key == "items" && prev != nil && next != nil:
		c.schema(at+"[]", prev, next)
	case key == "additionalProperties" && prev != nil && next != nil:
		c.schema(at+".*", prev, next)
	case (key == "allOf" || key == "anyOf" || key == "oneOf") && len(asSlice(prev)) == len(asSlice(next)):
		for i, part := range asSlice(prev) {
			c.schema(at, part, asSlice(next)[i])
		}
	case key == "minimum" || key == "minLength" || key == "minItems":
		if prev == nil || next != nil && asNumber(next) > asNumber(prev) {
			c.report(at, "%s narrowed from %s to %s", key, text(prev), text(next))
		}
	case key == "maximum" || key == "maxLength" || key == "maxItems":
		if prev == nil || next != nil && asNumber(next) < asNumber(prev) {
			c.report(at, "%s narrowed from %s to %s", key, text(prev), text(next))
		}
	case (key == "pattern" || key == "format") && next == nil: // anything goes now
	default:
		c.report(at, "%s changed from %s to %s", key, text(prev), text(next))
	}
}

func (c *comparison) properties(at string, prev, next map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(prev)) {
		if _, ok := next[name]; !ok {
			c.report(at+"."+name, "removed")
			continue
		}
		c.schema(at+"."+name, prev[name], next[name])
	}
}

func (c *comparison) required(at string, prev, next []any) {
	for _, name := range next {
		if !slices.Contains(prev, name) {
			c.report(at, "newly requires %v", name)
		}
	}
	for _, name := range prev {
		if !slices.Contains(next, name) {
			c.report(at, "no longer requires %v", name)
		}
	}
}

func (c *comparison) enum(at string, prev, next any) {
	switch {
	case next == nil: // any value now
	case prev == nil:
		c.report(at, "narrowed to %s", text(next))
	default:
		for _, value := range asSlice(prev) {
			if !slices.Contains(asSlice(next), value) {
				c.report(at, "narrowed: %v is no value any more", value)
			}
		}
	}
}

// resolve follows a reference and returns the name of what it led to.
func resolve(defs map[string]any, schema any) (target any, name string) {
	m, ok := schema.(map[string]any)
	if !ok {
		return schema, ""
	}
	reference, ok := m["$ref"].(string)
	if !ok {
		return schema, ""
	}
	return defs[refName(reference)], refName(reference)
}

// nested tells that equal text may still lead to different definitions.
func nested(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return strings.Contains(text(v), `"$ref"`)
	}
	return false
}

func asMap(v any) map[string]any { m, _ := v.(map[string]any); return m }
func asSlice(v any) []any        { s, _ := v.([]any); return s }
func asNumber(v any) float64     { n, _ := v.(float64); return n }

func text(v any) string {
	if v == nil {
		return "nothing"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
