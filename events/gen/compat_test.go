package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestNothingBreaks holds the language against the one last released.
func TestNothingBreaks(t *testing.T) {
	prev, err := os.ReadFile(baselinePath)
	if errors.Is(err, os.ErrNotExist) {
		t.Fatal("no language was recorded: go run ./events/gen -baseline")
	}
	if err != nil {
		t.Fatal(err)
	}
	next, err := encode(read(t).bundle())
	if err != nil {
		t.Fatal(err)
	}
	found, err := breaks(prev, next)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range found {
		t.Error(text)
	}
	if len(found) > 0 {
		t.Log("Add a new event type instead (….v2). What nobody speaks yet may break: go run ./events/gen -baseline -force")
	}
}

// node walks down a bundle's definitions: names, and "properties" is implied
// before each but the first.
func node(defs map[string]any, name string, fields ...string) map[string]any {
	here := defs[name].(map[string]any)
	for _, field := range fields {
		here = here["properties"].(map[string]any)[field].(map[string]any)
	}
	return here
}

const (
	jobFailed = "dev.relevo.pipeline.job.failed.v1"
	jobEnded  = "dev.relevo.execution.job.ended.v1"
)

// planted are changes and what they break.
var planted = map[string]struct {
	change func(defs map[string]any)
	want   []string
}{
	"nothing": {func(map[string]any) {}, nil},

	"an event gone": {
		func(defs map[string]any) { delete(defs, jobFailed) },
		[]string{jobFailed + ": removed"},
	},
	"a field gone": {
		func(defs map[string]any) {
			delete(node(defs, "JobFailed")["properties"].(map[string]any), "terminated")
		},
		[]string{jobFailed + ".data.terminated: removed"},
	},
	"an attribute gone": {
		func(defs map[string]any) { delete(node(defs, "Envelope")["properties"].(map[string]any), "causeid") },
		[]string{"Envelope.causeid: removed"},
	},
	"another type": {
		func(defs map[string]any) { node(defs, "JobFailed", "attempt")["type"] = "string" },
		[]string{jobFailed + `.data.attempt: type changed from "integer" to "string"`},
	},
	"newly required": {
		func(defs map[string]any) { add(node(defs, "JobFailed"), "required", "steps") },
		[]string{jobFailed + ".data: newly requires steps"},
	},
	"a new field that is required": {
		func(defs map[string]any) {
			node(defs, "JobFailed")["properties"].(map[string]any)["cost"] = map[string]any{"type": "integer"}
			add(node(defs, "JobFailed"), "required", "cost")
		},
		[]string{jobFailed + ".data: newly requires cost"},
	},
	"no longer required": {
		func(defs map[string]any) {
			node(defs, "JobFailed")["required"] = []any{"run", "job", "attempt", "verdict"}
		},
		[]string{jobFailed + ".data: no longer requires reason"},
	},
	"a verdict less": {
		func(defs map[string]any) {
			node(defs, "JobFailed", "verdict")["enum"] = []any{"failed", "timeout", "infra"}
		},
		[]string{jobFailed + ".data.verdict: narrowed: rejected is no value any more"},
	},
	"some values only": {
		func(defs map[string]any) { node(defs, "JobFailed", "reason")["enum"] = []any{"bad luck"} },
		[]string{jobFailed + `.data.reason: narrowed to ["bad luck"]`},
	},
	"a higher minimum": {
		func(defs map[string]any) { node(defs, "JobFailed", "attempt")["minimum"] = 5 },
		[]string{jobFailed + ".data.attempt: minimum narrowed from 0 to 5"},
	},
	"a minimum where there was none": {
		func(defs map[string]any) { node(defs, "MetricEmitted", "value")["minimum"] = 0 },
		[]string{"dev.relevo.telemetry.metric.emitted.v1.data.value: minimum narrowed from nothing to 0"},
	},
	"a lower maximum": {
		func(defs map[string]any) { node(defs, "Preference", "weight")["maximum"] = 9 },
		[]string{"dev.relevo.pipeline.job.requested.v1.data.requirements.affinity.preferred[].weight: maximum narrowed from 100 to 9"},
	},
	"a maximum where there was none": {
		func(defs map[string]any) { node(defs, "JobFailed", "attempt")["maximum"] = 5 },
		[]string{jobFailed + ".data.attempt: maximum narrowed from nothing to 5"},
	},
	"another pattern": {
		func(defs map[string]any) { node(defs, "JobFailed", "fence")["pattern"] = "^v" },
		[]string{jobFailed + `.data.fence: pattern changed from "^(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)$" to "^v"`},
	},
	"another subject": {
		func(defs map[string]any) { node(defs, jobFailed, "subject")["pattern"] = "^job/.+$" },
		[]string{jobFailed + `.subject: pattern changed from "^run/.+/job/.+$" to "^job/.+$"`},
	},
	"no run any more": {
		func(defs map[string]any) { delete(node(defs, jobFailed), "required") },
		[]string{jobFailed + ": no longer requires runid", jobFailed + ": no longer requires partitionkey"},
	},
	"other items": {
		func(defs map[string]any) {
			node(defs, "JobFailed", "steps")["items"] = map[string]any{"type": "string"}
		},
		[]string{jobFailed + `.data.steps[]: type changed from "object" to "string"`},
	},
	"other values in a map": {
		func(defs map[string]any) {
			node(defs, "JobFailed", "outputs")["additionalProperties"] = map[string]any{"type": "integer"}
		},
		[]string{jobFailed + `.data.outputs.*: type changed from "string" to "integer"`},
	},
	"no more fields": {
		func(defs map[string]any) { node(defs, "JobFailed")["additionalProperties"] = false },
		[]string{jobFailed + ".data: additionalProperties changed from nothing to false"},
	},
	"a keyword without a rule": {
		func(defs map[string]any) { node(defs, "JobFailed")["maxProperties"] = 20 },
		[]string{jobFailed + ".data: maxProperties changed from nothing to 20"},
	},
	// Said once, of the first event that has the value.
	"a field of a value gone": {
		func(defs map[string]any) { delete(node(defs, "StepResult")["properties"].(map[string]any), "exit") },
		[]string{jobEnded + ".data.steps[].exit: removed"},
	},

	"a value written out twice, once badly": {
		func(defs map[string]any) {
			node(defs, "JobEnded", "steps")["items"] = node(defs, "StepResult")
			node(defs, "JobFailed", "steps")["items"] = map[string]any{"type": "integer"}
		},
		[]string{jobFailed + `.data.steps[]: type changed from "object" to "integer"`},
	},

	"an event more": {func(defs map[string]any) { defs["dev.relevo.pipeline.job.praised.v1"] = map[string]any{} }, nil},
	"a field more": {
		func(defs map[string]any) {
			node(defs, "JobFailed")["properties"].(map[string]any)["cost"] = map[string]any{"type": "integer"}
		}, nil,
	},
	"a verdict more":  {func(defs map[string]any) { add(node(defs, "JobFailed", "verdict"), "enum", "lost") }, nil},
	"any verdict":     {func(defs map[string]any) { delete(node(defs, "JobFailed", "verdict"), "enum") }, nil},
	"any fence":       {func(defs map[string]any) { delete(node(defs, "JobFailed", "fence"), "pattern") }, nil},
	"a lower minimum": {func(defs map[string]any) { node(defs, "JobFailed", "attempt")["minimum"] = -1 }, nil},
	"no minimum":      {func(defs map[string]any) { delete(node(defs, "JobFailed", "attempt"), "minimum") }, nil},
	"other words":     {func(defs map[string]any) { node(defs, "JobFailed", "attempt")["description"] = "x" }, nil},
	"another Go name": {
		func(defs map[string]any) {
			defs["StepOutcome"] = defs["StepResult"]
			delete(defs, "StepResult")
			rename(defs, "StepResult", "StepOutcome")
		}, nil,
	},
	"a value written out": {
		func(defs map[string]any) {
			node(defs, "JobFailed", "steps")["items"] = node(defs, "StepResult")
		}, nil,
	},
}

