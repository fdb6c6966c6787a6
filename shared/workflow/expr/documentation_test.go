package expr_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/workflow/expr"
)

const documented = `{
	"github": {
		"ref": "refs/heads/main", "event_name": "push", "run_id": "1658821493", "Actor": "Mona",
		"event": {"issue": {"labels": [{"name": "bug"}, {"name": "help wanted"}]}}
	},
	"job": {"status": "success"},
	"env": {"continue": "true", "time": "3", "DEPLOY": ""},
	"needs": {"job1": {"outputs": {"matrix": "{\"include\":[{\"project\":\"foo\",\"config\":\"Debug\"},{\"project\":\"bar\",\"config\":\"Release\"}]}"}}},
	"fruits": [
		{"name": "apple", "quantity": 1}, {"name": "orange", "quantity": 2}, {"name": "pear", "quantity": 1}
	],
	"vegetables": {
		"scallions": {"colors": ["green", "white", "red"], "ediblePortions": ["roots", "stalks"]},
		"beets": {"colors": ["purple", "red"], "ediblePortions": ["roots", "stems", "leaves"]},
		"artichokes": {"colors": ["green", "purple"], "ediblePortions": ["hearts", "stems"]}
	}
}`

func documentedEnv(t *testing.T) *expression.Env {
	t.Helper()
	env := &expression.Env{HashFiles: func([]string) (string, error) { return "5f3a", nil }}
	if err := json.Unmarshal([]byte(documented), &env.Contexts); err != nil {
		t.Fatal(err)
	}
	return env
}

// An example is an expression and its value as JSON; empty: it does not compile.
type example struct{ src, want string }

// documentation has the examples and rules of GitHub's page "Evaluate
// expressions in workflows and actions", in its order.
var documentation = []struct {
	chapter  string
	examples []example
}{
	{"literals", []example{
		{"null", `null`},
		{"false", `false`},
		{"711", `711`},
		{"-9.2", `-9.2`},
		{"0xff", `255`},
		{"-2.99e-2", `-0.0299`},
		{"5368709120", `5368709120`},
		{"'Mona the Octocat'", `"Mona the Octocat"`},
		{"'It''s open source!'", `"It's open source!"`},
		{"''", `""`},
		{"''''", `"'"`},
	}},
	{"operators", []example{
		// From the tightest to the loosest.
		{"!true == false", `true`},
		{"!(true == true)", `false`},
		{"!!'x'", `true`},
		{"1 < 2 == true", `true`},
		{"2 == 2 == 1", `true`}, // from the left: true == 1
		{"2 == (2 == 1)", `false`},
		{"3 < 2 < 1", `true`}, // false < 1
		{"3 > 2 >= 1", `true`},
		{"true || true && false", `true`},
		{"(true || true) && false", `false`},
		{"1 == 1 && 2", `2`},
		{"null || 0 || 'x' || 'y'", `"x"`},
		{"1 && 'a' && ''", `""`},
		{"github.event_name == 'push' && 'yes' || 'no'", `"yes"`},
		{"github['event_name']", `"push"`},
		{"github.event.issue.labels[1].name", `"help wanted"`},
		{"(github).ref", `"refs/heads/main"`},
		{"fromJSON('[7,8]')[1]", `8`},
		{"github.nothing.at.all", `null`},
		{"github.event.issue.labels[7].name", `null`},
	}},
	{"loose equality", []example{
		{"null == 0", `true`},
		{"true == 1", `true`},
		{"false == 0", `true`},
		{"'' == 0", `true`},
		{"'0x10' == 16", `true`},
		{"' 12 ' == 12", `true`},
		{"'twelve' == 12", `false`},
		{"'true' == true", `false`},
		{"github == 1", `false`},
		{"github.event == github.event", `true`},
		{"fromJSON('{}') == fromJSON('{}')", `false`},
		{"'MONA' == github.actor", `true`},
		{"fromJSON('NaN' && '1') > 'b'", `false`},
	}},
	{"functions", []example{
		{"contains('Hello world', 'llo')", `true`},
		{"contains('Hello world', 'LLO')", `true`},
		{"contains(github.event.issue.labels.*.name, 'bug')", `true`},
		{"contains(github.event.issue.labels.*.name, 'bu')", `false`},
		{`contains(fromJSON('["push", "pull_request"]'), github.event_name)`, `true`},
		{"contains(github, 'ref')", `false`},
		{"startsWith('Hello world', 'He')", `true`},
		{"startswith('Hello world', 'HE')", `true`},
		{"endsWith('Hello world', 'ld')", `true`},
		{"endsWith('Hello world', 'He')", `false`},
		{"format('Hello {0} {1} {2}', 'Mona', 'the', 'Octocat')", `"Hello Mona the Octocat"`},
		{"format('{{Hello {0} {1} {2}!}}', 'Mona', 'the', 'Octocat')", `"{Hello Mona the Octocat!}"`},
		{"format('{0}{0} {{{0}}} {1}', 1, github)", `"11 {1} Object"`},
		{"join(github.event.issue.labels.*.name, ', ')", `"bug, help wanted"`},
		{"join(github.event.issue.labels.*.name)", `"bug,help wanted"`},
		{"join('one', '+')", `"one"`},
		{"join(github)", `""`},
		{"join(fromJSON('[null, true, 1.5, \"a\", [], {}]'), github)", `",true,1.5,a,Array,Object"`},
		{"toJSON(job)", `"{\n  \"status\": \"success\"\n}"`},
		{"toJSON(fromJSON('[[], {}, \"<\\u2028>\"]'))", `"[\n  [],\n  {},\n  \"<\\u2028>\"\n]"`},
		{"toJSON(-0)", `"0"`},
		{"fromJSON(needs.job1.outputs.matrix).include[1].config", `"Release"`},
		{"fromJSON(env.continue)", `true`},
		{"fromJSON(env.time) + 0 == 3", ``},
		{"fromJSON(env.time) == 3", `true`},
		{"hashFiles('**/package-lock.json')", `"5f3a"`},
		{"case(github.ref == 'refs/heads/main', 'production', github.ref == 'refs/heads/staging', 'staging', 'development')", `"production"`},
		{"case(env.deploy == 'x', 1, 2)", `2`},
	}},
	{"object filters", []example{
		{"fruits.*.name", `["apple", "orange", "pear"]`},
		{"fruits[*].name", `["apple", "orange", "pear"]`},
		{"vegetables.*.ediblePortions", `[["hearts", "stems"], ["roots", "stems", "leaves"], ["roots", "stalks"]]`},
		{"vegetables.*.colors[0]", `["green", "purple", "green"]`},
		{"fruits.*.none", `[]`},
		{"fruits.*.none == fruits.*.none", `false`},
		{"fruits.*.name == fruits.*.name", `false`},
		{"fruits == fruits", `true`},
	}},
}

