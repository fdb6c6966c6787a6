package pipeline_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

func awaiting(a pipeline.Await, needs ...string) pipeline.JobSpec {
	return pipeline.JobSpec{ID: "gate", Await: &a, Needs: needs}
}

const deployed = `{"specversion":"1.0","id":"7","source":"/shop","type":"com.example.deployed","subject":"prod","stage":"blue","data":{"ok":true,"n":3}}`

// matched is what comes for the gate.
func (d *desk) matched(m events.AwaitMatched) []string {
	m.JobRef = events.JobRef{Run: "R", Job: "gate"}
	return d.do(func(em *events.Emitter) { d.run.Match(em, m) })
}

func TestAwaitedEventEndsTheJob(t *testing.T) {
	spec := awaiting(pipeline.Await{Type: "com.example.deployed"})
	spec.Outputs = []pipeline.EnvVar{
		{Name: "stage", Value: property("event", "stage")},
		{Name: "subject", Value: expression.Text("mine")},
	}
	d := begin(t, spec, job("after", "gate"))
	j := d.run.Job("gate")
	if d.wants("gate", pipeline.Pending); !j.Awaiting() || !strings.HasPrefix(j.Reason, "awaits the event com.example.deployed until 2030-01-04T") {
		t.Errorf("it waits with %q", j.Reason)
	}
	if emitted := d.matched(events.AwaitMatched{Event: json.RawMessage(deployed), By: "/shop"}); !slices.Equal(emitted, []string{"pipeline.job.completed", "pipeline.job.requested"}) {
		t.Errorf("the event led to %v", emitted)
	}
	d.wants("gate", pipeline.Succeeded)
	d.wants("after", pipeline.Pending)
	want := map[string]string{
		"id": "7", "source": "/shop", "type": "com.example.deployed", "subject": "mine", "time": "", "data": `{"n":3,"ok":true}`, "stage": "blue",
	}
	if got := d.run.Job("gate").Outputs; !equal(got, want) {
		t.Errorf("outputs %v, want %v", got, want)
	}
	if emitted := d.matched(events.AwaitMatched{Event: json.RawMessage(deployed)}); len(emitted) > 0 {
		t.Errorf("the event came again and led to %v", emitted)
	}
}

func property(context, name string) expression.Template {
	return expression.Template{Parts: []expression.Part{{Expr: &expression.Node{
		Op: expression.Prop, Name: name, Args: []*expression.Node{{Op: expression.Var, Name: context}},
	}}}}
}

func equal(a, b map[string]string) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

func TestApproval(t *testing.T) {
	d := begin(t, awaiting(pipeline.Await{Approval: true}), job("after", "gate"))
	if emitted := d.matched(events.AwaitMatched{Event: json.RawMessage(deployed)}); len(emitted) > 0 {
		t.Fatalf("an event counted as an approval: %v", emitted)
	}
	d.matched(events.AwaitMatched{By: "ada"})
	d.wants("gate", pipeline.Succeeded)
	if by := d.run.Job("gate").Outputs["by"]; by != "ada" {
		t.Errorf("approved by %q", by)
	}

	d = begin(t, awaiting(pipeline.Await{Approval: true}), job("after", "gate"))
	d.matched(events.AwaitMatched{By: "ada", Refused: true, Reason: "not on Fridays"})
	d.wants("gate", pipeline.Failed)
	d.wants("after", pipeline.Skipped)
	if r := d.run; r.Reason != "gate: refused by ada: not on Fridays" || r.Verdict != events.Failed {
		t.Errorf("the run is %s: %s", r.Verdict, r.Reason)
	}
	if emitted := d.matched(events.AwaitMatched{By: "eve"}); len(emitted) > 0 {
		t.Errorf("an approval after the refusal led to %v", emitted)
	}
}

func TestAwaitTimesOut(t *testing.T) {
	d := begin(t, awaiting(pipeline.Await{Type: "x", TimeoutSeconds: 3600}))
	asked := d.run.Job("gate").Asked
	for at := time.Duration(0); at < time.Hour; {
		due := d.due("gate")
		if due > time.Hour-at || due <= 0 {
			t.Fatalf("due in %s, the deadline is in %s", due, time.Hour-at)
		}
		at += due
		emitted, again := d.fire(due, "gate", at%2 == 0)
		if at == time.Hour {
			break
		}
		if len(emitted) > 0 || len(again) != 1 || again[0].ID != asked || again[0].Type != events.TypeAwaitRequested {
			t.Fatalf("told %v again, emitted %v", again, emitted)
		}
	}
	d.wants("gate", pipeline.Failed)
	if j := d.run.Job("gate"); j.Verdict != events.Timeout || j.Reason != "no event that it awaits came within 1h0m0s" {
		t.Errorf("ended as %s: %s", j.Verdict, j.Reason)
	}
	if emitted := d.matched(events.AwaitMatched{Event: json.RawMessage(deployed)}); len(emitted) > 0 {
		t.Errorf("the event after the deadline led to %v", emitted)
	}
}

