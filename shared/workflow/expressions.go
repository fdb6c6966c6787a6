package workflow

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/workflow/expr"
	"github.com/relevo-ci/relevo/shared/workflow/language"
)

// scope is what an expression may use: the contexts of its place, and the
// names that there are in them.
type scope struct {
	expr.Scope
	names names
}

// at is the same names at another place. Variables kept outside the file
// (vars), which GitHub has there, are not supported; event is there in files
// that a CloudEvent starts.
func (s names) at(place expr.Scope) scope {
	place.Contexts = slices.DeleteFunc(slices.Clone(place.Contexts), func(c string) bool {
		return c == "vars" || c == "event" && !s.event
	})
	return scope{place, s}
}

// awaited is where the outputs of a job stand that awaits something: they are
// read before there is a worker, and of an event that came.
func (s names) awaited(event bool) scope {
	s.event = s.event || event
	return s.at(expr.JobName)
}

// template reads text that may hold expressions; nil after an error.
func (r *reader) template(n *yaml.Node, what string, s scope) *expression.Template {
	src, ok := r.text(n, what)
	if !ok {
		return nil
	}
	return r.compile(n, src, s)
}

func (r *reader) compile(n *yaml.Node, src string, s scope) *expression.Template {
	if !strings.Contains(src, "${{") {
		t := expression.Text(src)
		return &t
	}
	if !r.affordableText(n, src) {
		return nil
	}
	t, errs := s.CompileTemplate(src)
	if !r.compiled(n, errs) {
		return nil
	}
	var roots []*expression.Node
	for _, p := range t.Parts {
		if p.Expr != nil {
			roots = append(roots, p.Expr)
		}
	}
	if !r.named(n, src, roots, s.names) {
		return nil
	}
	return &t
}

// condition reads an `if`; nil stands for success(), and for an error.
func (r *reader) condition(n *yaml.Node, what string, s scope) *expression.Node {
	src, ok := r.text(n, what)
	if !ok {
		return nil
	}
	if !r.affordableText(n, src) {
		return nil
	}
	c, errs := s.CompileCondition(src)
	if !r.compiled(n, errs) || c == nil || !r.named(n, src, []*expression.Node{c}, s.names) {
		return nil
	}
	return c
}

const (
	// mostExpressions of a file, aliases followed.
	mostExpressions = 10_000
	// mostExpressionText bounds the bytes of the texts that they stand in.
	mostExpressionText = 4 << 20
)

// affordableText bounds what compiling expressions may cost.
func (r *reader) affordableText(n *yaml.Node, src string) bool {
	before := r.expressions <= mostExpressions && r.expressionText <= mostExpressionText
	r.expressions += max(strings.Count(src, "${{"), 1)
	r.expressionText += len(src)
	if r.expressions <= mostExpressions && r.expressionText <= mostExpressionText {
		return true
	}
	if before {
		r.fail(n, "move long scripts into files of their own", "the file holds too many expressions")
	}
	return false
}

// compiled reports the errors of an expression in n where they stand.
func (r *reader) compiled(n *yaml.Node, errs []*expr.Error) bool {
	for _, e := range errs {
		line, column := r.lines.position(n, e.Offset)
		hint := ""
		if strings.HasPrefix(e.Message, `context "vars"`) {
			hint = "variables kept outside the file are not supported: use env"
		}
		if strings.HasPrefix(e.Message, `context "event"`) {
			hint = "it is there in a file that cloudevent starts, and in the outputs of a job that awaits an event"
		}
		r.add(line, column, hint, "%s", e.Message)
	}
	return len(errs) == 0
}

// booleanOrExpression reads true, false or one expression; nil stands for
// false, and for an error.
func (r *reader) booleanOrExpression(n *yaml.Node, what string, s scope) *expression.Template {
	if isExpression(n) {
		return r.template(n, what, s)
	}
	if yes, ok := r.boolean(n, what); !ok || !yes {
		return nil
	}
	t := expression.Text("true")
	return &t
}

// minutes reads timeout-minutes: a number, or one expression.
func (r *reader) minutes(n *yaml.Node, s scope) (float64, *expression.Template) {
	const what = "timeout-minutes"
	if isExpression(n) {
		return 0, r.template(n, what, s)
	}
	f, ok := r.number(n, what, 0, language.MostMinutes)
	if ok && f == 0 {
		r.fail(n, "leave it out for the default", "%s must be more than 0", what)
	}
	return f, nil
}

// isExpression tells whether a value is one ${{ }} and nothing else.
func isExpression(n *yaml.Node) bool {
	s := strings.TrimSpace(n.Value)
	return n.Kind == yaml.ScalarNode && strings.HasPrefix(s, "${{") && strings.HasSuffix(s, "}}")
}

// variables reads a mapping of names to text that may hold expressions. The
// names are checked by valid, which says what is wrong with one.
func (r *reader) variables(n *yaml.Node, what string, s scope, valid func(string) string) []pipeline.EnvVar {
	if isExpression(n) {
		r.fail(n, "write the names out, with an expression for each value", "%s must be a mapping, not one expression", what)
		return nil
	}
	var vars []pipeline.EnvVar
	for _, f := range r.pairs(n, what) {
		if wrong := valid(f.name); wrong != "" {
			r.fail(f.key, wrong, "%s is not a name that %s may have", quote(f.name), what)
			continue
		}
		value := f.value
		if value.Kind == yaml.ScalarNode {
			if v, ok := r.scalar(value); !ok {
				continue
			} else if v == nil {
				vars = append(vars, pipeline.EnvVar{Name: f.name, Value: expression.Text("")})
				continue
			}
		}
		if t := r.template(value, what+"."+f.name, s); t != nil {
			vars = append(vars, pipeline.EnvVar{Name: f.name, Value: *t})
		}
	}
	return vars
}

func (r *reader) env(n *yaml.Node, s scope) []pipeline.EnvVar {
	if n == nil {
		return nil
	}
	return r.variables(n, "env", s, wrongEnv)
}
