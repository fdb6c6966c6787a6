package deliveryreceived

import (
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/workflow"
)

// TestMistakesAreBounded: in number, each, and all of a file.
func TestMistakesAreBounded(t *testing.T) {
	for _, c := range []struct{ length, want int }{{10, mostMistakes}, {2 * mostMistake, mostOfFile / (mostMistake + len("…") + 1)}} {
		errs := make(workflow.Errors, 2*mostMistakes)
		for i := range errs {
			errs[i] = workflow.Error{File: "f", Line: i + 1, Message: strings.Repeat("x", c.length)}
		}
		got := mistakes(errs)
		if len(got) != c.want || got[len(got)-1].Line != c.want || len(got[0].Message) > mostMistake+len("…") {
			t.Errorf("%d of %d bytes", len(got), c.length)
		}
	}
}
