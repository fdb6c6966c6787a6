package relevo

import (
	"context"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/client"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/relevo-ci/relevo/config"
	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/knative"
	"github.com/relevo-ci/relevo/shared/redis/server"
)

// What func's runtime looks for; it finds each by its signature.
var _ interface {
	Handle(context.Context, event.Event) (*event.Event, error)
	Start(context.Context, map[string]string) error
	Stop(context.Context) error
	Ready(context.Context) (bool, error)
	Alive(context.Context) (bool, error)
} = New()

// TestFuncFindsOneFunction holds what `func build` looks at: a top-level New or
// Handle, one of them, in the Go files of this folder, tests included; and a
// func.yaml that says CloudEvents and leaves the choice of function open.
func TestFuncFindsOneFunction(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && (f.Name.Name == "New" || f.Name.Name == "Handle") {
				found = append(found, name+" "+f.Name.Name)
			}
		}
	}
	if len(found) != 1 || found[0] != "function.go New" {
		t.Errorf("func finds %q", found)
	}
	raw, err := os.ReadFile("func.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"specVersion: 0.36.0\n", "\ncreated: 2", "\ninvoke: cloudevent\n", "\nruntime: go\n"} {
		if !strings.Contains(string(raw), line) {
			t.Errorf("func.yaml lacks %q", line)
		}
	}
	if strings.Contains(string(raw), "FUNCTION") {
		t.Error("func.yaml sets FUNCTION, which would be baked into the image")
	}
}

// behindFunc serves f as func's runtime does: by the SDK's own handler.
func behindFunc(t *testing.T, f *Function) string {
	t.Helper()
	protocol, err := cehttp.New()
	if err != nil {
		t.Fatal(err)
	}
	handler, err := client.NewHTTPReceiveHandler(t.Context(), protocol, f.Handle)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// standing is a Function whose deliveries go to deliver.
func standing(t *testing.T, deliver func(events.Envelope) (*events.Envelope, error), told *[]string) *Function {
	t.Helper()
	f := &Function{open: func(context.Context, config.Config) (served, error) {
		return served{
			deliver:   func(_ context.Context, e events.Envelope) (*events.Envelope, error) { return deliver(e) },
			published: func(id string) { *told = append(*told, id) },
			ready:     func(context.Context) error { return nil },
			close:     func() error { return nil },
		}, nil
	}}
	if err := f.Start(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return f
}

var full = events.Envelope{
	ID: "1", Source: "/relevo/test", Type: "t.a", Subject: "group/a b%é", Time: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC),
	CauseID: "0", RunID: "r", Sequence: 1 << 40, PartitionKey: "r", Traceparent: "00-1-2-03", Tracestate: "a=b c",
	Data: []byte(`{"a":1}`),
}

// TestEventsPassUnchanged sends an event through func's runtime and takes it
// back as the reply.
func TestEventsPassUnchanged(t *testing.T) {
	var got events.Envelope
	var told []string
	url := behindFunc(t, standing(t, func(e events.Envelope) (*events.Envelope, error) {
		got = e
		e.ID = "2"
		return &e, nil
	}, &told))
	reply, err := (&knative.Sender{Tries: 1}).Ask(t.Context(), url, full)
	if err != nil || reply == nil {
		t.Fatal(reply, err)
	}
	want := full
	want.ID = "2"
	for what, pair := range map[string][2]events.Envelope{"delivered": {got, full}, "replied": {*reply, want}} {
		a, _ := json.Marshal(pair[0])
		b, _ := json.Marshal(pair[1])
		if string(a) != string(b) {
			t.Errorf("%s:\n got %s\nwant %s", what, a, b)
		}
	}
	if len(told) != 1 || told[0] != "2" {
		t.Errorf("told of %q", told)
	}
}

func TestAnswersAsABrokerNeedsThem(t *testing.T) {
	for name, c := range map[string]struct {
		e      string
		err    error
		status int
	}{
		"nothing emitted": {`"type":"t.a"`, nil, http.StatusOK},
		"again":           {`"type":"t.a"`, errors.New("redis is away"), http.StatusServiceUnavailable},
		"never":           {`"type":"t.a"`, fn.Faultf(fn.Conflict, "no"), http.StatusUnprocessableEntity},
		"not ours":        {`"type":"t.a","sequence":"x"`, nil, http.StatusBadRequest},
	} {
		var told []string
		url := behindFunc(t, standing(t, func(events.Envelope) (*events.Envelope, error) { return nil, c.err }, &told))
		status, body := post(t, url, `{"specversion":"1.0","id":"1","source":"/x",`+c.e+`}`)
		if status != c.status || c.status == http.StatusOK && body != "" {
			t.Errorf("%s: %d %q, want %d", name, status, body, c.status)
		}
	}
}

func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	response, err := http.Post(url, "application/cloudevents+json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(said)
}

// TestLife is a whole one, over a Redis that goes away in the middle.
func TestLife(t *testing.T) {
	store, err := server.StartEmbedded()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	f := New()
	url := behindFunc(t, f)
	now := time.Now()
	e, err := events.New("1", "/relevo/test", "", now, events.CapacityUpdated{
		Pool: "default", Node: "n1", Provider: "fake", Capacity: events.Resources{CPU: 1000, Memory: 1 << 30, Slots: 1}, Since: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	holds := func(when string, wantReady bool, wantStatus int) {
		t.Helper()
		if ready, _ := f.Ready(t.Context()); ready != wantReady {
			t.Errorf("%s: ready %v", when, ready)
		}
		if alive, err := f.Alive(t.Context()); !alive || err != nil {
			t.Errorf("%s: alive %v %v", when, alive, err)
		}
		if status, body := post(t, url, string(raw)); status != wantStatus {
			t.Errorf("%s: %d %s, want %d", when, status, body, wantStatus)
		}
	}
	holds("before the start", false, http.StatusServiceUnavailable)
	if err := f.Start(t.Context(), map[string]string{"RELEVO_REDIS_URL": store.URL(), "K_SERVICE": "capacity-updated"}); err != nil {
		t.Fatal(err)
	}
	holds("started", true, http.StatusOK)
	store.Close()
	holds("without Redis", false, http.StatusServiceUnavailable)
	if err := f.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	holds("stopped", false, http.StatusServiceUnavailable)
	if err := f.Stop(t.Context()); err != nil {
		t.Errorf("a second stop: %v", err)
	}
}

func TestStartTellsWhatIsMissing(t *testing.T) {
	for want, settings := range map[string]map[string]string{
		"hosted: RELEVO_REDIS_URL is not set":              {},
		`config: RELEVO_BUS_TRIES: "x" is no whole number`: {"RELEVO_BUS_TRIES": "x"},
	} {
		if err := New().Start(t.Context(), settings); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
