// Package asyncapi describes the published language as an AsyncAPI 3.0
// document: a channel for each event type, its message, and who sends and
// receives it.
package asyncapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"

	"github.com/relevo-ci/relevo/events"
)

// A Receiver is a function that an event is delivered to.
type Receiver struct {
	// Name of the function.
	Name string
	// Context owns the function.
	Context events.Context
	// On is the event type that it takes; "*" for every one.
	On events.Type
	// Doc says in a line what it does.
	Doc string
}

// Document writes the AsyncAPI document. It needs the bundle of schemas (see
// package schemas) and an example of each event, in files called by its type.
// Who sends an event is known from the Catalog; who receives it the functions'
// table knows, which package events cannot import: whoever can passes it on.
func Document(bundle []byte, examples fs.FS, receivers []Receiver) ([]byte, error) {
	var schemas struct {
		Defs map[string]json.RawMessage `json:"$defs"`
	}
	if err := json.Unmarshal(bundle, &schemas); err != nil {
		return nil, fmt.Errorf("asyncapi: read the bundle: %w", err)
	}
	d := document{
		AsyncAPI:           "3.0.0",
		Info:               about,
		DefaultContentType: "application/cloudevents+json",
		Channels:           map[string]channel{},
		Operations:         map[string]operation{},
		Components:         components{Messages: map[string]message{}, Schemas: map[string]json.RawMessage{}},
	}
	for name, schema := range schemas.Defs {
		d.Components.Schemas[name] = bytes.ReplaceAll(schema, []byte(`"#/$defs/`), []byte(`"#/components/schemas/`))
	}
	for _, entry := range events.Catalog() {
		example, err := fs.ReadFile(examples, string(entry.Type)+".json")
		if err != nil {
			return nil, fmt.Errorf("asyncapi: %s: %w", entry.Type, err)
		}
		if err := d.add(entry, example); err != nil {
			return nil, fmt.Errorf("asyncapi: %s: %w", entry.Type, err)
		}
	}
	for _, r := range receivers {
		d.receive(r)
	}
	return d.encode()
}

var about = info{
	Title:   "Relevo",
	Version: "1.0.0",
	Description: "The events by which the functions of Relevo hand work to each other. Each is a CloudEvent 1.0. " +
		"An event may come twice, late or before its predecessor; its id is the same each time. " +
		"A payload may have fields that this document does not name.",
	License: license{Name: "Apache-2.0"},
}

// add describes one event: its channel, its message and its sender.
func (d *document) add(entry events.Entry, example []byte) error {
	typ := string(entry.Type)
	var whole struct {
		Properties struct {
			Data reference `json:"data"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(d.Components.Schemas[typ], &whole); err != nil {
		return err
	}
	// The payload's schema is called by the name of its Go type.
	name := whole.Properties.Data.name()
	var payload struct {
		Description string `json:"description"`
	}
	if err := json.Unmarshal(d.Components.Schemas[name], &payload); err != nil {
		return err
	}
	context := []tag{{Name: string(entry.Context)}}
	d.Components.Messages[name] = message{
		Name: typ, Title: name, Summary: payload.Description, Tags: context,
		CorrelationID: &correlation{"The event that led to this one.", "$message.payload#/causeid"},
		Payload:       reference{"#/components/schemas/" + typ},
		Examples:      []messageExample{{Payload: example}},
	}
	key := channelOf(entry.Type)
	d.Channels[key] = channel{
		Address: typ, Summary: payload.Description, Tags: context,
		Messages: map[string]reference{name: {"#/components/messages/" + name}},
	}
	d.Operations["send-"+key] = operation{
		Action: "send", Channel: reference{"#/channels/" + key}, Tags: context,
		Summary:  fmt.Sprintf("The %s context publishes it.", entry.Context),
		Messages: []reference{{"#/channels/" + key + "/messages/" + name}},
	}
	return nil
}

// receive describes a function: one operation for each event that it takes.
func (d *document) receive(r Receiver) {
	for _, entry := range events.Catalog() {
		key := channelOf(entry.Type)
		name := r.Name
		switch r.On {
		case entry.Type:
		case "*":
			name += "-" + key
		default:
			continue
		}
		op := operation{
			Action: "receive", Channel: reference{"#/channels/" + key},
			Tags: []tag{{Name: string(r.Context)}}, Summary: r.Doc,
		}
		for message := range d.Channels[key].Messages {
			op.Messages = append(op.Messages, reference{"#/channels/" + key + "/messages/" + message})
		}
		d.Operations["receive-"+name] = op
	}
}

// channelOf names the channel of an event type by its tail, as functions are
// named: job-requested.
func channelOf(t events.Type) string {
	parts := strings.Split(string(t), ".")
	return strings.Join(parts[3:len(parts)-1], "-")
}
