package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/invopop/jsonschema"
	"pgregory.net/rapid"

	"github.com/relevo-ci/relevo/events"
)

var update = flag.Bool("update", false, "write the generated files again")

// read is the language as the sources have it now.
func read(t *testing.T) *language {
	t.Helper()
	l, err := readLanguage(root)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestGeneratedFilesAreUpToDate(t *testing.T) {
	if *update {
		if err := run(false, false); err != nil {
			t.Fatal(err)
		}
	}
	files, err := generate(read(t))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range files {
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is out of date: make gen (%v)", path, err)
		}
	}
	stale, err := staleFiles(root, files)
	if err != nil || len(stale) > 0 {
		t.Errorf("generated from nothing: %v, %v", stale, err)
	}
}

// What is written does not depend on the order of maps.
func TestGenerationRepeats(t *testing.T) {
	first, err := generate(read(t))
	if err != nil {
		t.Fatal(err)
	}
	second, err := generate(read(t))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(first, second) {
		t.Error("two generations differ")
	}
}

// The envelope's schema names what the envelope's JSON has, and no more.
func TestEnvelopeSchemaIsTheEnvelope(t *testing.T) {
	e := events.Envelope{
		ID: "i", Source: "s", Type: "t", Subject: "s", Time: time.Unix(1, 0), Data: json.RawMessage(`{}`),
		CauseID: "c", RunID: "r", Sequence: 1, PartitionKey: "p", Traceparent: "tp", Tracestate: "ts",
		Epoch: 1,
	}
	v := reflect.ValueOf(e)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Fatalf("this test does not know of %s", v.Type().Field(i).Name)
		}
	}
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var attributes map[string]any
	if err := json.Unmarshal(raw, &attributes); err != nil {
		t.Fatal(err)
	}
	if want := v.NumField() + 2; len(attributes) != want { // specversion and datacontenttype are no fields
		t.Errorf("%d attributes of %d fields: %s", len(attributes), v.NumField(), raw)
	}
	schema := read(t).envelope()
	for p := schema.Properties.Oldest(); p != nil; p = p.Next() {
		if _, ok := attributes[p.Key]; !ok {
			t.Errorf("no envelope has %s", p.Key)
		}
		delete(attributes, p.Key)
	}
	if len(attributes) > 0 {
		t.Errorf("the schema does not name %v", attributes)
	}
}

func TestEventsOfTheLanguage(t *testing.T) {
	l := read(t)
	want := map[events.Type]event{
		events.TypeRunStarted:      {Go: "RunStarted", Subject: "run/{run}", OfRun: true},
		events.TypeJobEnded:        {Go: "JobEnded", Subject: "run/{run}/job/{job}", OfRun: true},
		events.TypeWorkerFailed:    {Go: "WorkerFailed", Subject: "worker/{worker}", OfRun: true},
		events.TypeOfferCreated:    {Go: "OfferCreated", Subject: "pool/{pool}/offer/{offer}", OfRun: true},
		events.TypeCapacityUpdated: {Go: "CapacityUpdated", Subject: "pool/{pool}/node/{node}"},
		events.TypeClockTicked:     {Go: "ClockTicked", Subject: "clock"},
	}
	if len(l.events) != len(events.Catalog()) {
		t.Errorf("%d events, the Catalog has %d", len(l.events), len(events.Catalog()))
	}
	for _, e := range l.events {
		w, ok := want[e.Type]
		if ok && (e.Go != w.Go || e.Subject != w.Subject || e.OfRun != w.OfRun) {
			t.Errorf("%s: %q %q %t, want %+v", e.Type, e.Go, e.Subject, e.OfRun, w)
		}
	}
	if got, want := subjectPattern("pool/{pool}/offer.x/{offer}"), `^pool/.+/offer\.x/.+$`; got != want {
		t.Errorf("subject pattern %s, want %s", got, want)
	}
}

