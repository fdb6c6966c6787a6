package workflow

import (
	"math"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/relevo-ci/relevo/shared/workflow/language"
)

// reader reads the nodes of one file and reports what is wrong with them.
type reader struct {
	*report
	// github marks a file in .github/workflows, where Relevo's own keys are
	// refused.
	github bool
	// What was read so far costs; each is bounded.
	products, comparisons       int // of matrices
	expressions, expressionText int
	located                     int // errors in expressions
}

// fail reports at the beginning of a node.
func (r *reader) fail(n *yaml.Node, hint, format string, args ...any) {
	r.add(n.Line, n.Column, hint, format, args...)
}

// field is one key of a mapping with its value.
type field struct {
	name  string
	key   *yaml.Node
	value *yaml.Node // aliases followed
}

// pairs gives the keys and values of a mapping in the order of the file. It
// reports doubled keys (Actions, and so this, takes Path and PATH for the
// same) and keys that are no text; what names the mapping in messages.
func (r *reader) pairs(n *yaml.Node, what string) []field {
	if n.Kind != yaml.MappingNode {
		r.fail(n, "", "%s must be a mapping, not %s", what, kindOf(n))
		return nil
	}
	first := map[string]*yaml.Node{}
	fields := make([]field, 0, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		written := n.Content[i]
		key := follow(written)
		switch {
		case key.Kind != yaml.ScalarNode:
			r.fail(written, "", "a key must be text, not %s", kindOf(key))
			continue
		case key.Value == "":
			r.fail(written, "", "a key is missing before the colon")
			continue
		case key.Value == "<<" && key.Style == 0:
			r.fail(written, "repeat the keys, or give the whole mapping an alias", "merge keys (<<) are not part of YAML 1.2")
			continue
		}
		folded := strings.ToLower(key.Value)
		if before := first[folded]; before != nil {
			r.fail(written, "", "the key %s stands twice: also at line %d, column %d", quote(key.Value), before.Line, before.Column)
			continue
		}
		first[folded] = written
		fields = append(fields, field{name: key.Value, key: written, value: follow(n.Content[i+1])})
	}
	return fields
}

// keyed is a mapping whose keys the language knows.
type keyed struct {
	place  *language.Place
	node   *yaml.Node
	fields map[string]field
	calls  bool // has uses, which is refused and told
}

// keyed reads a mapping at a place of the language. It reports unknown keys,
// refused ones, and required ones that are missing.
func (r *reader) keyed(n *yaml.Node, place *language.Place) keyed {
	k := keyed{place: place, node: n, fields: map[string]field{}}
	refused := map[string]field{}
	for _, f := range r.pairs(n, place.Name) {
		key, known := place.Find(f.name)
		switch {
		case !known:
			r.unknown(f, place)
		case key.Support == language.Refused:
			refused[f.name] = f
		case key.Support == language.Own && r.github:
			r.fail(f.key, instead(f.name), "%s is Relevo's own and must not stand in .github/workflows", quote(f.name))
		default:
			k.fields[f.name] = f
		}
	}
	r.refuse(k, refused)
	_, k.calls = refused["uses"]
	if n.Kind != yaml.MappingNode || k.calls { // nothing else is expected beside uses
		return k
	}
	for _, key := range place.Keys {
		if _, there := k.fields[key.Name]; key.Required && !there {
			r.fail(n, "", "%s needs %s", place.Name, quote(key.Name))
		}
	}
	r.oneOf(k)
	return k
}

// instead says where a word of Relevo's own goes.
func instead(name string) string {
	if _, there := language.OverlayJob.Find(name); !there {
		return "GitHub refuses it: write such a job in a file in .relevo"
	}
	return "GitHub refuses it: put it into .relevo/overlay.yaml"
}

// oneOf reports where none, or more than one, of the keys is there of which a
// place has to have one. Those that the file's kind refuses are not asked for.
func (r *reader) oneOf(k keyed) {
	var names []string
	var first *field
	for _, name := range k.place.OneOf {
		if key, _ := k.place.Find(name); key.Support == language.Own && r.github {
			continue
		}
		names = append(names, quote(name))
		f, there := k.fields[name]
		switch {
		case there && first != nil:
			r.fail(f.key, "leave one of them out", "%s has %s beside %s", k.place.Name, quote(name), quote(first.name))
		case there:
			first = &f
		}
	}
	if first == nil && len(names) > 0 {
		r.fail(k.node, "", "%s needs %s", k.place.Name, strings.Join(names, " or "))
	}
}

