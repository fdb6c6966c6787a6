package expr_test

import (
	"encoding/json"
	"fmt"

	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/workflow/expr"
)

// A step's script is compiled when the file is read, and evaluated where the
// step runs.
func Example() {
	script, errs := expr.Step.CompileTemplate("go test ${{ matrix.race && '-race' }} ./...")
	if len(errs) > 0 {
		fmt.Println(errs)
		return
	}
	travels, _ := json.Marshal(script)
	fmt.Println(string(travels))

	text, _ := script.Eval(&expression.Env{Contexts: map[string]any{"matrix": map[string]any{"race": true}}})
	fmt.Println(text)

	_, errs = expr.JobIf.CompileCondition("${{ matrix.race }}")
	fmt.Println(errs[0])
	// Output:
	// ["go test ",{"op":"and","args":[{"op":"prop","name":"race","args":[{"op":"var","name":"matrix"}]},{"op":"lit","value":"-race"}]}," ./..."]
	// go test -race ./...
	// expr: 1:5: context "matrix" is not available here; available: event, github, inputs, needs, relevo, vars
}
