package language

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// places of pipeline files, as they stand in the reference.
var places = []*Place{
	Workflow, Defaults, DefaultsRun, Concurrency, Job, Strategy, RunsOn, Container, Step, Checkout, Emit,
	Await, Retry, Resources, Affinity, Preference,
	Push, PullRequest, MergeGroup, TypedEvent, PlainEvent, Schedule, CloudEvents, Dispatch, Input,
}

// overlayPlaces are those of the overlay.
var overlayPlaces = []*Place{Overlay, OverlayWorkflow, OverlayJob, Retry, Resources, Affinity, Preference}

// Schema is the JSON Schema of pipeline files, for editors.
func Schema() ([]byte, error) {
	return schema("Relevo pipeline", "A file in .relevo, but for overlay.yaml.", Workflow, places)
}

// OverlaySchema is the JSON Schema of .relevo/overlay.yaml.
func OverlaySchema() ([]byte, error) {
	return schema("Relevo overlay", "The file .relevo/overlay.yaml.", Overlay, overlayPlaces)
}

func schema(title, about string, root *Place, places []*Place) ([]byte, error) {
	definitions := Shape{}
	for _, p := range places {
		definitions[p.ID] = p.shape()
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(Shape{
		"$schema":     "http://json-schema.org/draft-07/schema#",
		"title":       title,
		"description": about,
		"allOf":       []Shape{ref(root)},
		"definitions": definitions,
	})
	if err != nil {
		return nil, fmt.Errorf("language: write schema: %w", err)
	}
	return out.Bytes(), nil
}

// shape is the definition of a place: no other keys than its own.
func (p *Place) shape() Shape {
	properties := Shape{}
	var required []string
	for _, k := range p.Keys {
		if k.Support == Refused {
			continue
		}
		// In draft 7, what stands beside a $ref is ignored.
		properties[k.Name] = Shape{"description": k.Doc, "allOf": []Shape{k.Value}}
		if k.Required {
			required = append(required, k.Name)
		}
	}
	s := Shape{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	var choices []Shape
	for _, name := range p.OneOf {
		choices = append(choices, Shape{"required": []string{name}})
	}
	if len(choices) > 0 {
		s["oneOf"] = choices
	}
	return s
}

// File is one generated file.
type File struct {
	Path string // below docs/, with slashes
	Make func() ([]byte, error)
}

// Generated lists the files that are made of the table.
func Generated() []File {
	return []File{
		{"language.md", Reference},
		{"schema/pipeline.schema.json", Schema},
		{"schema/overlay.schema.json", OverlaySchema},
	}
}

// Places lists the mappings of pipeline files whose keys are known.
func Places() []*Place { return places }
