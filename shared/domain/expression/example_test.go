package expression_test

import (
	"encoding/json"
	"fmt"

	"github.com/relevo-ci/relevo/shared/domain/expression"
)

// A step's condition and name, as a worker's agent gets and evaluates them.
func Example() {
	var step struct {
		If   *expression.Node    `json:"if"`
		Name expression.Template `json:"name"`
	}
	err := json.Unmarshal([]byte(`{
		"if":   {"op": "eq", "args": [{"op": "prop", "name": "os", "args": [{"op": "var", "name": "matrix"}]}, {"op": "lit", "value": "Linux"}]},
		"name": ["test on ", {"op": "prop", "name": "os", "args": [{"op": "var", "name": "matrix"}]}]
	}`), &step)
	if err != nil {
		fmt.Println(err)
		return
	}
	env := &expression.Env{
		Contexts: map[string]any{"matrix": expression.Strings(map[string]string{"os": "linux"})},
		Status:   expression.Success,
	}
	runs, _ := expression.Condition(step.If, env)
	name, _ := step.Name.Eval(env)
	fmt.Println(runs, name)

	env.Status = expression.Failure // a step before it failed
	runs, _ = expression.Condition(step.If, env)
	fmt.Println(runs)
	// Output:
	// true test on linux
	// false
}
