package workflow

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/workflow/language"
)

var (
	usesPattern  = regexp.MustCompile(language.UsesPattern)
	tokenPattern = regexp.MustCompile(language.TokenPattern)
)

// ofScript are the keys of a step that belong to its script.
var ofScript = []string{"shell", "working-directory"}

// uses reads the action of a step: a checkout, or none that there is, and then
// nothing is said of its inputs.
func (r *reader) uses(k keyed, s *pipeline.StepSpec, in scope) {
	n := k.get("uses")
	with, there := k.fields["with"]
	if n == nil {
		if there {
			r.fail(with.key, "pass values to `run` by env", "%s belongs to %s", quote("with"), quote("uses"))
			r.checkout(with.value, in)
		}
		return
	}
	action, ok := r.word(n, "uses")
	if !ok {
		return
	}
	if !usesPattern.MatchString(action) {
		r.fail(k.fields["uses"].key, insteadOf(action), "%s is not supported in a step", quote("uses"))
		return
	}
	s.Uses, s.Checkout = action, &pipeline.Checkout{}
	if there && kindOf(with.value) != "nothing" {
		s.Checkout = r.checkout(with.value, in)
	}
	r.scriptless(k, s)
}

// scriptless refuses what belongs to a script in a step that has none.
func (r *reader) scriptless(k keyed, s *pipeline.StepSpec) {
	s.Shell, s.WorkingDirectory = "", nil
	for _, name := range ofScript {
		if f, there := k.fields[name]; there {
			r.fail(f.key, "leave it out", "%s belongs to %s", quote(name), quote("run"))
		}
	}
}

// checkout reads the inputs of a checkout.
func (r *reader) checkout(n *yaml.Node, in scope) *pipeline.Checkout {
	c := &pipeline.Checkout{}
	k := r.keyed(n, language.Checkout)
	for name, into := range map[string]**expression.Template{
		"repository": &c.Repository, "ref": &c.Ref, "path": &c.Path, "fetch-depth": &c.FetchDepth,
		"sparse-checkout": &c.Sparse, "submodules": &c.Submodules,
		"fetch-tags": &c.FetchTags, "clean": &c.Clean, "sparse-checkout-cone-mode": &c.SparseCone,
	} {
		*into = r.checkoutInput(k, name, in)
	}
	for _, name := range []string{"show-progress", "set-safe-directory"} { // heeded or not is the same
		r.checkoutInput(k, name, in)
	}
	r.onlyFalse(k, "persist-credentials", "credentials are never kept: a step that pushes gets its own, by env")
	r.onlyFalse(k, "lfs", "fetch them in a step: git lfs pull, with a credential in its env")
	if v := k.get("token"); v != nil && kindOf(v) != "nothing" {
		if text, ok := r.text(v, "token"); ok && !tokenPattern.MatchString(text) {
			r.fail(v, "leave it out, the forge's own credential is used; fetch what that may not read with git in `run`", "a token of its own is not supported in a checkout")
		}
	}
	return c
}

// checkoutInput reads one input; nil where it is not set, and after an error.
func (r *reader) checkoutInput(k keyed, name string, in scope) *expression.Template {
	n := k.get(name)
	if n == nil || n.Kind == yaml.ScalarNode && kindOf(n) == "nothing" {
		return nil
	}
	t := r.template(n, name, in)
	if t == nil {
		return nil
	}
	text, literal := t.Literal()
	if !literal {
		return t
	}
	switch name {
	case "fetch-tags", "clean", "sparse-checkout-cone-mode", "show-progress", "set-safe-directory":
		if text != "true" && text != "false" {
			r.fail(n, "", "%s must be true or false, not %s", name, quote(text))
		}
	case "submodules":
		if text != "true" && text != "false" && text != "recursive" {
			r.fail(n, "", "%s must be true, false or recursive, not %s", name, quote(text))
		}
	case "fetch-depth":
		if text == "" || strings.Trim(text, "0123456789") != "" {
			r.fail(n, "0 stands for all of them", "%s must be a number of commits, not %s", name, quote(text))
		}
	default:
		if wrong := execution.WrongInput(name, text); wrong != "" {
			r.fail(n, "", "%s: %s", name, wrong)
		}
	}
	return t
}

// onlyFalse reads an input that can be false alone.
func (r *reader) onlyFalse(k keyed, name, hint string) {
	n := k.get(name)
	if n == nil || n.Kind == yaml.ScalarNode && kindOf(n) == "nothing" {
		return
	}
	if text, ok := r.text(n, name); ok && text != "false" {
		r.fail(n, hint, "%s must be false", name)
	}
}

// substitutes say what to do instead of well-known actions.
var substitutes = []struct{ prefix, hint string }{
	{"actions/checkout", "write actions/checkout@v4"},
	{"actions/setup-", "name an image that has the tool in the job's container"},
	{"actions/cache", "keep files between runs with `run`, where the nodes have a place for them"},
	{"actions/upload-artifact@", "copy the files with `run` to where they are kept"},
	{"actions/download-artifact@", "fetch the files with `run` from where they are kept"},
	{"docker://", "name the image in the job's container"},
}

// insteadOf says what to do instead of an action.
func insteadOf(action string) string {
	for _, s := range substitutes {
		if strings.HasPrefix(action, s.prefix) {
			return s.hint
		}
	}
	return "do it in `run`, or bring the tool with the job's container"
}
