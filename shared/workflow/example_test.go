package workflow_test

import (
	"fmt"

	"github.com/relevo-ci/relevo/shared/workflow"
)

func ExampleParse() {
	spec, errs := workflow.Parse(".relevo/build.yaml", []byte(`
jobs:
  test:
    strategy:
      matrix: {os: [linux, darwin]}
    steps: [{run: go test ./...}]
`), workflow.Options{})
	if errs != nil {
		fmt.Println(errs)
		return
	}
	for _, j := range spec.Jobs {
		name, _ := j.Name.Literal()
		fmt.Println(j.Key, "-", name)
	}
	// Output:
	// test.0 - test (linux)
	// test.1 - test (darwin)
}

func ExampleParse_errors() {
	_, errs := workflow.Parse(".relevo/build.yaml", []byte(`
jobs:
  test:
    need: build
    steps: [{run: "echo ${{ github.shaa }}"}]
`), workflow.Options{})
	fmt.Println(errs)
	// Output:
	// .relevo/build.yaml:4:5: unknown key "need" in a job (did you mean "needs"?)
	// .relevo/build.yaml:5:36: github has no property "shaa" (did you mean "sha"?)
}
