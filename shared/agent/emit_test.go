package agent_test

import (
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

func text(parts ...any) pipeline.Content {
	return pipeline.Content{Kind: pipeline.ContentText, Text: ptr(template(parts...))}
}

func object(fields ...any) *pipeline.Content {
	c := pipeline.Content{Kind: pipeline.ContentObject}
	for i := 0; i < len(fields); i += 2 {
		c.Fields = append(c.Fields, pipeline.ContentField{Name: fields[i].(string), Value: fields[i+1].(pipeline.Content)})
	}
	return &c
}

func emitting(typ string, data *pipeline.Content) pipeline.StepSpec {
	return pipeline.StepSpec{Emit: &pipeline.Emit{Type: expression.Text(typ), Subject: ptr(template("v", at("matrix", "go"))), Data: data}}
}

// TestEmit: values are those of the step's place, of their types; the report has
// each event once, numbered.
func TestEmit(t *testing.T) {
	first := sh(`echo "digest=sha256:abc" >> "$GITHUB_OUTPUT"`)
	first.ID = "build"
	never := emitting("never", nil)
	never.If = &expression.Node{Op: expression.Lit, Value: false}
	w := newWorker(t, newPlane(t), first,
		emitting("com.example.built", object(
			"digest", text(at("steps", "build", "outputs", "digest")), "size", text(at("github", "event", "size")),
			"all", pipeline.Content{Kind: pipeline.ContentList, List: []pipeline.Content{text("a ", at("matrix", "go")), {Kind: pipeline.ContentValue, Value: false}, {Kind: pipeline.ContentValue}}},
			"none", pipeline.Content{Kind: pipeline.ContentList}, "needs", text(at("needs", "first", "outputs")))),
		never, emitting("com.example.done", nil))
	w.start().ending(events.Succeeded)
	var got []string
	for _, s := range w.plane.steps {
		if e := s.Emitted; e != nil {
			got = append(got, strings.Join([]string{e.Type, e.Subject, string(e.Data)}, " "))
			if e.Index != len(got) || s.Result == nil || s.Result.Exit != 0 {
				t.Errorf("event %d: %+v of %+v", len(got), e, s.Result)
			}
		}
	}
	want := `com.example.built v1.26 {"all":["a 1.26",false,null],"digest":"sha256:abc","needs":{"version":"1.2"},"none":[],"size":3}|com.example.done v1.26 `
	if strings.Join(got, "|") != want {
		t.Errorf("emitted\n%s, want\n%s", strings.Join(got, "|"), want)
	}
	if log := w.plane.log(); !strings.Contains(log, "==> Emit an event\n==> emitted com.example.built v1.26\n") {
		t.Error(log)
	}
}

// TestEmitRefuses what is not the user's to emit, is too large, or would show a
// secret; the step fails, and says why.
func TestEmitRefuses(t *testing.T) {
	long := strings.Repeat("x", 40<<10)
	for name, c := range map[string]struct {
		typ  string
		data *pipeline.Content
		want string
	}{
		"ours":      {"dev.relevo.pipeline.run.completed.v1", nil, "types that begin with dev.relevo. are not yours to emit"},
		"CDEvents'": {"Dev.CDEvents.service.deployed.0.1.0", nil, "is no CDEvent that a step emits"},
		"empty":     {"", nil, "the type is empty"},
		"too large": {"a.b", object("a", text(long), "b", text(long)), "data: b: it is too large"},
		"encoded":   {"a.b", object("a", text(strings.Repeat("\x01", 20<<10))), "the data has 122888 bytes, at most 61440"},
		"a secret":  {"a.b", object("a", text("x", at("secrets", "KEY"))), "the event's data may hold a secret"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlane(t)
			p.secrets = map[string]string{"KEY": "hunter2-secret"}
			w := newWorker(t, p, emitting(c.typ, c.data))
			w.launch.HasSecrets = true
			e := w.start().ending(events.Failed)
			if !strings.Contains(e.Reason, c.want) || strings.Contains(e.Reason, "hunter2") {
				t.Errorf("%s, want %s", e.Reason, c.want)
			}
			for _, s := range p.steps {
				if s.Emitted != nil {
					t.Errorf("it was emitted: %+v", s.Emitted)
				}
			}
		})
	}
}

// TestForksEmitNothing: the log says so.
func TestForksEmitNothing(t *testing.T) {
	w := newWorker(t, newPlane(t), emitting("a.b", nil))
	w.launch.Untrusted = true
	w.start().ending(events.Succeeded)
	if last := w.plane.steps[len(w.plane.steps)-1]; last.Emitted != nil || !strings.Contains(w.plane.log(), "==> not emitted: ") {
		t.Errorf("%+v; %s", last, w.plane.log())
	}
}
