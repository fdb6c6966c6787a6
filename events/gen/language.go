package main

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/relevo-ci/relevo/events"
)

// A language is the published language with what its sources say of it.
type language struct {
	events []event
	// defs holds the schema of each payload, and of each value that payloads
	// are made of, by the name of its Go type.
	defs jsonschema.Definitions
}

// An event is a row of the Catalog and what follows from its Go type.
type event struct {
	events.Entry
	// Go is the name of the payload's type.
	Go string
	// Subject with the payload's fields in place: run/{run}/job/{job}.
	Subject string
	// OfRun tells that the event belongs to a run and carries its id.
	OfRun bool
}

// Tail is the type without what all types share: run.requested.
func (e event) Tail() string {
	parts := strings.Split(string(e.Type), ".")
	return strings.Join(parts[3:len(parts)-1], ".")
}

// readLanguage reflects over the Catalog and reads the sources in dir for
// comments and for the values of enumerations.
func readLanguage(dir string) (*language, error) {
	src, err := readSource(dir)
	if err != nil {
		return nil, err
	}
	l := &language{defs: jsonschema.Definitions{}}
	reflector := src.reflector()
	for _, entry := range events.Catalog() {
		data, ok := entry.New().(events.Data)
		if !ok {
			return nil, fmt.Errorf("%s: its payload is no events.Data", entry.Type)
		}
		payload := reflect.TypeOf(data).Elem()
		for name, def := range reflector.ReflectFromType(payload).Definitions {
			l.defs[name] = def
		}
		_, ofRun := data.(interface{ RunOf() events.RunID })
		placeholders(reflect.ValueOf(data).Elem(), "")
		l.events = append(l.events, event{
			Entry: entry, Go: payload.Name(), Subject: data.Subject(), OfRun: ofRun,
		})
	}
	if err := narrow(l.defs); err != nil {
		return nil, err
	}
	return l, l.documented()
}

// placeholders sets every string of a payload to the place that it has in the
// JSON, in braces, so that Subject shows how it is made.
func placeholders(v reflect.Value, prefix string) {
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous:
			placeholders(value, prefix)
		case value.Kind() == reflect.Struct && field.Type.PkgPath() == source:
			placeholders(value, prefix+name+".")
		case value.Kind() == reflect.String:
			value.SetString("{" + prefix + name + "}")
		}
	}
}

// documented returns an error for a type or field without a comment: the
// comment is all that a reader of the schema gets to know.
func (l *language) documented() error {
	var missing []string
	for name, def := range l.defs {
		if def.Description == "" {
			missing = append(missing, name)
		}
		if def.Properties == nil {
			continue
		}
		for p := def.Properties.Oldest(); p != nil; p = p.Next() {
			if p.Value.Description == "" {
				missing = append(missing, name+"."+p.Key)
			}
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("without a comment: %s", strings.Join(sorted(missing), ", "))
	}
	return nil
}
