package expr

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"unicode/utf8"

	"github.com/relevo-ci/relevo/shared/domain/expression"
)

// FuzzCompile compiles any text: errors stand within it, what compiles goes
// through JSON unchanged and evaluates, and actionlint's parser agrees.
func FuzzCompile(f *testing.F) {
	f.Add("github.ref == 'refs/heads/main' && !cancelled()")
	f.Add("a ${{ fromJSON(env.X)[0].*.y || format('{0}', 1e3) }} b ${{ '}}' }}")
	f.Add("${{ always() }}")
	f.Fuzz(func(t *testing.T, src string) {
		if utf8.ValidString(src) {
			if problem := disagreement(src); problem != "" {
				t.Fatal(problem)
			}
		}
		n, err := Compile(src)
		within(t, src, err)
		if n != nil {
			through(t, expression.Template{Parts: []expression.Part{{Expr: n}}})
		}
		_, err = CompileCondition(src)
		within(t, src, err)
		tmpl, errs := Step.CompileTemplate(src)
		within(t, src, errs...)
		if len(errs) == 0 {
			through(t, tmpl)
		}
	})
}

func within(t *testing.T, src string, errs ...*Error) {
	t.Helper()
	for _, e := range errs {
		if e != nil && (e.Offset < 0 || e.Offset > len(src) || e.Line < 1 || e.Column < 1 || e.Message == "") {
			t.Fatalf("%q: error %+v", src, e)
		}
	}
}

func through(t *testing.T, before expression.Template) {
	t.Helper()
	data, err := json.Marshal(before)
	if err != nil {
		t.Fatal(err)
	}
	var after expression.Template
	if err := json.Unmarshal(data, &after); err != nil || !reflect.DeepEqual(before, after) {
		t.Fatalf("%s: %v", data, err)
	}
	env := &expression.Env{Contexts: map[string]any{"env": map[string]any{"X": "[[1]]"}}}
	if _, err := after.Eval(env); errors.Is(err, expression.ErrMalformed) {
		t.Fatalf("%s: %v", data, err)
	}
}
