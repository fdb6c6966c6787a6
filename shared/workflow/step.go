package workflow

import (
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/workflow/expr"
	"github.com/relevo-ci/relevo/shared/workflow/language"
)

// runDefaults are the defaults of run steps.
type runDefaults struct {
	shell            string
	workingDirectory *expression.Template
}

// defaults reads defaults.run; what it does not say is as around it.
func (r *reader) defaults(n *yaml.Node, around runDefaults, s scope) runDefaults {
	if n == nil {
		return around
	}
	run := r.keyed(n, language.Defaults).get("run")
	if run == nil {
		return around
	}
	k := r.keyed(run, language.DefaultsRun)
	if v := k.get("shell"); v != nil {
		around.shell = r.shell(v)
	}
	if v := k.get("working-directory"); v != nil {
		around.workingDirectory = r.template(v, "working-directory", s)
	}
	return around
}

// shells are those of Actions that are not there, and what to write instead.
var shells = map[string]string{
	"pwsh":       `write "pwsh -File {0}"`,
	"python":     `write "python3 {0}"`,
	"node":       `write "node {0}"`,
	"powershell": "there are no Windows workers",
	"cmd":        "there are no Windows workers",
}

func (r *reader) shell(n *yaml.Node) string {
	s, ok := r.word(n, "shell")
	if !ok || s == "sh" || s == "bash" || strings.Contains(s, "{0}") {
		return s
	}
	hint := shells[s]
	if hint == "" {
		hint = "use sh, bash, or a command with {0} for the script's file"
	}
	r.fail(n, hint, "there is no shell %s", quote(s))
	return ""
}

// steps reads the steps of a job.
func (r *reader) steps(n *yaml.Node, in names, defaults runDefaults) []pipeline.StepSpec {
	items := r.list(n, "steps")
	if n.Kind == yaml.SequenceNode && len(items) == 0 {
		r.fail(n, "", "steps is empty")
	}
	keys := make([]keyed, len(items))
	ids := make([]string, len(items))
	first := map[string]*yaml.Node{}
	for i, item := range items {
		keys[i] = r.keyed(item, language.Step)
		if v := keys[i].get("id"); v != nil {
			ids[i] = r.stepID(v, first)
			in.job.stepIDs[strings.ToLower(ids[i])] = true
		}
	}
	specs := make([]pipeline.StepSpec, len(items))
	in.steps = map[string]bool{}
	for i, k := range keys {
		specs[i] = r.step(k, in, defaults)
		if ids[i] != "" {
			specs[i].ID = ids[i]
			in.steps[strings.ToLower(ids[i])] = true
		}
	}
	return specs
}

// stepID reads an id; first are the steps that have one, by the id folded.
func (r *reader) stepID(n *yaml.Node, first map[string]*yaml.Node) string {
	id, ok := r.word(n, "id")
	if !ok {
		return ""
	}
	if hint := wrongID(id); hint != "" {
		r.fail(n, hint, "%s is not an id that a step may have", quote(id))
		return ""
	}
	if before := first[strings.ToLower(id)]; before != nil {
		r.fail(n, "", "the id %s stands twice: also at line %d, column %d", quote(id), before.Line, before.Column)
		return ""
	}
	first[strings.ToLower(id)] = n
	return id
}

func (r *reader) step(k keyed, in names, defaults runDefaults) pipeline.StepSpec {
	s := pipeline.StepSpec{Line: k.node.Line, Shell: defaults.shell, WorkingDirectory: defaults.workingDirectory}
	place := in.at(expr.Step)
	if n := k.get("run"); n != nil {
		if t := r.template(n, "run", place); t != nil {
			s.Run = *t
		}
	}
	if n := k.get("shell"); n != nil {
		s.Shell = r.shell(n)
	}
	if n := k.get("working-directory"); n != nil {
		s.WorkingDirectory = r.template(n, "working-directory", place)
	}
	r.uses(k, &s, place)
	if n := k.get("emit"); n != nil {
		s.Emit = r.emit(n, place)
		r.scriptless(k, &s)
	}
	if n := k.get("name"); n != nil {
		s.Name = r.template(n, "name", place)
	}
	if n := k.get("if"); n != nil {
		s.If = r.condition(n, "if", in.at(expr.StepIf))
	}
	s.Env = r.env(k.get("env"), place)
	if n := k.get("timeout-minutes"); n != nil {
		s.TimeoutMinutes, s.TimeoutExpr = r.minutes(n, place)
	}
	if n := k.get("continue-on-error"); n != nil {
		s.ContinueOnError = r.booleanOrExpression(n, "continue-on-error", place)
	}
	return s
}
