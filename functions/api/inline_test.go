package api

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/workflow"
)

// Whatever JSON a job is made of, the front end reads what was said.
func FuzzInline(f *testing.F) {
	for _, s := range []string{"x", "a\u2028b\u0085", "\"\\", "\x01\x1f\x7f", "𝄞 $", "\ufeff\uffff", "- : #", "a/b\n\n", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, "${{") || strings.ContainsRune(s, 0) || len(s) > 10_000 {
			return // an expression, or refused by rights
		}
		env, err := json.Marshal(map[string]string{"A": s})
		if err != nil {
			t.Fatal(err)
		}
		source, _, err := inline(client.JobSubmission{Run: "true", Env: env})
		if err != nil {
			t.Fatal(err)
		}
		spec, errs := workflow.Parse(inlineFile, source, workflow.Options{})
		if len(errs) > 0 {
			t.Fatalf("%s\n%v", source, errs)
		}
		if v, err := spec.Jobs[0].Env[0].Value.Eval(nil); err != nil || v != string([]rune(s)) {
			t.Errorf("%q is read as %q, %v", s, v, err)
		}
	})
}

// Every part of any JSON has a place, and a position within it is found.
func FuzzInlinePlaces(f *testing.F) {
	f.Add(`[{"run": "é\n"}, {"uses": [1, null, true, {}]}]`)
	f.Add(`"x"`)
	f.Add(`{"a": {"a": {"a": []}}}`)
	f.Fuzz(func(t *testing.T, raw string) {
		if !json.Valid([]byte(raw)) {
			return
		}
		_, ps, err := inline(client.JobSubmission{Run: "true", Steps: json.RawMessage(raw)})
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		last := place{}
		for _, p := range ps {
			if p.line < last.line || p.line == last.line && p.column < last.column {
				t.Errorf("%s: %+v comes after %+v", raw, p, last)
			}
			last = p
			at := ps.of(workflow.Error{Line: p.line, Column: p.column})
			if !slices.ContainsFunc(ps, func(o place) bool { return o.path == at && o.line == p.line && o.column == p.column }) {
				t.Errorf("%s: %+v is found as %s", raw, p, at)
			}
		}
		if at := ps.of(workflow.Error{Line: 1, Column: 1}); at != "body" {
			t.Errorf("before all of it is %s", at)
		}
	})
}
