package workflow

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/workflow/language"
)

// emit reads the event that a step emits. It travels in the clear, so that no
// secret may stand in it.
func (r *reader) emit(n *yaml.Node, in scope) *pipeline.Emit {
	in.Contexts = slices.DeleteFunc(slices.Clone(in.Contexts), func(c string) bool { return c == "secrets" })
	k := r.keyed(n, language.Emit)
	e := &pipeline.Emit{}
	if v := k.get("type"); v != nil {
		if t := r.template(v, "type", in); t != nil {
			e.Type = *t
			if text, literal := t.Literal(); literal {
				if wrong := execution.WrongType(text); wrong != "" {
					r.fail(v, "name it after a domain of yours: com.example.artifact.built", "%s", wrong)
				} else if _, shared := execution.FindCDEvent(text); shared && k.get("subject") == nil {
					r.fail(v, "say what it is about", "%s needs \"subject\"", text)
				}
			}
		}
	}
	if v := k.get("subject"); v != nil {
		e.Subject = r.template(v, "subject", in)
	}
	if v := k.get("data"); v != nil {
		if v.Kind != yaml.MappingNode && !isExpression(v) {
			r.fail(v, "", "data must be a mapping, or one expression, not %s", kindOf(v))
		} else {
			c := r.content(v, in)
			e.Data = &c
		}
	}
	return e
}

// content reads a value of any depth with expressions in its texts.
func (r *reader) content(n *yaml.Node, in scope) pipeline.Content {
	switch n.Kind {
	case yaml.MappingNode:
		c := pipeline.Content{Kind: pipeline.ContentObject}
		for _, f := range r.pairs(n, "data") {
			if strings.Contains(f.name, "${{") {
				r.fail(f.key, "write the name out", "a name in data must not hold an expression")
			}
			c.Fields = append(c.Fields, pipeline.ContentField{Name: f.name, Value: r.content(f.value, in)})
		}
		return c
	case yaml.SequenceNode:
		c := pipeline.Content{Kind: pipeline.ContentList}
		for _, item := range r.list(n, "data") {
			c.List = append(c.List, r.content(item, in))
		}
		return c
	}
	value, _ := r.scalar(n)
	if text, ok := value.(string); ok {
		return pipeline.Content{Kind: pipeline.ContentText, Text: r.compile(n, text, in)}
	}
	return pipeline.Content{Kind: pipeline.ContentValue, Value: value}
}
