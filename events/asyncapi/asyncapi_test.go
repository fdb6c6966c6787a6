package asyncapi_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/events/asyncapi"
	"github.com/relevo-ci/relevo/events/examples"
	"github.com/relevo-ci/relevo/events/schemas"
)

var receivers = []asyncapi.Receiver{
	{Name: "worker-terminated", Context: events.Pipeline, On: events.TypeWorkerTerminated, Doc: "ends the attempt"},
	{Name: "worker-terminated-scheduler", Context: events.Scheduler, On: events.TypeWorkerTerminated, Doc: "gives capacity back"},
	{Name: "event-recorded", Context: events.Access, On: "*", Doc: "feeds the console"},
	{Name: "api", Context: events.Access, Doc: "takes HTTP"},
}

// document makes the document and decodes it.
func document(t *testing.T, receivers ...asyncapi.Receiver) map[string]any {
	t.Helper()
	bundle, err := schemas.Files.ReadFile("bundle.json")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := asyncapi.Document(bundle, examples.Files, receivers)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return doc.(map[string]any)
}

// specification compiles the AsyncAPI Initiative's own schema of documents.
func specification(t *testing.T) *jsonschema.Schema {
	t.Helper()
	file, err := os.Open("testdata/asyncapi-3.0.0.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jsonschema.UnmarshalJSON(unzipped)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("asyncapi.json", text); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("asyncapi.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func TestDocumentFollowsTheSpecification(t *testing.T) {
	spec := specification(t)
	if err := spec.Validate(document(t, receivers...)); err != nil {
		t.Error(err)
	}
	for name, plant := range map[string]func(doc map[string]any){
		"no info":                func(doc map[string]any) { delete(doc, "info") },
		"another version":        func(doc map[string]any) { doc["asyncapi"] = "2.6.0" },
		"operation without one":  func(doc map[string]any) { delete(at(doc, "operations", "send-run-requested"), "action") },
		"unknown action":         func(doc map[string]any) { at(doc, "operations", "send-run-requested")["action"] = "shout" },
		"unknown key of channel": func(doc map[string]any) { at(doc, "channels", "run-requested")["topic"] = "x" },
		"payload of no type":     func(doc map[string]any) { at(doc, "components", "schemas", "RunRequested")["type"] = "thing" },
	} {
		doc := document(t, receivers...)
		plant(doc)
		if err := spec.Validate(doc); err == nil {
			t.Errorf("the specification lets through: %s", name)
		}
	}
}

// at walks down objects by their keys.
func at(doc map[string]any, keys ...string) map[string]any {
	for _, key := range keys {
		doc = doc[key].(map[string]any)
	}
	return doc
}

// references calls visit with every $ref of a document.
func references(v any, visit func(ref string)) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if ref, ok := value.(string); ok && key == "$ref" {
				visit(ref)
			}
			references(value, visit)
		}
	case []any:
		for _, value := range v {
			references(value, visit)
		}
	}
}

// leadsSomewhere tells whether a reference has a target in the document.
func leadsSomewhere(doc map[string]any, ref string) bool {
	path, ok := strings.CutPrefix(ref, "#/")
	var here any = doc
	for _, key := range strings.Split(path, "/") {
		m, _ := here.(map[string]any)
		here = m[key]
	}
	return ok && here != nil
}

func TestReferencesLeadSomewhere(t *testing.T) {
	doc := document(t, receivers...)
	seen := 0
	references(doc, func(ref string) {
		seen++
		if !leadsSomewhere(doc, ref) {
			t.Errorf("%s leads nowhere", ref)
		}
	})
	if seen < len(events.Catalog()) {
		t.Errorf("only %d references", seen)
	}
	delete(at(doc, "components", "schemas"), "StepResult")
	dangling := 0
	references(doc, func(ref string) {
		if !leadsSomewhere(doc, ref) {
			dangling++
		}
	})
	if dangling == 0 {
		t.Error("a reference to a schema that was taken away still leads somewhere")
	}
}

