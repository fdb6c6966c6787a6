package workflow

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"github.com/relevo-ci/relevo/shared/workflow/language"
)

// compiled is a schema, ready to check values.
func compiled(t testing.TB, source func() ([]byte, error)) *jsonschema.Schema {
	t.Helper()
	src, err := source()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(src))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON is a file as an editor's YAML support hands it to a schema; nil where
// it is not YAML.
func asJSON(src []byte) any {
	src = bytes.TrimPrefix(src, []byte("\ufeff"))
	r := &reader{report: &report{lines: newLines(src)}}
	root := document(src, r.report)
	if root == nil {
		return nil
	}
	var value func(n *yaml.Node) any
	value = func(n *yaml.Node) any {
		n = follow(n)
		switch n.Kind {
		case yaml.MappingNode:
			object := map[string]any{}
			for i := 0; i+1 < len(n.Content); i += 2 {
				object[follow(n.Content[i]).Value] = value(n.Content[i+1])
			}
			return object
		case yaml.SequenceNode:
			items := []any{}
			for _, c := range n.Content {
				items = append(items, value(c))
			}
			return items
		}
		v, _ := r.scalar(n)
		return v
	}
	return value(root)
}

// TestSchema holds that what the reader accepts, the schema accepts.
func TestSchema(t *testing.T) {
	pipeline, overlay := compiled(t, language.Schema), compiled(t, language.OverlaySchema)
	for schema, files := range map[*jsonschema.Schema][]string{
		pipeline: {"../../test/testdata/*.yaml", "../../.relevo/*.yaml", "testdata/github/go.yml", "testdata/github/n*.yml", "testdata/github/release.yml"},
		overlay:  {"testdata/github/overlay.yaml"},
	} {
		for _, pattern := range files {
			paths, err := filepath.Glob(pattern)
			if err != nil || len(paths) == 0 {
				t.Fatalf("no files %s: %v", pattern, err)
			}
			for _, path := range paths {
				src, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := schema.Validate(asJSON(src)); err != nil {
					t.Errorf("%s: %v", path, err)
				}
			}
		}
	}
}

// contexts are files into which any key of a place can be put.
var contexts = map[string]string{
	"workflow": "%s", "defaults": "defaults: {%s}", "defaultsRun": "defaults: {run: {%s}}",
	"concurrency": "concurrency: {%s}", "job": "jobs: {a: {%s}}", "strategy": "jobs: {a: {strategy: {%s}}}",
	"runsOn": "jobs: {a: {runs-on: {%s}}}", "container": "jobs: {a: {container: {%s}}}", "step": "jobs: {a: {steps: [{%s}]}}",
	"checkout": "jobs: {a: {steps: [{uses: checkout, with: {%s}}]}}", "emit": "jobs: {a: {steps: [{emit: {%s}}]}}",
	"retry": "jobs: {a: {retry: {%s}}}", "resources": "jobs: {a: {resources: {%s}}}",
	"affinity": "jobs: {a: {affinity: {%s}}}", "preference": "jobs: {a: {affinity: {preferred: [{%s}]}}}",
	"push": "on: {push: {%s}}", "pullRequest": "on: {pull_request: {%s}}", "mergeGroup": "on: {merge_group: {%s}}",
	"typedEvent": "on: {release: {%s}}", "schedule": "on: {schedule: [{%s}]}",
	"cloudevent": "on: {cloudevent: {%s}}", "await": "jobs: {a: {await: {%s}}}",
	"dispatch": "on: {workflow_dispatch: {%s}}", "input": "on: {workflow_dispatch: {inputs: {a: {%s}}}}",
}

// TestEveryKeyIsRead puts a value that fits nowhere behind every key of the
// table: an implemented key must complain of the value, a refused one of
// itself, and the schema must not take either.
func TestEveryKeyIsRead(t *testing.T) {
	schema := compiled(t, language.Schema)
	tried := 0
	for _, p := range language.Places() {
		context, ok := contexts[p.ID]
		if len(p.Keys) == 0 {
			continue
		}
		if !ok {
			t.Errorf("no context for %s", p.ID)
		}
		for _, k := range p.Keys {
			tried++
			before := context[:strings.Index(context, "%s")]
			src := fmt.Sprintf(context, k.Name+": [[{}]]") + "\n"
			column := len([]rune(before)) + 1
			want := fmt.Sprintf("f:1:%d: %q is not supported", column, k.Name)
			if k.Support != language.Refused {
				want = fmt.Sprintf("f:1:%d: ", column+len(k.Name)+2)
				if inList := fmt.Sprintf("f:1:%d: ", column+len(k.Name)+3); k.Name != "matrix" && !hasError(src, want) {
					want = inList
				}
			}
			if !hasError(src, want) {
				_, errs := Parse("f", []byte(src), Options{})
				t.Errorf("%s in %s: %q is not among\n%s", k.Name, p.Name, want, errs)
			}
			if schema.Validate(asJSON([]byte(src))) == nil {
				t.Errorf("the schema takes %s", src)
			}
		}
	}
	if tried < 80 {
		t.Errorf("only %d keys were tried", tried)
	}
}

func hasError(src, prefix string) bool {
	_, errs := Parse("f", []byte(src), Options{})
	for _, e := range errs {
		if strings.HasPrefix(e.Error(), prefix) {
			return true
		}
	}
	return false
}