// due is how long until the clock looks at a job.
func (d *desk) due(key events.JobKey) (in time.Duration) {
	d.do(func(em *events.Emitter) {
		d.run.Fire(em, "run/R/job/"+string(key), false)
		if !d.run.Job(key).State.Final() {
			in = d.run.Dues(em.Now)["run/R/job/"+string(key)].Sub(em.Now)
		}
	})
	return in
}

func TestAwaitIsCancelledAndSkippedAsOthers(t *testing.T) {
	d := begin(t, job("first"), awaiting(pipeline.Await{Type: "x"}, "first"))
	d.end(d.start("first"), events.Failed)
	d.wants("gate", pipeline.Skipped)

	d = begin(t, awaiting(pipeline.Await{Type: "x"}))
	c := events.CancelRequested{RunRef: events.RunRef{Run: "R"}, Reason: "enough"}
	e, err := events.New("c", "/relevo/api", "", d.now, c)
	if err != nil {
		t.Fatal(err)
	}
	d.do(func(em *events.Emitter) { d.run.Cancel(em, e, c) })
	d.wants("gate", pipeline.Cancelled)
	if emitted := d.matched(events.AwaitMatched{Event: json.RawMessage(deployed)}); len(emitted) > 0 {
		t.Errorf("the event after the cancel led to %v", emitted)
	}
}

// TestFilterHoldsValues holds that a value stays a string, whatever it holds.
func TestFilterHoldsValues(t *testing.T) {
	value := property("matrix", "v")
	text := func(s string) expression.Part { return expression.Part{Text: s} }
	for name, c := range map[string]struct {
		parts []expression.Part
		value string
		want  string
	}{
		"bare":             {[]expression.Part{text("subject = "), value.Parts[0]}, "x' OR TRUE OR 'a", `subject = 'x\' OR TRUE OR \'a'`},
		"quoted":           {[]expression.Part{text("subject = 'a-"), value.Parts[0], text("'")}, "'", `subject = 'a-\''`},
		"in double quotes": {[]expression.Part{text(`subject = "`), value.Parts[0], text(`" AND 'x' = '`), value.Parts[0], text("'")}, `"'`, `subject = "\"'" AND 'x' = '"\''`},
		"pattern":          {[]expression.Part{text("subject Like '%"), value.Parts[0], text("%' OR id = "), value.Parts[0]}, "50%_", `subject Like '%50\%\_%' OR id = '50%_'`},
		"bare pattern":     {[]expression.Part{text("subject LIKE "), value.Parts[0]}, "%", `subject LIKE '\%'`},
		"backslash":        {[]expression.Part{text("subject = '"), value.Parts[0], text("'")}, `\`, ""},
		"too long":         {[]expression.Part{text("subject = '"), value.Parts[0], text("'")}, strings.Repeat("x", 5000), ""},
	} {
		t.Run(name, func(t *testing.T) {
			spec := awaiting(pipeline.Await{Type: "x", Where: &expression.Template{Parts: c.parts}})
			spec.Matrix = map[string]any{"v": c.value}
			j := begin(t, spec).run.Job("gate")
			switch {
			case c.want == "" && j.State != pipeline.Failed:
				t.Errorf("it is %s, awaits %q", j.State, j.Await.Where)
			case c.want != "" && (j.Await == nil || j.Await.Where != c.want):
				t.Errorf("awaits %+v (%s), want %s", j.Await, j.Reason, c.want)
			}
		})
	}
}

func TestCloudEventIsAContext(t *testing.T) {
	req := events.RunRequested{
		RunRef: events.RunRef{Run: "R"}, Spec: json.RawMessage(`{"jobs":[{"id":"a","key":"a","name":"a","steps":[]}]}`),
		Trigger: events.Trigger{Event: pipeline.CloudEvent, Payload: json.RawMessage(deployed)},
	}
	run, err := pipeline.New(&events.Emitter{}, req, pipeline.DefaultPolicy())
	if err != nil {
		t.Fatal(err)
	}
	got, _ := run.Contexts("a")["event"].(map[string]any)
	if got["subject"] != "prod" {
		t.Errorf("event is %v", got)
	}
}
