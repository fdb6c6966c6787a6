package workflow_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/workflow"
)

const mib = 1 << 20

// numbered repeats a format with 0, 1, 2 …
func numbered(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

const oneJob = "jobs: {a: {steps: [{run: echo}]}}\n"

// TestLimits gives the reader files that would exhaust a careless one.
func TestLimits(t *testing.T) {
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 8 {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	chain := "a0: &a0 [x]\n" + numbered(100, "b%[1]d: &b%[1]d [x]\n")
	for i := range 100 {
		chain += fmt.Sprintf("a%d: &a%d [*a%d]\n", i+1, i+1, i)
	}
	axes := func(n int) string { return numbered(n, "m%d: [1, 2], ") }
	for _, c := range []struct{ name, src, want string }{
		{"flow nesting", strings.Repeat("[", 200_000), "f.yaml:1:10001: nested more than 64 levels deep"},
		{"flow nesting, closed", "a: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "f.yaml:1:67: nested more than 64 levels deep"},
		{"mapping nesting", strings.Repeat("{a: ", 200_000), "nested more than 64 levels deep"},
		{"list nesting", strings.Repeat("- ", 200_000), "nested more than 64 levels deep"},
		{"key nesting", strings.Repeat("? ", 200_000), "nested more than 64 levels deep"},
		{"nesting below the YAML library's own limit", strings.Repeat("[", 65) + strings.Repeat("]", 65), "f.yaml:1:65: nested more than 64 levels deep"},
		{"nesting by aliases", chain, "nested more than 64 levels deep"},
		{"alias bomb", bomb, "f.yaml:5:55: the file holds more than 100000 keys and values, aliases followed"},
		{"text bomb", "env: {a: &a " + strings.Repeat("x", mib/2) + numbered(20, ", b%d: *a") + "}\n" + oneJob, "more than 8 MiB of text"},
		{"alias of itself", "a: &a [*a]\n", "f.yaml:1:8: the alias *a stands inside of what it repeats"},
		{"many nodes", "a: [" + strings.Repeat("x,", 200_000) + "]\n", "more than 100000 keys and values"},
		{"large file", strings.Repeat("#", mib+1), "f.yaml:1:1: the file is longer than 1048576 bytes"},
		{"NUL", "a: b\nc: d\x00", "f.yaml:2:5: the file holds a NUL byte"},
		{"not UTF-8", "ä: b\nä: \xff", "f.yaml:2:4: the byte 0xff is not UTF-8"},
		{"UTF-16", "\xff\xfea\x00", "f.yaml:1:1: the byte 0xff is not UTF-8"},
		{"control character", "a: \x1b[0m", "f.yaml:1:4: the character U+001B is not allowed"},
		{"line separator", "a: b\u2028c", "f.yaml:1:5: the character U+2028 is not allowed"},
		{"parentheses", "env: {a: \"${{ " + strings.Repeat("(", 200_000) + " }}\"}\n" + oneJob, "the expression is longer than 21000 bytes"},
		{"deep expression", "env: {a: \"${{ " + strings.Repeat("(", 1000) + "1" + strings.Repeat(")", 1000) + " }}\"}\n" + oneJob, "nests deeper than"},
		{"many jobs", "jobs:\n" + numbered(1025, "  j%d: {steps: [{run: echo}]}\n"), "f.yaml:1026:3: the file has more than 1024 jobs"},
		{"many jobs by matrices", "jobs:\n" + numbered(10, "  j%d: {strategy: {matrix: {"+axes(7)[:len(axes(7))-2]+"}}, steps: [{run: echo}]}\n"), "more than 1024 jobs"},
		{"many combinations", "jobs: {a: {strategy: {matrix: {" + axes(40) + "}}, steps: [{run: echo}]}}\n", "f.yaml:1:31: the matrix has more than 256 combinations"},
		{"many lists of one", "jobs: {a: {strategy: {matrix: {" + numbered(10_000, "m%d: [1], ") + "}}, steps: [{run: echo}]}}\n", "the matrix has more than 64 lists"},
		{"many includes", "jobs: {a: {strategy: {matrix: {" + axes(8) + "include: [" + numbered(10_000, "{x: %d}, ") + "]}}, steps: [{run: echo}]}}\n", "the matrices of this file are too large"},
		{"long job, many combinations", "jobs: {a: {strategy: {matrix: {" + axes(8) + "}}, steps: [{run: " + strings.Repeat("x", 100_000) + "}]}}\n", "the jobs are too long, matrices unfolded"},
		{"many errors", numbered(40_000, "k%d: 1\n"), "and many more errors below"},
		{"some errors", numbered(150, "k%d: 1\n") + oneJob, "f.yaml:100:1: and 50 more errors below"},
		{"errors in one expression", "run-name: ${{ " + strings.Repeat("inputs.x || ", 1500) + "1 }}\n" + oneJob, `f.yaml:1:11: there is no input "x"`},
		{"many expressions", "run-name: " + strings.Repeat("${{ inputs.x }}", 50_000) + "\n" + oneJob, "f.yaml:1:11: the file holds too many expressions"},
		{"errors in one line", "run-name: " + strings.Repeat("${{ inputs.x }}", 9000) + "\n" + oneJob, `there is no input "x"`},
		{"unknown needs", "jobs:\n" + numbered(1000, "  job-%d: {needs: [jobs-a, jobs-b, jobs-c, jobs-d], steps: [{run: echo}]}\n"), "and many more errors below"},
		{"long circle", "jobs:\n  j0: {needs: j999, steps: [{run: echo}]}\n" + chained(999), "j0 → j999 → j998 → j997 → j996 → j995 → j994 → j993 → j992 → j991 → … → j0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec, errs := workflow.Parse("f.yaml", []byte(c.src), workflow.Options{})
			if spec != nil || !strings.Contains(errs.Error(), c.want) {
				t.Errorf("got %.2000s\nwant %s", errs, c.want)
			}
			if len(errs) > 101 {
				t.Errorf("%d errors are told", len(errs))
			}
		})
	}
}

func chained(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  j%d: {needs: j%d, steps: [{run: echo}]}\n", i+1, i)
	}
	return b.String()
}
