package agent

import (
	"maps"

	"github.com/relevo-ci/relevo/events"
)

// traceparent is the variable by which a command learns which span called it, as
// OpenTelemetry's environment-variable carriers have it: otel-cli, build tools
// and test runners that make spans put theirs below the step's.
const traceparent = "TRACEPARENT"

// traced adds the step's span to variables, unless the pipeline says something
// else itself.
func (j *job) traced(s *step, variables map[string]string) map[string]string {
	p, ok := events.ParseTraceparent(j.launch.Traceparent)
	if _, own := s.env[traceparent]; own || !ok {
		return variables
	}
	p.Span = events.StepSpan(p.Trace, p.Span, s.index)
	all := maps.Clone(variables)
	if all == nil {
		all = map[string]string{}
	}
	all[traceparent] = p.String()
	return all
}
