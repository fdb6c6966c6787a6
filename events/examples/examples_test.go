package examples_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"reflect"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/events/examples"
	"github.com/relevo-ci/relevo/events/schema"
)

// each calls test with every event type's example.
func each(t *testing.T, test func(t *testing.T, entry events.Entry, example []byte)) {
	for _, entry := range events.Catalog() {
		t.Run(string(entry.Type), func(t *testing.T) {
			example, err := examples.Files.ReadFile(string(entry.Type) + ".json")
			if err != nil {
				t.Fatalf("add an example of %T: %v", entry.New(), err)
			}
			test(t, entry, example)
		})
	}
}

func TestExamplesAreValid(t *testing.T) {
	each(t, func(t *testing.T, _ events.Entry, example []byte) {
		if err := schema.Validate(example); err != nil {
			t.Error(err)
		}
	})
}

// Nothing of an example is lost on its way through the Go types.
func TestExamplesRoundTrip(t *testing.T) {
	each(t, func(t *testing.T, entry events.Entry, example []byte) {
		var e events.Envelope
		if err := json.Unmarshal(example, &e); err != nil {
			t.Fatal(err)
		}
		if e.Type != entry.Type {
			t.Fatalf("is an example of %s", e.Type)
		}
		payload := entry.New()
		dec := json.NewDecoder(bytes.NewReader(e.Data))
		dec.DisallowUnknownFields()
		if err := dec.Decode(payload); err != nil {
			t.Fatal(err)
		}
		var err error
		if e.Data, err = json.Marshal(payload); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if want, got := value(t, example), value(t, again); !reflect.DeepEqual(want, got) {
			t.Errorf("came back as %s", again)
		}
	})
}

func value(t *testing.T, raw []byte) any {
	t.Helper()
	var v any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Whoever reads an example sees every field that there is.
func TestExamplesShowEveryField(t *testing.T) {
	each(t, func(t *testing.T, entry events.Entry, example []byte) {
		var e events.Envelope
		if err := json.Unmarshal(example, &e); err != nil {
			t.Fatal(err)
		}
		payload := entry.New()
		if err := json.Unmarshal(e.Data, payload); err != nil {
			t.Fatal(err)
		}
		for _, field := range unset(reflect.ValueOf(payload).Elem(), "data") {
			t.Errorf("%s is not shown", field)
		}
	})
}

// unset lists the fields that may be left out, and were.
func unset(v reflect.Value, at string) []string {
	var found []string
	switch {
	case v.Kind() == reflect.Pointer && !v.IsNil():
		return unset(v.Elem(), at)
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		for i := range v.Len() {
			found = append(found, unset(v.Index(i), at+"[]")...)
		}
	case v.Kind() == reflect.Struct && strings.HasSuffix(v.Type().PkgPath(), "/events"):
		for i := range v.NumField() {
			field := v.Type().Field(i)
			name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			if strings.Contains(options, "omit") && v.Field(i).IsZero() {
				found = append(found, at+"."+name)
				continue
			}
			if !field.Anonymous {
				name = at + "." + name
			} else {
				name = at
			}
			found = append(found, unset(v.Field(i), name)...)
		}
	}
	return found
}

func TestNoExampleTooMany(t *testing.T) {
	entries, err := fs.ReadDir(examples.Files, ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range entries {
		typ := events.Type(strings.TrimSuffix(file.Name(), ".json"))
		if _, ok := events.Find(typ); !ok {
			t.Errorf("%s is an example of no event", file.Name())
		}
	}
}