// refuse reports keys that are known and not implemented.
func (r *reader) refuse(k keyed, refused map[string]field) {
	_, calls := refused["uses"]
	for _, key := range k.place.Keys {
		f, there := refused[key.Name]
		switch {
		case !there || calls && (key.Name == "with" || key.Name == "secrets"): // belong to uses
		default:
			r.fail(f.key, key.Doc, "%s is not supported in %s", quote(key.Name), k.place.Name)
		}
	}
}

func (r *reader) unknown(f field, place *language.Place) {
	names := place.Names()
	hint := didYouMean(f.name, names)
	if hint == "" && len(names) > 0 {
		hint = "there are " + strings.Join(names, ", ")
	}
	r.fail(f.key, hint, "unknown key %s in %s", quote(f.name), place.Name)
}

// get gives the value of a key, or nil where it is absent or refused. Asking
// for a key that the language's table lacks is a mistake in this package.
func (k keyed) get(name string) *yaml.Node {
	if key, known := k.place.Find(name); !known || key.Support == language.Refused {
		panic("workflow: " + k.place.ID + " has no key " + name)
	}
	return k.fields[name].value
}

// text reads text; numbers and booleans are text as well, as in Actions.
func (r *reader) text(n *yaml.Node, what string) (string, bool) {
	if n.Kind == yaml.ScalarNode {
		v, ok := r.scalar(n)
		if !ok {
			return "", false
		}
		if v != nil {
			return textOf(v), true
		}
	}
	r.fail(n, "", "%s must be text, not %s", what, kindOf(n))
	return "", false
}

// word is text without expressions in it.
func (r *reader) word(n *yaml.Node, what string) (string, bool) {
	s, ok := r.text(n, what)
	if ok && strings.Contains(s, "${{") {
		r.fail(n, "write the value out", "%s must not hold an expression", what)
		return "", false
	}
	return s, ok
}

// boolean reads true or false.
func (r *reader) boolean(n *yaml.Node, what string) (value, ok bool) {
	if n.Kind == yaml.ScalarNode {
		v, fine := r.scalar(n)
		if value, ok = v.(bool); ok || !fine {
			return value, ok
		}
	}
	r.fail(n, hintOn(n, "write true or false, without quotes"), "%s must be true or false, not %s", what, kindOf(n))
	return false, false
}

// number reads a number from least to most.
func (r *reader) number(n *yaml.Node, what string, least, most float64) (float64, bool) {
	if n.Kind == yaml.ScalarNode {
		v, fine := r.scalar(n)
		f, is := v.(float64)
		switch {
		case !fine:
			return 0, false
		case is && (f < least || f > most):
			r.fail(n, "", "%s must be from %s to %s, not %s", what, textOf(least), textOf(most), textOf(f))
			return 0, false
		case is:
			return f, true
		}
	}
	r.fail(n, hintOn(n, "write digits, without quotes"), "%s must be a number, not %s", what, kindOf(n))
	return 0, false
}

// integer reads a whole number from least to most.
func (r *reader) integer(n *yaml.Node, what string, least, most int) int {
	f, ok := r.number(n, what, float64(least), float64(most))
	if ok && f != math.Trunc(f) {
		r.fail(n, "", "%s must be a whole number, not %s", what, textOf(f))
	}
	return int(f)
}

// list gives the items of a list, aliases followed.
func (r *reader) list(n *yaml.Node, what string) []*yaml.Node {
	if n.Kind != yaml.SequenceNode {
		r.fail(n, "", "%s must be a list, not %s", what, kindOf(n))
		return nil
	}
	items := make([]*yaml.Node, len(n.Content))
	for i, item := range n.Content {
		items[i] = follow(item)
	}
	return items
}

// oneOrList gives the items of a list, or the one value that stands for it.
func (r *reader) oneOrList(n *yaml.Node, what string) []*yaml.Node {
	if n.Kind == yaml.ScalarNode {
		return []*yaml.Node{n}
	}
	items := r.list(n, what)
	if n.Kind == yaml.SequenceNode && len(items) == 0 {
		r.fail(n, "leave it out where there is none", "%s is empty", what)
	}
	return items
}

// kindOf says what a node is, for messages.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	if n.Style&^yaml.TaggedStyle == 0 && n.Tag != "!!str" {
		switch plain(n.Value).(type) {
		case nil:
			return "nothing"
		case bool:
			return "a boolean"
		case float64:
			return "a number"
		}
	}
	return "the text " + quote(n.Value)
}

// hintOn keeps a hint on how to write a value for values that are text.
func hintOn(n *yaml.Node, hint string) string {
	if strings.HasPrefix(kindOf(n), "the text") {
		return hint
	}
	return ""
}
