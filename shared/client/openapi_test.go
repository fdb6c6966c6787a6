package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/relevo-ci/relevo/shared/client"
)

// unreached are operations without a method, and why that is so.
var unreached = map[string]string{
	"scrapeMetrics":    "Prometheus asks for it, in a format of its own; Metrics is for programs",
	"listJobsForPages": "another address of listJobs, which Jobs asks",
	"sendEvents":       "other systems send CloudEvents, with an SDK of CloudEvents",
}

// unsent are parameters of an operation that no method sends, and why that is so.
var unsent = map[string]string{
	"showLogs line lines":                        "Logs reads by bytes, and LogIndex tells where lines begin",
	"watchEvents after":                          "Events sends it as the header Last-Event-ID",
	"rebuildLists after":                         "Rebuild sends it from the second step on",
	"listAudit principal action project outcome": "nobody looks for something in the audit by a program",
	"listTraces event since until q repository actor sha project branch": "Runs finds the run that Trace is asked of",
}

// excused tells why no method sends a parameter of an operation; empty: one must.
func excused(operation, parameter string) string {
	for names, why := range unsent {
		if f := strings.Fields(names); f[0] == operation && slices.Contains(f[1:], parameter) {
			return why
		}
	}
	return ""
}

// operation is one of docs/openapi.yaml.
type operation struct {
	id, method string
	path       []string // its segments; {…} is any
	query      map[string]bool
}

// operations reads the document, which is generated from the handlers.
func operations(t *testing.T) []operation {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "docs", "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Paths map[string]map[string]struct {
			ID         string `yaml:"operationId"`
			Parameters []struct{ Name, In string }
		}
	}
	if err := yaml.Unmarshal(raw, &document); err != nil {
		t.Fatal(err)
	}
	var all []operation
	for path, methods := range document.Paths {
		for method, o := range methods {
			found := operation{id: o.ID, method: strings.ToUpper(method), path: strings.Split(path, "/"), query: map[string]bool{}}
			for _, p := range o.Parameters {
				if p.In == "query" {
					found.query[p.Name] = false
				}
			}
			all = append(all, found)
		}
	}
	return all
}

// is tells whether a request is one for the operation.
func (o operation) is(r *http.Request) bool {
	segments := strings.Split(r.URL.EscapedPath(), "/")
	return r.Method == o.method && slices.EqualFunc(o.path, segments, func(pattern, s string) bool {
		return pattern == s || strings.HasPrefix(pattern, "{") && s == url.PathEscape(odd)
	})
}

// odd is an id that is one segment of a path if it was escaped.
const odd = "an/id?of#all%2F"

// sample makes a value of a type in which nothing is empty.
func sample(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	switch {
	case t == reflect.TypeFor[context.Context]():
		return reflect.ValueOf(context.Background())
	case t == reflect.TypeFor[io.Writer]():
		return reflect.ValueOf(io.Discard)
	case t == reflect.TypeFor[time.Time]():
		return reflect.ValueOf(time.Unix(1_000_000, 0))
	}
	switch t.Kind() {
	case reflect.String:
		v.SetString(odd)
	case reflect.Int, reflect.Int64:
		v.SetInt(3)
	case reflect.Uint64:
		v.SetUint(3)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Slice:
		if t.Elem().Kind() != reflect.Uint8 { // a json.RawMessage would have to be JSON
			v = reflect.Append(v, sample(t.Elem()))
		}
	case reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		v.Elem().Set(sample(t.Elem()))
	case reflect.Struct:
		for i := range t.NumField() {
			if t.Field(i).IsExported() {
				v.Field(i).Set(sample(t.Field(i).Type))
			}
		}
	case reflect.Func:
		v = reflect.Zero(t)
	}
	return v
}

// call calls a method with nothing left empty, and gives its error.
func call(method reflect.Value) error {
	var in []reflect.Value
	for i := range method.Type().NumIn() {
		in = append(in, sample(method.Type().In(i)))
	}
	for _, out := range method.Call(in) {
		switch v := out.Interface().(type) {
		case error:
			return v
		case iter.Seq2[client.Event, error]:
			for _, err := range v {
				return err
			}
		}
	}
	return nil
}

// TestEveryOperationHasAMethod calls every method of the client against a server
// that notes what it is asked: each asks for an operation of the document with
// what that takes, and for each operation and parameter there is one that does.
func TestEveryOperationHasAMethod(t *testing.T) {
	all := operations(t)
	methods := map[string][]string{} // by operation
	current := ""
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusNotFound, client.Problem{Status: http.StatusNotFound, Title: "Not Found"})
		i := slices.IndexFunc(all, func(o operation) bool { return o.is(r) })
		if i < 0 {
			t.Errorf("%s asks %s %s, which is no operation", current, r.Method, r.URL.EscapedPath())
			return
		}
		methods[all[i].id] = append(methods[all[i].id], current)
		for name := range r.URL.Query() {
			if _, known := all[i].query[name]; !known {
				t.Errorf("%s sends %s, which %s does not take", current, name, all[i].id)
			}
			all[i].query[name] = true
		}
	})
	object := reflect.ValueOf(c)
	for i := range object.NumMethod() {
		current = object.Type().Method(i).Name
		before := fmt.Sprint(methods)
		if err := call(object.Method(i)); !errors.Is(err, client.ErrNotFound) {
			t.Errorf("%s: %v", current, err)
		}
		if fmt.Sprint(methods) == before {
			t.Errorf("%s asks for nothing", current)
		}
	}
	for _, o := range all {
		without := unreached[o.id]
		if reached := len(methods[o.id]) > 0; reached == (without != "") {
			t.Errorf("%s %s (%s): methods %v, excused: %q", o.method, strings.Join(o.path, "/"), o.id, methods[o.id], without)
		}
		for name, sent := range o.query {
			if why := excused(o.id, name); without == "" && sent == (why != "") {
				t.Errorf("%s takes %s: sent %t, excused: %q", o.id, name, sent, why)
			}
		}
	}
	for id := range unreached {
		if !slices.ContainsFunc(all, func(o operation) bool { return o.id == id }) {
			t.Errorf("%s is excused and no operation", id)
		}
	}
	for names := range unsent {
		f := strings.Fields(names)
		for _, name := range f[1:] {
			if !slices.ContainsFunc(all, func(o operation) bool { _, takes := o.query[name]; return o.id == f[0] && takes }) {
				t.Errorf("%s takes no %s, and is excused for it", f[0], name)
			}
		}
	}
}
