package expr_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/workflow/expr"
)

// scopes are all places with what GitHub's table of context availability says
// of them, in short: +status and +files for the functions.
var scopes = map[string]struct {
	scope expr.Scope
	want  string
}{
	"run-name":               {expr.RunName, "github inputs vars"},
	"env":                    {expr.WorkflowEnv, "github inputs secrets vars"},
	"concurrency":            {expr.WorkflowConcurrency, "github inputs vars"},
	"inputs' default":        {expr.InputDefault, "github inputs vars"},
	"job's if":               {expr.JobIf, "github inputs needs vars +status"},
	"job's name":             {expr.JobName, "github inputs matrix needs strategy vars"},
	"job's env":              {expr.JobEnv, "github inputs matrix needs secrets strategy vars"},
	"runs-on":                {expr.JobRunsOn, "github inputs matrix needs strategy vars"},
	"strategy":               {expr.JobStrategy, "github inputs needs vars"},
	"job's concurrency":      {expr.JobConcurrency, "github inputs matrix needs strategy vars"},
	"job's continue":         {expr.JobContinueOnError, "github inputs matrix needs strategy vars"},
	"job's timeout":          {expr.JobTimeout, "github inputs matrix needs strategy vars"},
	"container":              {expr.JobContainer, "github inputs matrix needs strategy vars"},
	"container's env":        {expr.JobContainerEnv, "env github inputs job matrix needs runner secrets strategy vars"},
	"container's credential": {expr.ContainerCredentials, "env github inputs matrix needs secrets strategy vars"},
	"services":               {expr.JobServices, "github inputs matrix needs strategy vars"},
	"defaults":               {expr.JobDefaults, "env github inputs matrix needs strategy vars"},
	"environment":            {expr.JobEnvironment, "github inputs matrix needs strategy vars"},
	"environment's url":      {expr.JobEnvironmentURL, "env github inputs job matrix needs runner steps strategy vars"},
	"outputs":                {expr.JobOutputs, "env github inputs job matrix needs runner secrets steps strategy vars"},
	"step's if":              {expr.StepIf, "env github inputs job matrix needs runner steps strategy vars +status +files"},
	"step":                   {expr.Step, "env github inputs job matrix needs runner secrets steps strategy vars +files"},
}

func TestScopes(t *testing.T) {
	for name, c := range scopes {
		want := strings.Fields(c.want)
		status, files := slices.Contains(want, "+status"), slices.Contains(want, "+files")
		for _, context := range []string{"env", "github", "inputs", "job", "jobs", "matrix", "needs", "relevo", "runner", "secrets", "steps", "strategy", "vars"} {
			_, faults := c.scope.Compile(context + ".x")
			available := slices.Contains(want, context) || context == "relevo"
			if available != (len(faults) == 0) {
				t.Errorf("%s: %s available is %v, but %v", name, context, available, faults)
			}
		}
		for call, available := range map[string]bool{
			"success()": status, "failure()": status, "CANCELLED()": status, "always()": status,
			"hashFiles('*')": files, "contains('', '')": true, "case(true, 1, 2)": true,
		} {
			if _, faults := c.scope.Compile(call); available != (len(faults) == 0) {
				t.Errorf("%s: %s available is %v, but %v", name, call, available, faults)
			}
		}
	}
}

func TestScopeErrors(t *testing.T) {
	_, faults := expr.JobIf.CompileCondition("${{ steps.a.outcome == 'x' ||\n  hashFiles(githb.ref) == always() || exec(1) }}")
	want := []string{
		`expr: 1:5: context "steps" is not available here; available: event, github, inputs, needs, relevo, vars`,
		`expr: 2:3: function "hashFiles" is not available here, only in steps`,
		`expr: 2:13: unknown context "githb" (did you mean "github"?); available: event, github, inputs, needs, relevo, vars`,
		`expr: 2:39: unknown function "exec"`,
	}
	if len(faults) != len(want) {
		t.Fatal(faults)
	}
	for i := range want {
		if faults[i].Error() != want[i] {
			t.Errorf("got  %v\nwant %s", faults[i], want[i])
		}
	}

	_, faults = expr.Step.CompileTemplate("make ${{ env.A }}\nécho ${{ always() }}")
	if len(faults) != 1 || faults[0].Error() != `expr: 2:10: function "always" is not available here, only in conditions (if)` || faults[0].Offset != 28 {
		t.Errorf("%v", faults)
	}
	_, faults = expr.Scope{}.Compile("matrix.os")
	if len(faults) != 1 || faults[0].Message != `context "matrix" is not available here; no context is` {
		t.Errorf("%v", faults)
	}
}

func TestCheck(t *testing.T) {
	n, fault := expr.Compile("success() && env.A == secrets.B")
	if fault != nil {
		t.Fatal(fault)
	}
	if faults := expr.Check(n, expr.StepIf); len(faults) != 1 || !strings.HasPrefix(faults[0].Error(), `expr: 1:1: context "secrets" is not available`) {
		t.Errorf("%v", faults)
	}
	if faults := expr.Check(n, expr.Scope{Contexts: []string{"env", "secrets"}, Functions: []string{"success"}}); len(faults) > 0 {
		t.Errorf("%v", faults)
	}
	if faults := expr.Check(nil, expr.JobIf); len(faults) > 0 {
		t.Errorf("no condition: %v", faults)
	}
	broken := &expression.Node{Op: expression.Call, Name: "tojson"}
	if faults := expr.Check(broken, expr.JobIf); len(faults) != 1 || faults[0].Message != "toJSON takes 1 argument, not 0" {
		t.Errorf("%v", faults)
	}
}
