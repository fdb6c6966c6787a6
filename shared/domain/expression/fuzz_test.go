package expression_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/relevo-ci/relevo/shared/domain/expression"
)

// FuzzTemplateJSON reads any bytes as a template: what is accepted is written
// and read again the same.
func FuzzTemplateJSON(f *testing.F) {
	f.Add([]byte(`"text"`))
	f.Add([]byte(`["a",{"op":"and","args":[{"op":"var","name":"env"},{"op":"lit","value":1e3}]},"b"]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var first, second Template
		if json.Unmarshal(data, &first) != nil {
			return
		}
		written, err := json.Marshal(first)
		if err != nil {
			t.Fatalf("%s was read but is not written: %v", data, err)
		}
		if err := json.Unmarshal(written, &second); err != nil {
			t.Fatalf("%s was written as %s: %v", data, written, err)
		}
		if again, err := json.Marshal(second); err != nil || string(again) != string(written) {
			t.Fatalf("%s was read and written as %s, %v", written, again, err)
		}
		if !reflect.DeepEqual(first.Contexts(), second.Contexts()) {
			t.Fatalf("%s reads other contexts than %s", data, written)
		}
	})
}

// FuzzEval evaluates any tree in any contexts: a value of a known type or an
// error, and twice the same.
func FuzzEval(f *testing.F) {
	f.Add(`{"op":"prop","name":"a","args":[{"op":"star","args":[{"op":"var","name":"x"}]}]}`, `{"x":[{"a":1},{"A":[]}]}`)
	f.Add(`{"op":"call","name":"format","args":[{"op":"lit","value":"{0}{{"},{"op":"lit","value":2}]}`, `{}`)
	f.Fuzz(func(t *testing.T, tree, contexts string) {
		env := &expression.Env{Status: expression.Failure}
		var n Node
		if json.Unmarshal([]byte(tree), &n) != nil || json.Unmarshal([]byte(contexts), &env.Contexts) != nil {
			return
		}
		first, err := expression.Eval(&n, env)
		if errors.Is(err, expression.ErrMalformed) {
			t.Fatalf("%s was read, but %v", tree, err)
		}
		second, again := expression.Eval(&n, env)
		if !reflect.DeepEqual(first, second) || (err == nil) != (again == nil) {
			t.Fatalf("%s in %s gave %#v (%v), then %#v (%v)", tree, contexts, first, err, second, again)
		}
		if err == nil {
			if _, err := json.Marshal(first); err != nil {
				t.Fatalf("%s gave %#v: %v", tree, first, err)
			}
			if s := expression.String(first); len(s) > expression.MaxText+len(tree)+len(contexts) {
				t.Fatalf("%s gave %d bytes", tree, len(s))
			}
		}
		if _, cond := expression.Condition(&n, env); err == nil && cond != nil {
			t.Fatalf("%s is a value, but no condition: %v", tree, cond)
		}
	})
}
