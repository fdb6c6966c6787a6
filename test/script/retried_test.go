package script

import (
	"regexp"
	"strings"
	"syscall"
	"testing"
)

const flaky = `on: push
jobs:
  build:
    outputs: {version: "${{ steps.v.outputs.version }}"}
    steps: [{id: v, run: 'echo compiling; echo built >> built; echo "version=1.2" >> $RELEVO_OUTPUT'}]
  test:
    needs: build
    strategy: {fail-fast: false, matrix: {on: [old, new]}}
    steps:
      - run: |
          echo "${{ matrix.on }} ${{ needs.build.outputs.version }}" >> tested
          echo "attempt ${{ github.run_attempt }}"
          test ${{ matrix.on }} = old || test -e mended
  ship:
    needs: [build, test]
    steps: [{run: 'echo "shipped ${{ needs.build.outputs.version }}: ${{ needs.test.result }}"'}]
`

// TestRetryFailed: only what failed runs again, and what needs that; what it reads
// of the rest is what was there.
func TestRetryFailed(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	first := h.submit(h.file("flaky.yaml", flaky))
	h.becomes(first, "FAILED")
	second := strings.TrimSpace(h.call(0, "retry", first, "--failed"))
	h.becomes(second, "FAILED")
	h.file("mended", "")
	third := strings.TrimSpace(h.call(0, "retry", second, "--failed"))
	h.becomes(third, "SUCCEEDED")

	shown := h.call(0, "get", third)
	for _, line := range []string{
		`build\s+build\s+SUCCEEDED\s+0\s+carried over from run ` + first, `test\.0\s+.*\s+SUCCEEDED\s+0\s+carried over from run ` + first,
		`test\.1\s+.*\s+SUCCEEDED\s+1\s`, `ship\s+ship\s+SUCCEEDED\s+1\s`,
	} {
		if !regexp.MustCompile(`(?m)^` + line).MatchString(shown) {
			t.Errorf("no %s in\n%s", line, shown)
		}
	}
	if why := h.call(0, "explain", third); !strings.Contains(why, "build (SUCCEEDED): did not run again: it is carried over from run "+first) {
		t.Errorf("it says\n%s", why)
	}
	for job, said := range map[string]string{"build": "compiling", "test.1": "attempt 3", "ship": "shipped 1.2: success"} {
		if log := h.call(0, "logs", third+"."+job); !strings.Contains(log, said+"\n") {
			t.Errorf("the log of %s:\n%s", job, log)
		}
	}
	for file, want := range map[string]int{"built": 1, "tested": 4} {
		if text := h.read(file); strings.Count(text, "\n") != want {
			t.Errorf("%s:\n%s", file, text)
		}
	}
	h.call(2, "retry", third, "--failed") // it succeeded
	all := strings.TrimSpace(h.call(0, "retry", third))
	h.becomes(all, "SUCCEEDED")
	if strings.Contains(h.call(0, "get", all), "carried over") {
		t.Error("all of it was asked for")
	}
	h.signal(syscall.SIGTERM)
	h.ends(0)
}
