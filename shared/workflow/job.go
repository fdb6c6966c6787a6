package workflow

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/workflow/expr"
	"github.com/relevo-ci/relevo/shared/workflow/language"
)

// job is one job of the file. What other jobs and its own expressions refer to
// is read of all jobs first (outline), the rest after that (fill).
type job struct {
	id   string
	key  *yaml.Node
	keys keyed
	bulk bulk

	needs        []need
	needed       map[string]bool // the same ids, folded
	outputs      map[string]bool // folded names
	stepIDs      map[string]bool // folded ids
	hasMatrix    bool
	matrixBroken bool // and reported: nothing is said of its keys
	matrixKeys   map[string]bool
	combinations []combination

	await    keyed // where it awaits something
	approval bool  // that is an approval

	strategy *pipeline.Strategy
	spec     pipeline.JobSpec // without what differs between combinations
}

// need is one entry of needs.
type need struct {
	id   string
	node *yaml.Node
}

// outline reads what is referred to.
func (r *reader) outline(f field) *job {
	j := &job{
		id: f.name, key: f.key, keys: r.keyed(f.value, language.Job), bulk: size(f.value),
		needed: map[string]bool{}, outputs: map[string]bool{}, stepIDs: map[string]bool{}, matrixKeys: map[string]bool{},
	}
	if n := j.keys.get("needs"); n != nil {
		r.needs(n, j)
	}
	if n := j.keys.get("strategy"); n != nil {
		r.strategy(n, j)
	}
	if n := j.keys.get("outputs"); n != nil && n.Kind == yaml.MappingNode {
		for i := 0; i < len(n.Content); i += 2 {
			j.outputs[strings.ToLower(follow(n.Content[i]).Value)] = true
		}
	}
	if n := j.keys.get("await"); n != nil {
		r.awaits(n, j)
	}
	return j
}

func (r *reader) needs(n *yaml.Node, j *job) {
	items := []*yaml.Node{n}
	if n.Kind != yaml.ScalarNode {
		items = r.list(n, "needs")
	}
	for _, item := range items {
		id, ok := r.word(item, "an entry of needs")
		if !ok {
			continue
		}
		if folded := strings.ToLower(id); j.needed[folded] {
			r.fail(item, "", "needs names %s twice", quote(id))
		} else {
			j.needed[folded] = true
			j.needs = append(j.needs, need{id, item})
		}
	}
}

func (r *reader) strategy(n *yaml.Node, j *job) {
	k := r.keyed(n, language.Strategy)
	j.strategy = &pipeline.Strategy{FailFast: true, Total: 1}
	if v := k.get("fail-fast"); v != nil {
		j.strategy.FailFast, _ = r.boolean(v, "fail-fast")
	}
	if v := k.get("max-parallel"); v != nil {
		j.strategy.MaxParallel = r.integer(v, "max-parallel", 1, mostCombinations)
	}
	if v := k.get("matrix"); v != nil {
		var ok bool
		j.hasMatrix = true
		j.combinations, ok = r.matrix(v)
		j.matrixBroken = !ok
		for _, c := range j.combinations {
			for _, key := range c.keys {
				j.matrixKeys[strings.ToLower(key)] = true
			}
		}
	}
}

// fill reads the rest of a job.
func (r *reader) fill(j *job, in names, defaults runDefaults) {
	in.job = j
	k, s := j.keys, &j.spec
	s.ID = j.id
	for _, n := range j.needs {
		s.Needs = append(s.Needs, n.id)
	}
	if n := k.get("if"); n != nil {
		s.If = r.condition(n, "if", in.at(expr.JobIf))
	}
	if n := k.get("runs-on"); n != nil {
		s.RunsOn = r.runsOn(n, in.at(expr.JobRunsOn))
	} else if r.github && k.node.Kind == yaml.MappingNode && !k.calls {
		r.fail(k.node, "", `a job in .github/workflows needs "runs-on"`)
	}
	s.Permissions = r.permissions(k.get("permissions"))
	s.Env = r.env(k.get("env"), in.at(expr.JobEnv))
	s.Concurrency = r.concurrency(k.get("concurrency"), in.at(expr.JobConcurrency))
	if n := k.get("container"); n != nil {
		s.Container = r.container(n, in)
	}
	if n := k.get("timeout-minutes"); n != nil {
		s.TimeoutMinutes, s.TimeoutExpr = r.minutes(n, in.at(expr.JobTimeout))
	}
	if n := k.get("continue-on-error"); n != nil {
		s.ContinueOnError = r.booleanOrExpression(n, "continue-on-error", in.at(expr.JobContinueOnError))
	}
	defaults = r.defaults(k.get("defaults"), defaults, in.at(expr.JobDefaults))
	if n := k.get("steps"); n != nil {
		s.Steps = r.steps(n, in, defaults)
	}
	in.steps = j.stepIDs
	place := in.at(expr.JobOutputs)
	if k.get("await") != nil {
		s.Await = r.await(j, in)
		place = in.awaited(!j.approval)
	}
	if n := k.get("outputs"); n != nil {
		s.Outputs = r.variables(n, "outputs", place, wrongID)
	}
	if n := k.get("name"); n != nil {
		if t := r.template(n, "name", in.at(expr.JobName)); t != nil {
			s.Name = *t
		}
	} else {
		s.Name = expression.Text(j.id)
	}
	r.own(k).apply(s)
}

func (r *reader) runsOn(n *yaml.Node, s scope) []expression.Template {
	var labels []expression.Template
	add := func(items ...*yaml.Node) {
		for _, item := range items {
			if t := r.template(item, "a label of runs-on", s); t != nil {
				labels = append(labels, *t)
			}
		}
	}
	if n.Kind != yaml.MappingNode {
		add(r.oneOrList(n, "runs-on")...)
		return labels
	}
	k := r.keyed(n, language.RunsOn)
	if v := k.get("labels"); v != nil {
		add(r.oneOrList(v, "labels")...)
	}
	if v := k.get("group"); v != nil {
		add(v)
	}
	if len(n.Content) == 0 {
		r.fail(n, "give it labels, or a group", "runs-on is empty")
	}
	return labels
}

// unfolded gives the jobs of all combinations.
func (j *job) unfolded() []pipeline.JobSpec {
	if !j.hasMatrix {
		s := j.spec
		s.Key, s.Strategy = events.JobKey(j.id), j.strategy
		return []pipeline.JobSpec{s}
	}
	specs := make([]pipeline.JobSpec, len(j.combinations))
	for i, c := range j.combinations {
		s := j.spec
		s.Key = events.JobKey(j.id + "." + strconv.Itoa(i))
		s.Matrix = c.values
		strategy := *j.strategy
		strategy.Index, strategy.Total = i, len(j.combinations)
		s.Strategy = &strategy
		// As in Actions, a name without expressions tells the values too.
		if name, literal := s.Name.Literal(); literal {
			s.Name = expression.Text(shortened(name + c.suffix()))
		}
		specs[i] = s
	}
	return specs
}

// shortened cuts a name as Actions does.
func shortened(name string) string {
	const most = 100
	if r := []rune(name); len(r) > most {
		return string(r[:most-3]) + "..."
	}
	return name
}