func TestDocumentation(t *testing.T) {
	env := documentedEnv(t)
	for _, chapter := range documentation {
		for _, c := range chapter.examples {
			t.Run(chapter.chapter, func(t *testing.T) { c.test(t, env) })
		}
	}
}

func (c example) test(t *testing.T, env *expression.Env) {
	n, fault := expr.Compile(c.src)
	if (fault == nil) != (c.want != "") {
		t.Fatalf("%s: %v", c.src, fault)
	}
	if fault != nil {
		return
	}
	var want any
	if err := json.Unmarshal([]byte(c.want), &want); err != nil {
		t.Fatal(c.want, err)
	}
	if got, err := expression.Eval(n, env); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s = %#v, %v; want %s", c.src, got, err, c.want)
	}
}

// TestDocumentedConditions follows "Status check functions" of the same page.
func TestDocumentedConditions(t *testing.T) {
	for _, c := range []struct {
		src  string
		want [3]bool // after success, failure, cancellation
	}{
		{"", [3]bool{true, false, false}},
		{" \n", [3]bool{true, false, false}},
		{"success()", [3]bool{true, false, false}},
		{"${{ always() }}", [3]bool{true, true, true}},
		{"${{ cancelled() }}", [3]bool{false, false, true}},
		{"${{ !cancelled() }}", [3]bool{true, true, false}},
		{"failure()", [3]bool{false, true, false}},
		{"${{ failure() && github.event_name == 'push' }}", [3]bool{false, true, false}},
		{"github.event_name == 'push'", [3]bool{true, false, false}},
		{" ${{ github.event_name == 'push' }} ", [3]bool{true, false, false}},
		{"true || false", [3]bool{true, false, false}},
		{"${{ 'false' }}", [3]bool{true, false, false}},
		{"success() || failure()", [3]bool{true, true, false}},
	} {
		n, fault := expr.CompileCondition(c.src)
		if fault != nil {
			t.Errorf("%q: %v", c.src, fault)
			continue
		}
		env := documentedEnv(t)
		for i, status := range []expression.Status{expression.Success, expression.Failure, expression.Cancelled} {
			env.Status = status
			if got, err := expression.Condition(n, env); err != nil || got != c.want[i] {
				t.Errorf("%q after %s: %v, %v", c.src, status, got, err)
			}
		}
	}
}
