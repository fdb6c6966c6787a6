package workflow

import (
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/relevo-ci/relevo/shared/cesql"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/workflow/expr"
	"github.com/relevo-ci/relevo/shared/workflow/language"
)

// besideAwait are the keys of a job that awaits something.
var besideAwait = []string{"await", "name", "needs", "if", "outputs"}

// The outputs that such a job has without declaring them.
var (
	eventOutputs    = []string{"id", "source", "type", "subject", "time", "data"}
	approvalOutputs = []string{"by"}
)

// awaits notes in the outline what a job awaits, and its outputs.
func (r *reader) awaits(n *yaml.Node, j *job) {
	for _, f := range j.keys.fields {
		if f.name != "steps" && !slices.Contains(besideAwait, f.name) { // steps are told of already
			r.fail(f.key, "beside await stand name, needs, if and outputs", "a job that awaits something has no %s", quote(f.name))
		}
	}
	j.await = r.keyed(n, language.Await)
	outputs := eventOutputs
	if _, j.approval = j.await.fields["approval"]; j.approval {
		outputs = approvalOutputs
	}
	for _, name := range outputs {
		j.outputs[name] = true
	}
}

// await reads what a job awaits.
func (r *reader) await(j *job, in names) *pipeline.Await {
	a := &pipeline.Await{}
	k := j.await
	if n := k.get("type"); n != nil {
		a.Type = r.eventType(n)
	}
	if n := k.get("where"); n != nil {
		if j.approval {
			r.fail(n, "leave it out", "an approval is no event: it has no where")
		}
		if t := r.template(n, "where", in.at(expr.JobName)); t != nil {
			r.checkFilter(n, *t)
			a.Where = t
		}
	}
	if n := k.get("approval"); n != nil {
		if yes, ok := r.boolean(n, "approval"); ok && !yes {
			r.fail(n, "leave it out", "approval must be true")
		}
		a.Approval = true
	}
	if n := k.get("timeout"); n != nil {
		a.TimeoutSeconds = r.duration(n, "timeout", time.Second, language.MostAwait, "1 second to 30 days")
	}
	return a
}

// eventType reads the type of an event from outside.
func (r *reader) eventType(n *yaml.Node) string {
	const most = 255
	t, ok := r.word(n, "type")
	switch {
	case !ok:
	case strings.TrimSpace(t) == "" || len(t) > most:
		r.fail(n, "", "type must have 1 to %d characters", most)
	case strings.HasPrefix(t, "dev.relevo."):
		r.fail(n, "jobs wait for one another by needs", "%s is an event of Relevo's own", quote(t))
	}
	return t
}

// cloudEvent reads which events from outside start the file.
func (r *reader) cloudEvent(k keyed) pipeline.Trigger {
	t := pipeline.Trigger{Event: pipeline.CloudEvent}
	if n := k.get("type"); n != nil {
		t.Types = []string{r.eventType(n)}
	}
	if n := k.get("source"); n != nil {
		t.Source, _ = r.word(n, "source")
	}
	if n := k.get("where"); n != nil {
		if where, ok := r.word(n, "where"); ok {
			r.checkFilter(n, expression.Text(where))
			t.Where = where
		}
	}
	return t
}

// checkFilter checks a filter.
func (r *reader) checkFilter(n *yaml.Node, t expression.Template) {
	sample, err := pipeline.FilterSample(t)
	if err != nil {
		r.fail(n, "", "where cannot be read: %s", err)
		return
	}
	if _, err := cesql.Parse(sample); err != nil {
		hint := "CESQL: subject = 'prod' AND stage LIKE 'eu-%%'; it reads the attributes of the event, not its data"
		wrong := cesql.Wrong(err)
		line, column := n.Line, n.Column
		if src, ok := t.Literal(); ok && src == sample {
			line, column = r.lines.position(n, wrong.Offset)
		}
		r.add(line, column, strings.ReplaceAll(hint, "%%", "%"), "where is no expression: %s", wrong.Message)
	}
}
