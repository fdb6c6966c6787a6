package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/relevo-ci/relevo/functions/api"
)

var update = flag.Bool("update", false, "write docs/openapi.yaml again")

// TestOpenAPIIsUpToDate holds the document in docs to the handlers.
func TestOpenAPIIsUpToDate(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "openapi.yaml")
	want, err := api.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is out of date: make gen", path)
	}
}

func TestOpenAPIIsServed(t *testing.T) {
	w := newWorld(t)
	doc := decode[struct {
		OpenAPI string                    `json:"openapi"`
		Paths   map[string]map[string]any `json:"paths"`
	}](t, w.ask(http.MethodGet, "/openapi.json", ""), http.StatusOK)
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("version %q", doc.OpenAPI)
	}
	for path, methods := range map[string][]string{
		"/v1/pipelines": {"get", "post"}, "/v1/pipelines/{id}": {"get"}, "/v1/pipelines/{id}/cancel": {"post"},
		"/v1/pipelines/{id}/explain": {"get"}, "/v1/jobs": {"post"}, "/v1/jobs/{id}": {"get"},
		"/v1/jobs/{id}/cancel": {"post"}, "/v1/jobs/{id}/logs": {"get"}, "/v1/nodes": {"get"}, "/v1/queue": {"get"},
		"/v1/events": {"get"},
	} {
		for _, m := range methods {
			if doc.Paths[path][m] == nil {
				t.Errorf("no %s %s", m, path)
			}
		}
	}
}

// Every answer is as the document says: what it requires is there.
func TestAnswersHoldWhatTheDocumentRequires(t *testing.T) {
	w := newWorld(t)
	w.node("n1", 1)
	id := w.submit(hello)
	w.submit(hello)
	doc := decode[struct {
		Components struct {
			Schemas map[string]struct {
				Required   []string                   `json:"required"`
				Properties map[string]json.RawMessage `json:"properties"`
			} `json:"schemas"`
		} `json:"components"`
	}](t, w.ask(http.MethodGet, "/openapi.json", ""), http.StatusOK)
	for path, schema := range map[string]string{
		"/v1/pipelines": "RunList", "/v1/pipelines/" + id: "Run", "/v1/jobs/" + id + ".build": "Job",
		"/v1/pipelines/" + id + "/explain": "Explanation", "/v1/nodes": "NodeList", "/v1/queue": "Queue",
	} {
		answer := decode[map[string]json.RawMessage](t, w.ask(http.MethodGet, path, ""), http.StatusOK)
		s, ok := doc.Components.Schemas[schema]
		if !ok {
			t.Errorf("no schema %s", schema)
		}
		for _, name := range s.Required {
			if raw, ok := answer[name]; !ok || string(raw) == "null" {
				t.Errorf("%s: %s is %s", path, name, raw)
			}
		}
		for name := range answer {
			if _, ok := s.Properties[name]; !ok {
				t.Errorf("%s: the document does not know %s", path, name)
			}
		}
	}
}