func TestEveryEventHasAChannelAndASender(t *testing.T) {
	doc := document(t)
	senders := map[string]string{}
	for name, op := range at(doc, "operations") {
		op := op.(map[string]any)
		if op["action"] != "send" {
			t.Errorf("%s: nobody was said to receive anything", name)
		}
		key := strings.TrimPrefix(op["channel"].(map[string]any)["$ref"].(string), "#/channels/")
		senders[at(doc, "channels", key)["address"].(string)] = op["tags"].([]any)[0].(map[string]any)["name"].(string)
	}
	for _, e := range events.Catalog() {
		if senders[string(e.Type)] != string(e.Context) {
			t.Errorf("%s is sent by %q, want %s", e.Type, senders[string(e.Type)], e.Context)
		}
	}
	if len(at(doc, "channels")) != len(events.Catalog()) {
		t.Errorf("%d channels for %d events", len(at(doc, "channels")), len(events.Catalog()))
	}
}

func TestReceivers(t *testing.T) {
	doc := document(t, receivers...)
	var got []string
	for name, op := range at(doc, "operations") {
		if op.(map[string]any)["action"] == "receive" && !strings.HasPrefix(name, "receive-event-recorded-") {
			got = append(got, name)
		}
	}
	slices.Sort(got)
	if want := []string{"receive-worker-terminated", "receive-worker-terminated-scheduler"}; !slices.Equal(got, want) {
		t.Errorf("receivers %v, want %v", got, want)
	}
	op := at(doc, "operations", "receive-worker-terminated-scheduler")
	want := `{"action":"receive","channel":{"$ref":"#/channels/worker-terminated"},` +
		`"messages":[{"$ref":"#/channels/worker-terminated/messages/WorkerTerminated"}],` +
		`"summary":"gives capacity back","tags":[{"name":"scheduler"}]}`
	if raw, err := json.Marshal(op); err != nil || string(raw) != want {
		t.Errorf("%s, %v", raw, err)
	}
	for _, e := range events.Catalog() {
		key := strings.Join(strings.Split(string(e.Type), ".")[3:5], "-")
		if _, ok := at(doc, "operations")["receive-event-recorded-"+key]; !ok {
			t.Errorf("who hears everything does not hear %s", e.Type)
		}
	}
}

// The schemas that the document carries take the examples that it carries.
func TestExamplesFitTheirPayload(t *testing.T) {
	doc := document(t)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7) // AsyncAPI's schemas are a superset of it
	if err := c.AddResource("doc.json", doc); err != nil {
		t.Fatal(err)
	}
	messages := at(doc, "components", "messages")
	for _, name := range slices.Sorted(maps.Keys(messages)) {
		message := messages[name].(map[string]any)
		payload, err := c.Compile("doc.json" + message["payload"].(map[string]any)["$ref"].(string))
		if err != nil {
			t.Fatal(err)
		}
		example := message["examples"].([]any)[0].(map[string]any)["payload"]
		if err := payload.Validate(example); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		delete(example.(map[string]any)["data"].(map[string]any), firstRequired(doc, name))
		if err := payload.Validate(example); err == nil && firstRequired(doc, name) != "" {
			t.Errorf("%s: the payload is not looked at", name)
		}
	}
}

func firstRequired(doc map[string]any, name string) string {
	required, _ := at(doc, "components", "schemas", name)["required"].([]any)
	if len(required) == 0 {
		return ""
	}
	return required[0].(string)
}

func TestDocumentRefuses(t *testing.T) {
	bundle, err := schemas.Files.ReadFile("bundle.json")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := asyncapi.Document(bundle, fstest.MapFS{}, nil); err == nil {
		t.Error("no examples, no error")
	}
	if _, err := asyncapi.Document([]byte(`{"$defs":{}}`), examples.Files, nil); err == nil {
		t.Error("no schemas, no error")
	}
	if _, err := asyncapi.Document([]byte(`{`), examples.Files, nil); err == nil {
		t.Error("no bundle, no error")
	}
}

func ExampleDocument() {
	bundle, err := schemas.Files.ReadFile("bundle.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	doc, err := asyncapi.Document(bundle, examples.Files, []asyncapi.Receiver{
		{Name: "job-requested", Context: events.Scheduler, On: events.TypeJobRequested, Doc: "offers the job to a pool"},
	})
	fmt.Println(bytes.Contains(doc, []byte(`"receive-job-requested"`)), err)
	// Output: true <nil>
}
