package knative_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"pgregory.net/rapid"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/knative"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// record keeps what a function got and lets it emit what is set.
type record struct {
	mu   sync.Mutex
	got  []events.Envelope
	emit []events.Envelope
	err  error
}

func (c *record) function(name string, typ events.Type) fn.Function {
	return fn.Function{Name: name, On: typ, Handle: func(_ context.Context, e events.Envelope) ([]events.Envelope, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.got = append(c.got, e)
		return c.emit, c.err
	}}
}

func (c *record) all() []events.Envelope {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.got)
}

func host(t *testing.T, opts knative.Options, functions ...fn.Function) *httptest.Server {
	t.Helper()
	opts.Log = quiet
	server := httptest.NewServer(knative.Handler(functions, opts))
	t.Cleanup(server.Close)
	return server
}

// post sends a body with headers given as name, value, …
func post(t *testing.T, url, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	return do(t, request)
}

func do(t *testing.T, request *http.Request) (*http.Response, string) {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

func postStructured(t *testing.T, url string, e events.Envelope) (*http.Response, string) {
	t.Helper()
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return post(t, url, string(raw), "Content-Type", "application/cloudevents+json; charset=utf-8")
}

// isProblem holds an answer against RFC 9457.
func isProblem(t *testing.T, what string, response *http.Response, body string, status int) {
	t.Helper()
	var p struct {
		Type, Title, Detail string
		Status              int
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Errorf("%s: %s %q: %v", what, response.Status, body, err)
		return
	}
	if response.StatusCode != status || p.Status != status || p.Title == "" || p.Detail == "" ||
		response.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s: got %s %s, want %d", what, response.Status, body, status)
	}
}

var small = events.Envelope{ID: "1", Source: "/relevo/test", Type: "t.a"}

// TestWireIsLossless sends any event in both modes and takes it back as the
// reply, over a real connection.
func TestWireIsLossless(t *testing.T) {
	var c record
	server := host(t, knative.Options{}, c.function("f", "t.a"))
	rapid.Check(t, func(r *rapid.T) {
		e := drawEnvelope(r)
		c.got, c.emit = nil, nil
		if err := (&knative.Sender{Tries: 1}).Send(t.Context(), server.URL, e); err != nil {
			r.Fatal(err)
		}
		c.emit = []events.Envelope{e}
		response, body := postStructured(t, server.URL, e)
		if response.StatusCode != http.StatusOK {
			r.Fatal(response.Status, body)
		}
		for i, got := range c.got {
			if !reflect.DeepEqual(got, e) {
				r.Errorf("delivery %d:\ngot  %+v\nwant %+v", i, got, e)
			}
		}
		reply, err := cehttp.NewEventFromHTTPResponse(&http.Response{Header: response.Header, Body: io.NopCloser(strings.NewReader(body))})
		if err != nil {
			r.Fatal(err)
		}
		got, err := knative.FromEvent(*reply)
		if got = knative.Unescape(got); err != nil || !reflect.DeepEqual(got, e) || len(c.got) != 2 {
			r.Errorf("reply:\ngot  %+v\nwant %+v\n%v, %d deliveries", got, e, err, len(c.got))
		}
	})
}

