package pipeline_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

func reads(path ...string) expression.Template {
	n := &expression.Node{Op: expression.Var, Name: path[0]}
	for _, p := range path[1:] {
		n = &expression.Node{Op: expression.Prop, Name: p, Args: []*expression.Node{n}}
	}
	return expression.Template{Parts: []expression.Part{{Expr: n}}}
}

func vars(t expression.Template) []pipeline.EnvVar { return []pipeline.EnvVar{{Name: "X", Value: t}} }

// TestWants puts an expression at every place that a worker evaluates.
func TestWants(t *testing.T) {
	secret := reads("secrets", "Key")
	index := func(key *expression.Node) expression.Template {
		return expression.Template{Parts: []expression.Part{{Text: "a"}, {Expr: &expression.Node{
			Op: expression.Index, Args: []*expression.Node{{Op: expression.Var, Name: "secrets"}, key},
		}}}}
	}
	step := func(s pipeline.StepSpec) func(*pipeline.Spec) {
		return func(spec *pipeline.Spec) { spec.Jobs[0].Steps = append(spec.Jobs[0].Steps, s) }
	}
	for name, c := range map[string]struct {
		put  func(*pipeline.Spec)
		want string // secrets; * all; git
	}{
		"nothing":         {func(*pipeline.Spec) {}, ""},
		"file's env":      {func(s *pipeline.Spec) { s.Env = vars(secret) }, "key"},
		"job's env":       {func(s *pipeline.Spec) { s.Jobs[0].Env = vars(secret) }, "key"},
		"another job":     {func(s *pipeline.Spec) { s.Jobs[1].Env = vars(secret) }, ""},
		"outputs":         {func(s *pipeline.Spec) { s.Jobs[0].Outputs = vars(secret) }, "key"},
		"job's time":      {func(s *pipeline.Spec) { s.Jobs[0].TimeoutExpr = &secret }, "key"},
		"container":       {func(s *pipeline.Spec) { s.Jobs[0].Container = &pipeline.Container{Env: vars(secret)} }, "key"},
		"if":              {step(pipeline.StepSpec{If: secret.Parts[0].Expr}), "key"},
		"step's env":      {step(pipeline.StepSpec{Env: vars(secret)}), "key"},
		"name":            {step(pipeline.StepSpec{Name: &secret}), "key"},
		"run":             {step(pipeline.StepSpec{Run: secret}), "key"},
		"folder":          {step(pipeline.StepSpec{WorkingDirectory: &secret}), "key"},
		"step's time":     {step(pipeline.StepSpec{TimeoutExpr: &secret}), "key"},
		"tolerance":       {step(pipeline.StepSpec{ContinueOnError: &secret}), "key"},
		"checkout":        {step(pipeline.StepSpec{Checkout: &pipeline.Checkout{Ref: &secret}}), "key git"},
		"event's type":    {step(pipeline.StepSpec{Emit: &pipeline.Emit{Type: secret}}), "key"},
		"event's subject": {step(pipeline.StepSpec{Emit: &pipeline.Emit{Subject: &secret}}), "key"},
		"event's data": {step(pipeline.StepSpec{Emit: &pipeline.Emit{Data: &pipeline.Content{Kind: pipeline.ContentObject, Fields: []pipeline.ContentField{
			{Name: "a", Value: pipeline.Content{Kind: pipeline.ContentList, List: []pipeline.Content{{Kind: pipeline.ContentText, Text: &secret}}}},
		}}}}), "key"},
		"by index":    {step(pipeline.StepSpec{Run: index(&expression.Node{Op: expression.Lit, Value: "Key"})}), "key"},
		"by another":  {step(pipeline.StepSpec{Run: index(&expression.Node{Op: expression.Prop, Name: "n", Args: []*expression.Node{{Op: expression.Var, Name: "matrix"}}})}), "*"},
		"in one":      {step(pipeline.StepSpec{Run: index(reads("secrets", "other").Parts[0].Expr)}), "* other"},
		"deeper":      {step(pipeline.StepSpec{Run: reads("secrets", "key", "x")}), "key"},
		"all":         {step(pipeline.StepSpec{Run: reads("secrets")}), "*"},
		"the token":   {step(pipeline.StepSpec{Run: reads("github", "token")}), "github_token"},
		"not a token": {step(pipeline.StepSpec{Run: reads("github", "sha")}), ""},
	} {
		spec := pipeline.Spec{Jobs: []pipeline.JobSpec{{Key: "a"}, {Key: "b"}}}
		c.put(&spec)
		w := spec.Wants("a")
		got := slices.Sorted(maps.Keys(w.Secrets))
		if w.All {
			got = append([]string{"*"}, got...)
		}
		if w.Git {
			got = append(got, "git")
		}
		if strings.Join(got, " ") != c.want || w.Any() != (c.want != "") {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
}

func TestWantsNamesWithoutCase(t *testing.T) {
	w := pipeline.Wants{Secrets: map[string]bool{"key": true}}
	if !w.Secret("KEY") || !w.Secret("key") || w.Secret("other") || !(pipeline.Wants{All: true}).Secret("other") {
		t.Error("names of secrets differ in more than capitals")
	}
}

// TestContent: values keep their types, through JSON too.
func TestContent(t *testing.T) {
	env := &expression.Env{Contexts: map[string]any{"github": map[string]any{"n": 3.0, "o": map[string]any{"x": []any{true}}, "s": "text"}}}
	n, o, s := reads("github", "n"), reads("github", "o"), reads("github", "s")
	both := expression.Template{Parts: append([]expression.Part{{Text: "a "}}, s.Parts...)}
	made := pipeline.Content{Kind: pipeline.ContentObject, Fields: []pipeline.ContentField{
		{Name: "n", Value: pipeline.Content{Kind: pipeline.ContentText, Text: &n}},
		{Name: "o", Value: pipeline.Content{Kind: pipeline.ContentText, Text: &o}},
		{Name: "s", Value: pipeline.Content{Kind: pipeline.ContentText, Text: &both}},
		{Name: "f", Value: pipeline.Content{Kind: pipeline.ContentValue, Value: false}},
		{Name: "z", Value: pipeline.Content{Kind: pipeline.ContentValue}},
		{Name: "l", Value: pipeline.Content{Kind: pipeline.ContentList}},
		{Name: "e", Value: pipeline.Content{Kind: pipeline.ContentObject}},
	}}
	raw, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	var c pipeline.Content
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	v, err := c.Eval(env, 6)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := json.Marshal(v); string(got) != `{"e":{},"f":false,"l":[],"n":3,"o":{"x":[true]},"s":"a text","z":null}` {
		t.Errorf("%s", got)
	}
	if _, err := c.Eval(env, 5); err == nil {
		t.Error("six bytes are taken for five")
	}
}
