package agent_test

import (
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

// TestStepsKnowTheirSpan: what a step starts puts its own spans below it; a
// pipeline that says something else itself is left alone.
func TestStepsKnowTheirSpan(t *testing.T) {
	const script = `echo "$TRACEPARENT"`
	own := sh(script)
	own.Env = []pipeline.EnvVar{{Name: "TRACEPARENT", Value: expression.Text("mine")}}
	w := newWorker(t, newPlane(t), sh(script), sh(script), own)
	attempt := events.AttemptContext(events.RunRef{Run: w.launch.Run}.Context(""), w.launch.AttemptRef)
	w.launch.Traceparent = attempt.String()
	w.start().ending(events.Succeeded)
	want := ""
	for i, said := range []string{"", "", "mine"} {
		if said == "" {
			p := attempt
			p.Span = events.StepSpan(p.Trace, attempt.Span, i)
			said = p.String()
		}
		want += "==> Run " + script + "\n" + said + "\n"
	}
	if got := w.plane.log(); got != want {
		t.Errorf("log %q, want %q", got, want)
	}
}
