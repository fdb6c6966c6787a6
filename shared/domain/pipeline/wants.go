package pipeline

import (
	"strings"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/expression"
)

// Wants are what a job's worker has to ask the control plane for, since it is
// written down nowhere.
type Wants struct {
	// Secrets that its expressions name, in lower case.
	Secrets map[string]bool
	// All: an expression reads secrets in a way that does not say which.
	All bool
	// Git: it fetches a repository.
	Git bool
}

// Any tells whether there is anything to ask for.
func (w Wants) Any() bool { return w.All || w.Git || len(w.Secrets) > 0 }

// Secret tells whether the job reads the secret of that name.
func (w Wants) Secret(name string) bool { return w.All || w.Secrets[strings.ToLower(name)] }

// Wants tells what a job of the graph wants; nothing where there is none.
func (s *Spec) Wants(key events.JobKey) Wants {
	w := Wants{Secrets: map[string]bool{}}
	for i := range s.Jobs {
		if j := &s.Jobs[i]; j.Key == key {
			w.vars(s.Env)
			w.job(j)
		}
	}
	return w
}

func (w *Wants) job(j *JobSpec) {
	w.vars(j.Env)
	w.vars(j.Outputs)
	w.template(j.TimeoutExpr)
	if j.Container != nil {
		w.vars(j.Container.Env)
	}
	for i := range j.Steps {
		w.step(&j.Steps[i])
	}
}

func (w *Wants) step(s *StepSpec) {
	w.node(s.If)
	w.vars(s.Env)
	for _, t := range []*expression.Template{s.Name, &s.Run, s.WorkingDirectory, s.TimeoutExpr, s.ContinueOnError} {
		w.template(t)
	}
	if s.Checkout != nil {
		w.Git = true
		for _, t := range s.Checkout.Inputs() {
			w.template(t)
		}
	}
	if s.Emit != nil {
		w.template(&s.Emit.Type)
		w.template(s.Emit.Subject)
		s.Emit.Data.Visit(w.template)
	}
}

func (w *Wants) vars(vars []EnvVar) {
	for i := range vars {
		w.template(&vars[i].Value)
	}
}

func (w *Wants) template(t *expression.Template) {
	if t == nil {
		return
	}
	for _, p := range t.Parts {
		w.node(p.Expr)
	}
}

// node looks for secrets.NAME, and for github.token, which is one of them.
func (w *Wants) node(n *expression.Node) {
	if n == nil {
		return
	}
	if context, name, ok := property(n); ok {
		switch {
		case context == "secrets":
			w.Secrets[name] = true
			return
		case (context == "github" || context == "relevo") && name == "token":
			w.Secrets["github_token"] = true
			return
		}
	}
	if n.Op == expression.Var && strings.EqualFold(n.Name, "secrets") {
		w.All = true
	}
	for _, a := range n.Args {
		w.node(a)
	}
}

// property reads context.name and context['name'], in lower case.
func property(n *expression.Node) (context, name string, ok bool) {
	if len(n.Args) == 0 || n.Args[0] == nil || n.Args[0].Op != expression.Var {
		return "", "", false
	}
	context = strings.ToLower(n.Args[0].Name)
	switch {
	case n.Op == expression.Prop:
		return context, strings.ToLower(n.Name), true
	case n.Op == expression.Index && n.Args[1].Op == expression.Lit:
		text, is := n.Args[1].Value.(string)
		return context, strings.ToLower(text), is
	}
	return "", "", false
}