// TestTakesWhatTheSDKSends is for other systems that speak CloudEvents.
func TestTakesWhatTheSDKSends(t *testing.T) {
	var c record
	server := host(t, knative.Options{}, c.function("f", "t.a"))
	e := event.New()
	e.SetID("1")
	e.SetSource("https://example.org/x?y=z")
	e.SetType("org.example.thing")
	e.SetSubject("a thing")
	if err := e.SetData(event.ApplicationJSON, map[string]int{"n": 1}); err != nil {
		t.Fatal(err)
	}
	request, err := cehttp.NewHTTPRequestFromEvent(t.Context(), server.URL, e)
	if err != nil {
		t.Fatal(err)
	}
	response, body := do(t, request)
	if response.StatusCode != http.StatusAccepted || body != "" {
		t.Errorf("%s %q", response.Status, body)
	}
	want := events.Envelope{ID: "1", Source: "https://example.org/x?y=z", Type: "org.example.thing", Subject: "a thing", Data: []byte(`{"n":1}`)}
	if got := c.all(); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestMalformedRequests(t *testing.T) {
	var c record
	server := host(t, knative.Options{Limit: 1000}, c.function("f", "t.a"))
	const structured = "application/cloudevents+json"
	binary := func(more ...string) []string {
		return append([]string{"Ce-Specversion", "1.0", "Ce-Id", "1", "Ce-Source", "/x", "Ce-Type", "t.a", "Content-Type", "application/json"}, more...)
	}
	for name, c := range map[string]struct {
		body    string
		headers []string
		status  int
	}{
		"nothing":            {"", nil, 400},
		"plain JSON":         {"{}", []string{"Content-Type", "application/json"}, 400},
		"batch":              {"[]", []string{"Content-Type", "application/cloudevents-batch+json"}, 415},
		"unknown format":     {"<x/>", []string{"Content-Type", "application/cloudevents+xml"}, 400},
		"no object":          {"7", []string{"Content-Type", structured}, 400},
		"cut off":            {`{"specversion":"1.0","id`, []string{"Content-Type", structured}, 400},
		"no version":         {`{"id":"1","source":"/x","type":"t.a"}`, []string{"Content-Type", structured}, 400},
		"version 0.3":        {`{"specversion":"0.3","id":"1","source":"/x","type":"t.a"}`, []string{"Content-Type", structured}, 400},
		"no id":              {`{"specversion":"1.0","source":"/x","type":"t.a"}`, []string{"Content-Type", structured}, 400},
		"base64 of a number": {`{"data_base64":1,"specversion":"1.0","id":"1","source":"/x","type":"t.a"}`, []string{"Content-Type", structured}, 400},
		"sequence":           {`{"specversion":"1.0","id":"1","source":"/x","type":"t.a","sequence":"x"}`, []string{"Content-Type", structured}, 400},
		"too large":          {`{"specversion":"1.0","id":"` + strings.Repeat("x", 1000) + `"`, []string{"Content-Type", structured}, 413},
		"binary, no JSON":    {"{", binary(), 400},
		"binary, XML":        {"<x/>", binary("Content-Type", "text/xml"), 400},
		"binary, version 2":  {"{}", binary("Ce-Specversion", "2.0"), 400},
		"binary, time":       {"{}", binary("Ce-Time", "yesterday"), 400},
		"binary, a bare Ce-": {"{}", binary("Ce-", "x"), 400},
		"binary, blank type": {"{}", binary("Ce-Type", `"%20"`), 400},
		"binary, no UTF-8":   {"{}", binary("Ce-Subject", "%FF"), 400},
		"binary, too large":  {`"` + strings.Repeat("x", 1000) + `"`, binary(), 413},
	} {
		response, body := post(t, server.URL, c.body, c.headers...)
		isProblem(t, name, response, body, c.status)
	}
	if got := c.all(); len(got) != 0 {
		t.Errorf("the handler got %+v", got)
	}
}

// TestBrokenOffBody is a request that the network cut: its sender did no
// wrong, so it may come again.
func TestBrokenOffBody(t *testing.T) {
	h := knative.Handler([]fn.Function{(&record{}).function("f", "t.a")}, knative.Options{})
	for _, contentType := range []string{"application/json", "application/cloudevents+json"} {
		body := io.MultiReader(strings.NewReader(`{"specver`), brokenReader{})
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", body)
		request.Header = http.Header{
			"Ce-Specversion": {"1.0"}, "Ce-Id": {"1"}, "Ce-Source": {"/x"}, "Ce-Type": {"t"}, "Content-Type": {contentType},
		}
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, request)
		isProblem(t, contentType, answer.Result(), answer.Body.String(), 503)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestErrorsAnswerAsABrokerNeedsThem(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		status int
	}{
		"unclassed":   {errors.New("redis is away"), 503},
		"transient":   {fn.Faultf(fn.Transient, "x"), 503},
		"early":       {fn.Faultf(fn.Early, "x"), 503},
		"exhausted":   {fn.Faultf(fn.Exhausted, "x"), 503},
		"invalid":     {fn.Faultf(fn.Invalid, "x"), 422},
		"undecodable": {fmt.Errorf("x: %w", events.ErrInvalid), 422},
		"conflict":    {fn.Faultf(fn.Conflict, "x"), 422},
		"not found":   {fn.Faultf(fn.NotFound, "x"), 422},
		"denied":      {fn.Faultf(fn.Denied, "x"), 422},
	} {
		r := record{err: c.err, emit: []events.Envelope{small}}
		server := host(t, knative.Options{}, r.function("f", "t.a"))
		response, body := postStructured(t, server.URL, small)
		isProblem(t, name, response, body, c.status)
		if again := response.Header.Get("Retry-After") != ""; again != (c.status == 503) {
			t.Errorf("%s: Retry-After is set: %v", name, again)
		}
	}
}

func TestPanicAnswersTryAgain(t *testing.T) {
	server := host(t, knative.Options{}, fn.Function{Name: "f", On: "t.a", Handle: func(context.Context, events.Envelope) ([]events.Envelope, error) {
		panic("a defect")
	}})
	response, body := postStructured(t, server.URL, small)
	isProblem(t, "panic", response, body, 503)
}

func TestFusedFunctionsFindTheirEvents(t *testing.T) {
	var a, both, everything record
	server := host(
		t, knative.Options{},
		a.function("a", "t.a"), both.function("a-too", "t.a"), everything.function("other", "t.b"),
	)
	counts := func() string { return fmt.Sprint(len(a.all()), len(both.all()), len(everything.all())) }
	other := small
	other.Type = "t.b"
	unknown := small
	unknown.Type = "t.unknown"
	for _, step := range []struct {
		path   string
		e      events.Envelope
		status int
		counts string
	}{
		{"/", small, 202, "1 1 0"},
		{"/a-too", small, 202, "1 2 0"},
		{"/", other, 202, "1 2 1"},
		{"/a", other, 202, "2 2 1"}, // named: the function itself judges the type
		{"/", unknown, 422, "2 2 1"},
		{"/nobody", small, 422, "2 2 1"},
	} {
		response, body := postStructured(t, server.URL+step.path, step.e)
		if response.StatusCode != step.status || counts() != step.counts {
			t.Errorf("%s %s: %s %s, counts %s, want %d, %s", step.path, step.e.Type, response.Status, body, counts(), step.status, step.counts)
		}
	}
	both.err = errors.New("not now")
	if response, _ := postStructured(t, server.URL, small); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one of two fails: %s", response.Status)
	}
}

func TestHealthAndWhatIsNowhere(t *testing.T) {
	var away error
	server := host(t, knative.Options{Ready: func(context.Context) error { return away }}, (&record{}).function("f", "t.a"))
	get := func(path string) (*http.Response, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		return do(t, request)
	}
	if response, _ := get("/healthz"); response.StatusCode != http.StatusOK {
		t.Errorf("ready: %s", response.Status)
	}
	away = errors.New("redis is away")
	response, body := get("/healthz")
	isProblem(t, "not ready", response, body, 503)
	response, body = get("/")
	isProblem(t, "GET /", response, body, 405)
	if allow := response.Header.Get("Allow"); allow != "POST" {
		t.Errorf("Allow: %s", allow)
	}
	response, body = get("/favicon.ico")
	isProblem(t, "nowhere", response, body, 404)
}
