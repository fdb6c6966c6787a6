package workflow

import (
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/workflow/language"
)

var (
	idPattern  = regexp.MustCompile(language.IDPattern)
	envPattern = regexp.MustCompile(language.EnvPattern)
)

// wrongID says what is wrong with the id of a job, step, input or output.
func wrongID(id string) string {
	const most = 100
	switch {
	case !idPattern.MatchString(id):
		return "letters, digits, - and _, beginning with a letter or _"
	case len(id) > most:
		return fmt.Sprintf("at most %d characters", most)
	}
	return ""
}

// wrongEnv says what is wrong with the name of an environment variable.
func wrongEnv(name string) string {
	if !envPattern.MatchString(name) {
		return "letters, digits, _, - and ., beginning with a letter or _"
	}
	return ""
}

// names are what the expressions of one place may refer to. All names are
// folded to lower case: properties are found without regard to case.
type names struct {
	inputs map[string]bool
	event  bool // a CloudEvent starts the file, or has come
	job    *job // nil outside of jobs
	jobs   map[string]*job
	jobIDs []string        // as written, in the order of the file
	steps  map[string]bool // that ended when the place is read
}

// properties are those of the contexts that are the same for all.
var properties = map[string][]string{
	"github": {
		"action", "action_path", "action_ref", "action_repository", "action_status", "actor", "actor_id",
		"api_url", "base_ref", "env", "event", "event_name", "event_path", "graphql_url", "head_ref", "job",
		"output", "path", "ref", "ref_name", "ref_protected", "ref_type", "repository", "repository_id",
		"repository_owner", "repository_owner_id", "repositoryUrl", "retention_days", "run_attempt", "run_id",
		"run_number", "secret_source", "server_url", "sha", "state", "step_summary", "token",
		"triggering_actor", "workflow", "workflow_ref", "workflow_sha", "workspace",
	},
	"runner":   {"arch", "debug", "environment", "name", "os", "temp", "tool_cache", "workspace"},
	"job":      {"check_run_id", "container", "services", "status"},
	"strategy": {"fail-fast", "job-index", "job-total", "max-parallel"},
}

// wrong is what is wrong with a reference: the part of the path that it is
// about, a message and a hint.
type wrong struct {
	part          int
	message, hint string
}

// named reports what the expressions of a text name and what there is not.
func (r *reader) named(n *yaml.Node, src string, roots []*expression.Node, in names) bool {
	const most, mostLocated = 10, 100 // locating takes time
	count := 0
	visit := func(path []string) {
		if count == most {
			return
		}
		w := in.check(path)
		if w == nil {
			return
		}
		count++
		line, column := n.Line, n.Column
		if r.located++; r.located <= mostLocated {
			line, column = r.lines.position(n, locate(src, path[:w.part+1]))
		}
		r.add(line, column, w.hint, "%s", w.message)
	}
	for _, root := range roots {
		references(root, visit)
	}
	return count == 0
}

// references calls visit with the path of each context that is read, as far as
// it is written out: needs.build.outputs[matrix.os] gives needs, build,
// outputs, and matrix, os.
func references(n *expression.Node, visit func(path []string)) {
	path, whole := chain(n)
	if path == nil {
		for _, a := range n.Args {
			references(a, visit)
		}
		return
	}
	visit(path)
	for ; !whole && n.Op != expression.Var; n = n.Args[0] {
		for _, a := range n.Args[1:] {
			references(a, visit)
		}
	}
}

// chain gives the path that n is or begins with, and whether n is all of it;
// nil where n takes nothing of a context.
func chain(n *expression.Node) (path []string, whole bool) {
	switch n.Op {
	case expression.Var:
		return []string{n.Name}, true
	case expression.Prop, expression.Index, expression.Star:
		path, whole = chain(n.Args[0])
	}
	if path == nil || !whole {
		return path, false
	}
	if n.Op == expression.Prop {
		return append(path, n.Name), true
	}
	if n.Op == expression.Index && n.Args[1].Op == expression.Lit {
		if key, ok := n.Args[1].Value.(string); ok {
			return append(path, key), true
		}
	}
	return path, false
}

