package workflow

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/workflow/language"
)

// inputs reads workflow_dispatch.inputs.
func (r *reader) inputs(n *yaml.Node) []pipeline.Input {
	if n == nil {
		return nil
	}
	var inputs []pipeline.Input
	for _, f := range r.pairs(n, "inputs") {
		if hint := wrongID(f.name); hint != "" {
			r.fail(f.key, hint, "%s is not a name that an input may have", quote(f.name))
			continue
		}
		in := pipeline.Input{Name: f.name, Type: "string"}
		if kindOf(f.value) != "nothing" {
			r.input(f.value, &in)
		}
		inputs = append(inputs, in)
	}
	return inputs
}

func (r *reader) input(n *yaml.Node, in *pipeline.Input) {
	k := r.keyed(n, language.Input)
	if d := k.get("description"); d != nil {
		in.Description, _ = r.text(d, "description")
	}
	if q := k.get("required"); q != nil {
		in.Required, _ = r.boolean(q, "required")
	}
	if t := k.get("type"); t != nil {
		in.Type = r.inputType(t)
	}
	if o := k.get("options"); o != nil {
		for _, item := range r.list(o, "options") {
			if s, ok := r.word(item, "an option"); ok {
				in.Options = append(in.Options, s)
			}
		}
	}
	if in.Type == "choice" && len(in.Options) == 0 {
		r.fail(n, "list them in options", "a choice needs its values")
	}
	if o := k.get("options"); o != nil && in.Type != "choice" {
		r.fail(o, "write type: choice", "options are for inputs of the type choice")
	}
	if d := k.get("default"); d != nil {
		if s, ok := r.word(d, "default"); ok {
			value, wrong := typed(*in, s)
			if wrong != "" {
				r.fail(d, "", "default %s", wrong)
			}
			in.Default = value
		}
	}
}

func (r *reader) inputType(n *yaml.Node) string {
	t, ok := r.word(n, "type")
	switch {
	case !ok:
	case t == "environment":
		r.fail(n, "use choice and list the names", "environments are not supported")
	case !slices.Contains(language.InputTypes, t):
		r.fail(n, "there are "+strings.Join(language.InputTypes, ", "), "there is no type %s of inputs", quote(t))
	default:
		return t
	}
	return ""
}

// typed turns the text of an input's value to its type: string, bool or
// float64.
func typed(in pipeline.Input, text string) (value any, wrong string) {
	switch in.Type {
	case "boolean":
		if text != "true" && text != "false" {
			return nil, "must be true or false, not " + quote(text)
		}
		return text == "true", ""
	case "number":
		f, ok := plain(text).(float64)
		if !ok || f-f != 0 { // infinite or NaN
			return nil, "must be a number, not " + quote(text)
		}
		return f, ""
	case "choice":
		if len(in.Options) > 0 && !slices.Contains(in.Options, text) {
			return nil, fmt.Sprintf("must be one of its options, not %s", quote(text))
		}
	}
	return text, ""
}

// settle gives the values of the inputs: those given and the defaults of the
// others. Without given values (a file is only checked) none is missing.
func (r *reader) settle(triggers []pipeline.Trigger, given map[string]any, on *yaml.Node) map[string]any {
	if on == nil {
		on = &yaml.Node{Line: 1, Column: 1}
	}
	declared := map[string]any{}
	known := map[string]bool{}
	for _, t := range triggers {
		for _, in := range t.Inputs {
			known[in.Name] = true
			value, set := given[in.Name]
			switch {
			case set:
				v, wrong := typed(in, givenText(value))
				if wrong != "" {
					r.fail(on, "", "the input %s %s", in.Name, wrong)
				}
				declared[in.Name] = v
			case in.Default != nil:
				declared[in.Name] = in.Default
			case in.Required && given != nil:
				r.fail(on, "", "the input %s is required and was not given", in.Name)
			default:
				declared[in.Name] = absent(in)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !known[name] {
			r.fail(on, "declare it in on.workflow_dispatch.inputs", "there is no input %s", quote(name))
		}
	}
	if len(declared) == 0 {
		return nil
	}
	return declared
}

// absent is the value of an input that was not given and has no default.
func absent(in pipeline.Input) any {
	switch in.Type {
	case "choice": // as in the form that GitHub shows
		if len(in.Options) > 0 {
			return in.Options[0]
		}
	case "boolean":
		return false
	case "number":
		return 0.0
	}
	return ""
}

// givenText is a value as it came from a command line (a string) or from JSON.
func givenText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int:
		return strconv.Itoa(v)
	}
	return textOf(v)
}