func add(schema map[string]any, key string, value any) {
	list, _ := schema[key].([]any)
	schema[key] = append(slices.Clone(list), value)
}

// rename turns references to one definition into references to another.
func rename(v any, from, to string) {
	switch v := v.(type) {
	case map[string]any:
		if v["$ref"] == defsPrefix+from {
			v["$ref"] = defsPrefix + to
		}
		for _, value := range v {
			rename(value, from, to)
		}
	case []any:
		for _, value := range v {
			rename(value, from, to)
		}
	}
}

func TestBreaksAreFound(t *testing.T) {
	prev, err := encode(read(t).bundle())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range planted {
		var bundle map[string]any
		if err := json.Unmarshal(prev, &bundle); err != nil {
			t.Fatal(err)
		}
		c.change(bundle["$defs"].(map[string]any))
		next, err := encode(bundle)
		if err != nil {
			t.Fatal(err)
		}
		found, err := breaks(prev, next)
		if err != nil || !slices.Equal(found, c.want) {
			t.Errorf("%s: found\n%s\nwant\n%s\n%v", name, strings.Join(found, "\n"), strings.Join(c.want, "\n"), err)
		}
	}
}

func TestBreaksOfNoBundle(t *testing.T) {
	if _, err := breaks([]byte(`{`), []byte(`{}`)); err == nil {
		t.Error("no error")
	}
}

func TestRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "baseline.json")
	one := []byte(`{"$defs":{"a.v1":{"required":["x"]}}}`)
	more := []byte(`{"$defs":{"a.v1":{"required":["x"]},"b.v1":{}}}`)
	for _, step := range []struct {
		next  []byte
		force bool
		want  []byte
		ok    bool
	}{
		{one, false, one, true},
		{more, false, more, true},
		{one, false, more, false},
		{one, true, one, true},
	} {
		err := record(path, step.next, step.force)
		got, readErr := os.ReadFile(path)
		if (err == nil) != step.ok || readErr != nil || string(got) != string(step.want) {
			t.Errorf("recording %s (force %t): %v; there is %s, %v", step.next, step.force, err, got, readErr)
		}
	}
}
