//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/shared/client"
)

// dag is a graph with a matrix. Its jobs write %d lines each.
const dag = `
on: workflow_dispatch
env: {GREETING: hello}
jobs:
  prepare:
    container: dev.local/relevo/busybox:test
    outputs: {word: "${{ steps.say.outputs.word }}"}
    steps:
      - id: say
        run: echo "word=ready" >> "$GITHUB_OUTPUT"
  build:
    needs: prepare
    strategy:
      matrix: {part: [one, two, three]}
    container: dev.local/relevo/busybox:test
    steps:
      - run: |
          i=0; while [ $i -lt %[1]d ]; do i=$((i+1)); echo "$GREETING ${{ matrix.part }} ${{ needs.prepare.outputs.word }} $i"; sleep %[2]s; done
  finish:
    needs: build
    container: dev.local/relevo/busybox:test
    steps:
      - run: echo all done
`

// The tests of the files cold*_test.go come first: what the others do to the broker leaves
// subscribers of deleted Triggers in its channel now and then, whose dead letters
// keep a function awake.

// zero waits until no function of ours has a pod: between two ticks of the
// clock all sleep.
func (r *rig) zero() {
	r.Helper()
	r.eventually("no pod of ours is left between the clock's ticks", func() bool { return len(r.functions()) == 0 })
}

// wholeLogs holds that each job of the matrix wrote all of its lines, once and
// in order.
func (r *rig) wholeLogs(run client.Run, lines int) {
	r.Helper()
	for i, part := range []string{"one", "two", "three"} {
		var want strings.Builder
		for n := 1; n <= lines; n++ {
			fmt.Fprintf(&want, "hello %s ready %d\n", part, n)
		}
		job := fmt.Sprintf("%s.build.%d", run.ID, i)
		if got := r.log(job, 0); !strings.Contains(got, want.String()) || strings.Count(got, "hello") != lines {
			r.Errorf("log of %s:\n%s", job, got)
		}
	}
}

// A graph with a matrix runs from zero to the end, its logs outlive its pods,
// and everything is at zero again.
func TestRunFromZero(t *testing.T) {
	r := begin(t)
	r.zero()
	began := time.Now()
	id := r.submit(fmt.Sprintf(dag, 20, "0.1"))
	run := r.succeeded(id)
	r.Logf("from zero to the end: %s", time.Since(began).Round(time.Millisecond))
	if len(run.Jobs) != 5 {
		r.Errorf("%d jobs", len(run.Jobs))
	}
	r.eventually("the workers' pods are gone", func() bool { return len(r.workers(client.Attempt{})) == 0 })
	r.wholeLogs(run, 20)
	r.zero()
	r.audit(id)
}

// What the command line says of a run is what the API knows.
func TestCommandLine(t *testing.T) {
	r := begin(t)
	id := r.submit(fmt.Sprintf(dag, 1, "0"))
	if out := r.relevo("logs", "-f", id+".finish"); !strings.Contains(out, "all done") {
		r.Errorf("logs -f: %s", out)
	}
	r.succeeded(id)
	if out := r.relevo("get", id); !strings.Contains(out, "SUCCEEDED") && !strings.Contains(out, "succeeded") {
		r.Errorf("get: %s", out)
	}
	if out := r.relevo("explain", id); !strings.Contains(out, "succeeded") {
		r.Errorf("explain: %s", out)
	}
}