// Verdicts come from the constants in the source.
func TestEnumerations(t *testing.T) {
	src, err := readSource(root)
	if err != nil {
		t.Fatal(err)
	}
	want := []any{"succeeded", "failed", "infra", "timeout", "cancelled", "rejected"}
	if got := src.enums["Verdict"]; !slices.Equal(got, want) {
		t.Errorf("verdicts %v, want %v", got, want)
	}
}

// The patterns take what the Go types write, and only that.
func TestPatterns(t *testing.T) {
	fence := regexp.MustCompile(patterns[reflect.TypeFor[events.Fence]()])
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[0-9]{0,3}\.?[0-9]{0,3}`).Draw(t, "text")
		f, err := events.ParseFence(text)
		if written := err == nil && !f.IsZero(); written && !fence.MatchString(text) {
			t.Errorf("the fence %q does not match", text)
		}
		if fence.MatchString(text) && err != nil && text != "0.0" {
			t.Errorf("%q matches: %v", text, err)
		}
	})
	derived := regexp.MustCompile(derivedPattern)
	run := regexp.MustCompile(runIDPattern)
	offer := events.OfferFor(events.JobRef{Run: "R", Job: "j"}, 1)
	for text, want := range map[string][2]bool{ // derived, run
		string(offer):                {true, true},
		"01K8QWJ2M4N6P8R0S2T4V6X8ZA": {false, true},
		"01K8QWJ2M4N6P8R0S2T4V6X8ZI": {false, false}, // no I in Crockford's base 32
		"01K8QWJ2M4N6P8R0S2T4V6X8Z":  {false, false},
		"":                           {false, false},
	} {
		if got := [2]bool{derived.MatchString(text), run.MatchString(text)}; got != want {
			t.Errorf("%q: derived and run %v, want %v", text, got, want)
		}
	}
}

func TestAMissingCommentIsAnError(t *testing.T) {
	l := read(t)
	field, _ := l.defs["StepResult"].Properties.Get("exit")
	field.Description = ""
	l.defs["Trigger"].Description = ""
	if err := l.documented(); err == nil || err.Error() != "without a comment: StepResult.exit, Trigger" {
		t.Errorf("the error is %v", err)
	}
}

func TestALimitOfNothingIsAnError(t *testing.T) {
	l := read(t)
	l.defs["Preference"].Properties.Delete("weight")
	if err := narrow(l.defs); err == nil || !strings.Contains(err.Error(), "Preference.weight") {
		t.Errorf("the error is %v", err)
	}
}

func TestAnEventThatIsNoMoreLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "schemas"), 0o755); err != nil {
		t.Fatal(err)
	}
	gone := filepath.Join(dir, "schemas", "gone.json")
	kept := filepath.Join(dir, "schemas", "kept.json")
	for _, path := range []string{gone, kept} {
		if err := os.WriteFile(path, []byte(`{}`), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stale, err := staleFiles(dir, map[string][]byte{kept: []byte(`{}`)})
	if err != nil || !slices.Equal(stale, []string{gone}) {
		t.Errorf("%v, %v", stale, err)
	}
}

func TestTypeNames(t *testing.T) {
	text := &jsonschema.Schema{Type: "string"}
	for want, s := range map[string]*jsonschema.Schema{
		"string":                            text,
		"list of string":                    {Type: "array", Items: text},
		"map of [Step](#step)":              {Type: "object", AdditionalProperties: ref("Step")},
		"map of map of string":              {Type: "object", AdditionalProperties: &jsonschema.Schema{Type: "object", AdditionalProperties: text}},
		"`a` `b`":                           {Type: "string", Enum: []any{"a", "b"}},
		"`1.0`":                             {Type: "string", Const: "1.0"},
		"time":                              {Type: "string", Format: "date-time"},
		"any JSON":                          {},
		"[StepResult](#stepresult)":         ref("StepResult"),
		"list of [NodeReason](#nodereason)": {Type: "array", Items: ref("NodeReason")},
	} {
		if got := typeName(s); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
