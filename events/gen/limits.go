package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/relevo-ci/relevo/events"
)

// limits are what the comments of fields say of their values and Go's types
// cannot: Type.field, or *.field for every type that has the field. A later row
// overrules an earlier one.
var limits = []struct {
	field string
	apply func(*jsonschema.Schema)
}{
	{"*.attempt", atLeast("1")},
	{"JobFailed.attempt", atLeast("0")},
	{"JobCancelled.attempt", atLeast("0")},
	{"*.priority", between("-100", "100")},
	{"*.size", atLeast("0")},
	{"*.logBytes", atLeast("0")},
	{"*.offset", atLeast("0")},
	{"*.spans", atLeast("0")},
	{"LogAppended.length", atLeast("1")},
	{"LogAppended.digest", matching(`^[0-9a-f]{64}$`)},
	{"ArtifactPublished.digest", matching(`^sha256:[0-9a-f]{64}$`)},
	{"ArtifactEvicted.digest", matching(`^sha256:[0-9a-f]{64}$`)},
	{"CachePublished.digest", matching(`^sha256:[0-9a-f]{64}$`)},
	{"TraceRecorded.traceId", matching(`^[0-9a-f]{32}$`)},
	{"Preference.weight", between("1", "100")},
	{"Resources.cpu", atLeast("0")},
	{"Resources.memory", atLeast("0")},
	{"Resources.gpu", atLeast("0")},
	{"Resources.slots", atLeast("0")},
	{"Annotation.level", oneOf("error", "warning", "notice")},
	{"Annotation.line", atLeast("0")},
	{"Annotation.endLine", atLeast("0")},
	{"Annotation.column", atLeast("0")},
	{"Annotation.endColumn", atLeast("0")},
	{"StepResult.conclusion", oneOf("success", "failure", "skipped", "cancelled", "timeout")},
	{"StepResult.outcome", oneOf("success", "failure", "skipped", "cancelled", "timeout")},
	{"StepResult.exit", atLeast("-1")},
	{"StepResult.millis", atLeast("0")},
	{"Trigger.hops", atLeast("0")},
	{"ChangeReceived.change", oneOf(events.ChangeCreated, events.ChangeUpdated, events.ChangeMerged, events.ChangeAbandoned)},
	{"ChangeReceived.number", atLeast("1")},
	{"JobRetried.budget", oneOf("user", "infra")},
	{"RunFailed.verdict", oneOf(events.Failed, events.Timeout, events.Infra, events.Rejected)},
	{"JobFailed.verdict", oneOf(events.Failed, events.Timeout, events.Infra, events.Rejected)},
	{"JobEnded.verdict", oneOf(events.Succeeded, events.Failed, events.Infra, events.Timeout, events.Cancelled)},
}

// narrow applies the limits. One that fits no field is an error: it has
// outlived what it limits.
func narrow(defs jsonschema.Definitions) error {
	for _, limit := range limits {
		name, property, _ := strings.Cut(limit.field, ".")
		used := false
		for def, s := range defs {
			if s.Properties == nil || name != "*" && name != def {
				continue
			}
			if field, ok := s.Properties.Get(property); ok {
				limit.apply(field)
				used = true
			}
		}
		if !used {
			return fmt.Errorf("the limit of %s fits no field", limit.field)
		}
	}
	return nil
}

func atLeast(least json.Number) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) { s.Minimum = least }
}

func between(least, most json.Number) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) { s.Minimum, s.Maximum = least, most }
}

func matching(pattern string) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) { s.Pattern = pattern }
}

func oneOf[S ~string](values ...S) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) {
		s.Enum = nil
		for _, v := range values {
			s.Enum = append(s.Enum, string(v))
		}
	}
}
