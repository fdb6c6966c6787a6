package main

import (
	"regexp"
	"strings"

	"github.com/invopop/jsonschema"
)

// envelope is the structured JSON form of CloudEvents 1.0 as this system emits
// it, without the payload. Other extensions may be there: they have the names
// and types that CloudEvents allows.
func (l *language) envelope() *jsonschema.Schema {
	text := func(description string) *jsonschema.Schema {
		one := uint64(1)
		return &jsonschema.Schema{Type: "string", MinLength: &one, Description: description}
	}
	form := func(pattern, description string) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "string", Pattern: pattern, Description: description}
	}
	at := form(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$`,
		"The store's time, in UTC, to the millisecond.")
	at.Format = "date-time"
	s := object(
		property{"specversion", &jsonschema.Schema{Type: "string", Const: "1.0", Description: "The version of CloudEvents."}},
		property{"id", text("Derived from the cause, so that an event emitted twice has one id.")},
		property{"source", form(`^/relevo/.+$`, "/relevo/<function>: who emitted the event.")},
		property{"type", &jsonschema.Schema{Type: "string", Enum: l.types(), Description: "The event type."}},
		property{"subject", text("The aggregate that the event speaks of.")},
		property{"time", at},
		property{"datacontenttype", &jsonschema.Schema{Type: "string", Const: "application/json", Description: "The form of data."}},
		property{"causeid", text("The id of the event that led to this one; absent for a first cause.")},
		property{"runid", form(runIDPattern, "The run, where there is one.")},
		property{"sequence", form(`^[1-9][0-9]*$`, "Rises strictly within one subject, with gaps; absent where the subject has no ledger.")},
		property{"partitionkey", text("Keeps the order of one run on brokers that partition.")},
		property{"traceparent", form(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`, "W3C trace context.")},
		property{"tracestate", text("W3C trace context, as the tracing systems pass it on.")},
		property{"epoch", form(`^[1-9][0-9]*$`, "The store's epoch whose state the event tells of; absent where it tells of the world outside. One of an epoch that is over is dropped.")},
		property{"data", &jsonschema.Schema{Description: "The payload."}},
	)
	s.Title = "Envelope"
	s.Description = "The attributes of a CloudEvent 1.0 and the extensions that every event of Relevo may carry."
	s.Required = []string{"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"}
	s.PropertyNames = &jsonschema.Schema{Pattern: `^[a-z0-9]+$`}
	s.AdditionalProperties = extension()
	return s
}

// extension is the value of an attribute that is not ours.
func extension() *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string"}, {Type: "boolean"}, {Type: "integer"}}}
}

// envelopeFile is the envelope as a schema that stands alone.
func (l *language) envelopeFile() *jsonschema.Schema {
	s := l.envelope()
	s.Version = jsonschema.Version
	s.ID = schemaBase + "envelope.json"
	return s
}

// whole is an event with its payload. An event that belongs to a run says so
// beside the payload too, where brokers can see it.
func (e event) whole() *jsonschema.Schema {
	s := object(
		property{"type", &jsonschema.Schema{Const: e.Type}},
		property{"subject", &jsonschema.Schema{Pattern: subjectPattern(e.Subject)}},
		property{"data", ref(e.Go)},
	)
	s.AllOf = []*jsonschema.Schema{ref("Envelope")}
	if e.OfRun {
		s.Required = []string{"runid", "partitionkey"}
	}
	return s
}

var placeholder = regexp.MustCompile(`\{[^}]+\}`)

// subjectPattern matches the subjects that a template describes.
func subjectPattern(template string) string {
	parts := placeholder.Split(template, -1)
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return "^" + strings.Join(parts, ".+") + "$"
}

type property struct {
	name   string
	schema *jsonschema.Schema
}

func object(properties ...property) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "object", Properties: jsonschema.NewProperties()}
	for _, p := range properties {
		s.Properties.Set(p.name, p.schema)
	}
	return s
}

const defsPrefix = "#/$defs/"

func ref(name string) *jsonschema.Schema { return &jsonschema.Schema{Ref: defsPrefix + name} }

// refName is the name of the definition that a reference leads to.
func refName(ref string) string { return strings.TrimPrefix(ref, defsPrefix) }
