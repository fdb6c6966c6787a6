package schema_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/events/examples"
	"github.com/relevo-ci/relevo/events/schema"
	"github.com/relevo-ci/relevo/events/schemas"
)

// line is the example of a type, changed and on one line.
func line(t *testing.T, typ events.Type, change func(event, data map[string]any)) []byte {
	t.Helper()
	raw, err := examples.Files.ReadFile(string(typ) + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var event map[string]any
	if err := json.Unmarshal(raw, &event); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(event, event["data"].(map[string]any))
	}
	if raw, err = json.Marshal(event); err != nil {
		t.Fatal(err)
	}
	return raw
}

func attribute(name string, value any) func(event, data map[string]any) {
	return func(event, _ map[string]any) { event[name] = value }
}

func field(name string, value any) func(event, data map[string]any) {
	return func(_, data map[string]any) { data[name] = value }
}

func without(name string) func(event, data map[string]any) {
	return func(event, data map[string]any) {
		delete(event, name)
		delete(data, name)
	}
}

func TestValidateRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		typ    events.Type
		change func(event, data map[string]any)
		want   string // part of the error
	}{
		"no type":               {events.TypeJobFailed, without("type"), "'type'"},
		"unknown type":          {events.TypeJobFailed, attribute("type", "dev.relevo.pipeline.job.imagined.v1"), "/type"},
		"payload of another":    {events.TypeJobFailed, attribute("type", string(events.TypeJobRequested)), "'requirements'"},
		"no specversion":        {events.TypeJobFailed, without("specversion"), "'specversion'"},
		"old specversion":       {events.TypeJobFailed, attribute("specversion", "0.3"), "/specversion"},
		"empty id":              {events.TypeJobFailed, attribute("id", ""), "/id"},
		"foreign source":        {events.TypeJobFailed, attribute("source", "https://elsewhere"), "/source"},
		"time with a zone":      {events.TypeJobFailed, attribute("time", "2025-11-03T09:30:00.000+01:00"), "/time"},
		"no such day":           {events.TypeJobFailed, attribute("time", "2025-02-30T09:30:00.000Z"), "/time"},
		"no data":               {events.TypeJobFailed, without("data"), "'data'"},
		"data is text":          {events.TypeJobFailed, attribute("data", "{}"), "/data"},
		"sequence as number":    {events.TypeJobFailed, attribute("sequence", 12), "/sequence"},
		"sequence 0":            {events.TypeJobFailed, attribute("sequence", "0"), "/sequence"},
		"short run id":          {events.TypeJobFailed, attribute("runid", "R"), "/runid"},
		"no run id":             {events.TypeJobFailed, without("runid"), "'runid'"},
		"another run id":        {events.TypeJobFailed, attribute("runid", "01K8QWJ2M4N6P8R0S2T4V6X8ZB"), "runid"},
		"another subject":       {events.TypeJobFailed, attribute("subject", "run/01K8QWJ2M4N6P8R0S2T4V6X8ZA/job/other"), "subject"},
		"subject of its run":    {events.TypeJobFailed, attribute("subject", "run/01K8QWJ2M4N6P8R0S2T4V6X8ZA"), "/subject"},
		"half a traceparent":    {events.TypeJobFailed, attribute("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736"), "/traceparent"},
		"extension in capitals": {events.TypeJobFailed, attribute("traceParent", "x"), "traceParent"},
		"extension with a list": {events.TypeJobFailed, attribute("tags", []any{"a"}), "/tags"},

		"required field":     {events.TypeJobFailed, without("reason"), "'reason'"},
		"unknown verdict":    {events.TypeJobFailed, field("verdict", "sad"), "/data/verdict"},
		"another's verdict":  {events.TypeJobFailed, field("verdict", "succeeded"), "/data/verdict"},
		"number as text":     {events.TypeJobFailed, field("attempt", "2"), "/data/attempt"},
		"fraction":           {events.TypeJobFailed, field("attempt", 1.5), "/data/attempt"},
		"attempt 0":          {events.TypeJobStarted, field("attempt", 0), "/data/attempt"},
		"fence without dot":  {events.TypeJobFailed, field("fence", "13"), "/data/fence"},
		"empty fence":        {events.TypeJobFailed, field("fence", ""), "/data/fence"},
		"time without zone":  {events.TypeJobStarted, field("deadline", "2025-11-03T09:30:00"), "/data/deadline"},
		"null list":          {events.TypeJobFailed, field("steps", nil), "/data/steps"},
		"output as number":   {events.TypeJobFailed, field("outputs", map[string]any{"coverage": 81}), "/data/outputs/coverage"},
		"empty worker":       {events.TypeJobStarted, field("worker", ""), "/data/worker"},
		"step's conclusion":  {events.TypeStepFailed, field("step", map[string]any{"id": "1", "name": "", "conclusion": "sad", "outcome": "failure", "exit": 1, "millis": 1}), "/data/step/conclusion"},
		"step without name":  {events.TypeStepFailed, field("step", map[string]any{"id": "1", "conclusion": "failure", "outcome": "failure", "exit": 1, "millis": 1}), "'name'"},
		"log digest":         {events.TypeLogAppended, field("digest", "9F86"), "/data/digest"},
		"negative resources": {events.TypeCapacityUpdated, field("capacity", map[string]any{"cpu": -1, "memory": 1}), "/data/capacity/cpu"},
		"no capacity":        {events.TypeCapacityUpdated, without("capacity"), "'capacity'"},
	} {
		err := schema.Validate(line(t, c.typ, c.change))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the error is to name %s: %v", name, c.want, err)
		}
		if !errors.Is(err, events.ErrInvalid) {
			t.Errorf("%s: no ErrInvalid: %v", name, err)
		}
	}
}

