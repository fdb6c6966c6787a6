package workflow

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/workflow/expr"
	"github.com/relevo-ci/relevo/shared/workflow/language"
)

// permissions reads permissions of a file or job: nil where there are none.
// read-all, write-all and {} are kept under the scope *.
func (r *reader) permissions(n *yaml.Node) map[string]string {
	if n == nil {
		return nil
	}
	if n.Kind == yaml.ScalarNode {
		switch n.Value {
		case "read-all", "write-all":
			return map[string]string{"*": strings.TrimSuffix(n.Value, "-all")}
		}
		r.fail(n, "write read-all, write-all, or a mapping of scopes to read, write or none", "permissions must not be %s", kindOf(n))
		return nil
	}
	given := map[string]string{}
	for _, f := range r.pairs(n, "permissions") {
		if !slices.Contains(language.Scopes, f.name) {
			r.fail(f.key, didYouMean(f.name, language.Scopes), "permissions have no scope %s", quote(f.name))
			continue
		}
		access, ok := r.text(f.value, f.name)
		if ok && !slices.Contains(language.Access, access) {
			r.fail(f.value, "", "%s must be read, write or none, not %s", f.name, quote(access))
		}
		given[f.name] = access
	}
	if len(n.Content) == 0 {
		given["*"] = "none"
	}
	return given
}

// concurrency reads a group's name, or the mapping that has it.
func (r *reader) concurrency(n *yaml.Node, s scope) *pipeline.Concurrency {
	if n == nil {
		return nil
	}
	c := &pipeline.Concurrency{}
	group := n
	if n.Kind != yaml.ScalarNode {
		k := r.keyed(n, language.Concurrency)
		group = k.get("group")
		if v := k.get("cancel-in-progress"); v != nil {
			c.CancelInProgress = r.booleanOrExpression(v, "cancel-in-progress", s)
		}
	}
	if group == nil {
		return nil
	}
	t := r.template(group, "the group of concurrency", s)
	if t == nil {
		return nil
	}
	if text, literal := t.Literal(); literal && text == "" {
		r.fail(group, "leave concurrency out", "the group of concurrency is empty")
	}
	c.Group = *t
	return c
}

// container reads an image's name, or the mapping that has it.
func (r *reader) container(n *yaml.Node, in names) *pipeline.Container {
	c := &pipeline.Container{}
	image := n
	if n.Kind != yaml.ScalarNode {
		k := r.keyed(n, language.Container)
		image = k.get("image")
		c.Env = r.env(k.get("env"), in.at(expr.JobContainerEnv))
		if v := k.get("options"); v != nil {
			c.WorkingDir = r.containerOptions(v)
		}
	}
	if image == nil {
		return nil
	}
	t := r.template(image, "the image of a container", in.at(expr.JobContainer))
	if t == nil {
		return nil
	}
	if text, literal := t.Literal(); literal && strings.TrimSpace(text) != text || literal && text == "" {
		r.fail(image, "", "%s is not the name of an image", quote(text))
	}
	c.Image = *t
	return c
}

// optionHints say what to write instead of an option of docker run.
var optionHints = map[string]string{
	"--cpus": "use resources.cpu", "--memory": "use resources.memory", "-m": "use resources.memory",
	"--gpus": "use resources.gpu", "--env": "use env", "-e": "use env",
	"--user": "set the user in the image", "-u": "set the user in the image",
}

// containerOptions reads the options of docker run that there are: the folder
// to start in.
func (r *reader) containerOptions(n *yaml.Node) (folder string) {
	text, ok := r.word(n, "options")
	if !ok {
		return ""
	}
	words := strings.Fields(text)
	for i := 0; i < len(words); i++ {
		name, value, joined := strings.Cut(words[i], "=")
		if name != "--workdir" && name != "-w" {
			hint := optionHints[name]
			if hint == "" {
				hint = "only --workdir is"
			}
			r.fail(n, hint, "the option %s is not supported", quote(name))
			return ""
		}
		if !joined && i+1 < len(words) {
			i++
			value = words[i]
		}
		if !strings.HasPrefix(value, "/") {
			r.fail(n, "", "%s needs a folder that begins with /", name)
			return ""
		}
		folder = value
	}
	return folder
}
