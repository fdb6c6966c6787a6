package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"

	"github.com/invopop/jsonschema"
)

// schemaBase is where the schemas' ids begin. They are names; nothing is
// fetched from there.
const schemaBase = "https://relevo.dev/schemas/"

// generate makes every generated file, by path.
func generate(l *language) (map[string][]byte, error) {
	schemas := map[string]*jsonschema.Schema{
		"envelope.json": l.envelopeFile(),
		"bundle.json":   l.bundle(),
	}
	for _, e := range l.events {
		schemas[string(e.Type)+".json"] = l.payloadFile(e)
	}
	files := map[string][]byte{}
	for name, schema := range schemas {
		text, err := encode(schema)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		files[filepath.Join(root, "schemas", name)] = text
	}
	files[filepath.Join(root, "..", "docs", "events.md")] = l.reference()
	return files, nil
}

// encode writes JSON as people read it.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return b.Bytes(), err
}

// payloadFile is an event's payload as a schema that stands alone.
func (l *language) payloadFile(e event) *jsonschema.Schema {
	s := *l.defs[e.Go]
	s.Version = jsonschema.Version
	s.ID = jsonschema.ID(schemaBase + string(e.Type) + ".json")
	s.Title = e.Go
	s.Definitions = jsonschema.Definitions{}
	l.addReferenced(s.Definitions, &s)
	return &s
}

// addReferenced adds to defs whatever s refers to.
func (l *language) addReferenced(defs jsonschema.Definitions, s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if name := refName(s.Ref); name != "" && defs[name] == nil {
		defs[name] = l.defs[name]
		l.addReferenced(defs, l.defs[name])
	}
	l.addReferenced(defs, s.Items)
	l.addReferenced(defs, s.AdditionalProperties)
	if s.Properties != nil {
		for p := s.Properties.Oldest(); p != nil; p = p.Next() {
			l.addReferenced(defs, p.Value)
		}
	}
}

// bundle is one schema for every event of the language, each with its payload.
// Its definitions are the envelope, every payload and value by the name of its
// Go type, and every whole event by its event type.
func (l *language) bundle() *jsonschema.Schema {
	s := &jsonschema.Schema{
		Version:     jsonschema.Version,
		ID:          schemaBase + "bundle.json",
		Title:       "Event",
		Description: "Any event of Relevo: a CloudEvent in its structured JSON form, with the payload that its type asks for.",
		Definitions: maps.Clone(l.defs),
		AllOf:       []*jsonschema.Schema{ref("Envelope")},
	}
	s.Definitions["Envelope"] = l.envelope()
	for _, e := range l.events {
		s.Definitions[string(e.Type)] = e.whole()
		ofType := object(property{"type", &jsonschema.Schema{Const: e.Type}})
		ofType.Required = []string{"type"}
		s.AllOf = append(s.AllOf, &jsonschema.Schema{If: ofType, Then: ref(string(e.Type))})
	}
	return s
}

// types lists the event types, in the Catalog's order.
func (l *language) types() []any {
	var types []any
	for _, e := range l.events {
		types = append(types, e.Type)
	}
	return types
}