func TestValidateRefusesWhatIsNoEvent(t *testing.T) {
	for _, text := range []string{"", "null", "[]", "{}", "7", `{"specversion":"1.0"`, `{} {}`} {
		if err := schema.Validate([]byte(text)); !errors.Is(err, events.ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Newer senders may say more.
func TestValidateAllowsMore(t *testing.T) {
	for name, change := range map[string]func(event, data map[string]any){
		"a field":                 field("addedLater", []any{1}),
		"a field of a value":      func(_, data map[string]any) { data["steps"].([]any)[0].(map[string]any)["signal"] = 9 },
		"an extension":            attribute("knativearrivaltime", "2025-11-03T09:30:00Z"),
		"a number as extension":   attribute("priority", 7),
		"a truth as extension":    attribute("sampled", true),
		"no trace":                without("traceparent"),
		"no cause":                without("causeid"),
		"an event of before jobs": func(_, data map[string]any) { data["attempt"] = 0; delete(data, "fence") },
	} {
		if err := schema.Validate(line(t, events.TypeJobFailed, change)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestValidateAll(t *testing.T) {
	good := string(line(t, events.TypeJobFailed, nil))
	for _, c := range []struct {
		text string
		n    int
		err  string
	}{
		{"", 0, ""},
		{good + "\n", 1, ""},
		{good + "\n" + good, 2, ""},
		{good + "\n{}\n" + good, 1, "line 2"},
		{good + "\n\n", 1, "line 2"},
	} {
		n, err := schema.ValidateAll(strings.NewReader(c.text))
		if n != c.n || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%d bytes: %d, %v", len(c.text), n, err)
		}
	}
}

// Each schema stands alone, for those who take one and not the bundle.
func TestEachFileStandsAlone(t *testing.T) {
	for _, entry := range events.Catalog() {
		name := string(entry.Type) + ".json"
		payload := compile(t, name)
		var event map[string]any
		if err := json.Unmarshal(line(t, entry.Type, nil), &event); err != nil {
			t.Fatal(err)
		}
		if err := payload.Validate(event["data"]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := compile(t, "envelope.json").Validate(event); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func compile(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	file, err := schemas.Files.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	text, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(name, text); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile(name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return compiled
}

func ExampleValidate() {
	err := schema.Validate([]byte(`{"specversion":"1.0","id":"1","source":"/relevo/clock","type":"dev.relevo.telemetry.clock.ticked.v1",
		"subject":"clock","time":"2025-11-03T09:30:00.000Z","datacontenttype":"application/json","data":{"message":"tick"}}`))
	fmt.Println(err)
	// Output: <nil>
}