// locate finds in src where the last part of a path is written; -1 where it
// is not found.
func locate(src string, path []string) int {
	const most = 64 << 10
	if len(src) > most {
		return -1
	}
	pattern := `(?i)`
	for i, part := range path {
		if i > 0 {
			pattern += `\s*(?:\.|\[\s*')\s*`
		} else {
			pattern += `\b`
		}
		pattern += "(" + regexp.QuoteMeta(part) + ")"
	}
	pattern += `(?:[^A-Za-z0-9_-]|$)`
	from := max(strings.Index(src, "${{"), 0)
	at := regexp.MustCompile(pattern).FindStringSubmatchIndex(src[from:])
	if at == nil {
		return -1
	}
	return from + at[2*len(path)]
}

// check tells what is wrong with a path; nil where nothing is.
func (s names) check(path []string) *wrong {
	switch path[0] {
	case "needs":
		return s.need(path)
	case "steps":
		return s.step(path)
	case "matrix":
		return s.matrix(path)
	case "inputs":
		if len(path) > 1 && !s.inputs[strings.ToLower(path[1])] {
			return &wrong{1, "there is no input " + quote(path[1]), "declare it in on.workflow_dispatch.inputs"}
		}
	case "relevo":
		return property(path, 1, properties["github"])
	default:
		if known := properties[path[0]]; known != nil {
			return property(path, 1, known)
		}
	}
	return nil
}

// property checks one part of a path.
func property(path []string, part int, known []string) *wrong {
	if len(path) <= part {
		return nil
	}
	name := path[part]
	for _, k := range known {
		if strings.EqualFold(k, name) {
			return nil
		}
	}
	return &wrong{part, fmt.Sprintf("%s has no property %s", strings.Join(path[:part], "."), quote(name)), didYouMean(name, known)}
}

func (s names) need(path []string) *wrong {
	if len(path) < 2 || s.job == nil {
		return nil
	}
	id := strings.ToLower(path[1])
	needed := s.jobs[id]
	switch {
	case needed == nil && s.job.needed[id]:
		return nil // told where it is needed
	case needed == nil:
		return &wrong{1, "there is no job " + quote(path[1]), didYouMean(id, s.jobIDs)}
	case !s.job.needed[id]:
		return &wrong{1, fmt.Sprintf("the job %s does not need %s", quote(s.job.id), quote(needed.id)), "add it to needs"}
	case len(path) == 2:
		return nil
	}
	if w := property(path, 2, []string{"result", "outputs"}); w != nil {
		return w
	}
	if len(path) > 3 && strings.EqualFold(path[2], "outputs") && !needed.outputs[strings.ToLower(path[3])] {
		return &wrong{3, fmt.Sprintf("the job %s has no output %s", quote(needed.id), quote(path[3])), "declare it in the job's outputs"}
	}
	return nil
}

func (s names) step(path []string) *wrong {
	if len(path) < 2 || s.job == nil {
		return nil
	}
	switch id := strings.ToLower(path[1]); {
	case s.steps[id]:
	case s.job.stepIDs[id]:
		return &wrong{1, fmt.Sprintf("the step %s has not run yet here", quote(path[1])), "a step sees the steps before it"}
	default:
		return &wrong{1, "there is no step with the id " + quote(path[1]), ""}
	}
	return property(path, 2, []string{"outputs", "outcome", "conclusion"})
}

func (s names) matrix(path []string) *wrong {
	switch {
	case s.job == nil || s.job.matrixBroken:
		return nil
	case !s.job.hasMatrix:
		return &wrong{0, fmt.Sprintf("the job %s has no matrix", quote(s.job.id)), "declare it in strategy.matrix"}
	case len(path) > 1 && !s.job.matrixKeys[strings.ToLower(path[1])]:
		return &wrong{1, "the matrix has no " + quote(path[1]), "declare it in strategy.matrix"}
	}
	return nil
}

// didYouMean hints at the name that was meant; nothing where none is near.
func didYouMean(name string, known []string) string {
	if near := language.Nearest(name, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return ""
}
