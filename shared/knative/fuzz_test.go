package knative_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/knative"
)

// FuzzRequest feeds whole HTTP requests to a host. None may upset it, an event
// that is refused is refused for good, and one that is taken can be passed on
// in every form without a change.
func FuzzRequest(f *testing.F) {
	binary := "POST / HTTP/1.1\r\nHost: x\r\nCe-Specversion: 1.0\r\nCe-Id: 1\r\nCe-Source: /x\r\nCe-Type: t.a\r\n"
	structured := func(body string) string {
		return "POST / HTTP/1.0\r\nContent-Type: application/cloudevents+json\r\n\r\n" + body
	}
	for _, seed := range []string{
		binary + "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
		binary + "Ce-Time: 2026-01-02T03:04:05.678Z\r\nCe-Sequence: 7\r\nCe-Subject: a%20b\r\nCe-Runid: \"q\"\r\n\r\n",
		binary + "Ce-: x\r\n\r\n",
		binary + "Ce-Dataschema: /x\r\nCe-X: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
		structured(`{"specversion":"1.0","id":"1","source":"/x","type":"t.a","data":{"a":1},"sequence":"3"}`),
		structured(`{"data_base64":1,"specversion":"1.0","id":"1","source":"/x","type":"t.a"}`),
		structured(`{"specversion":"1.0","id":"1","source":"/x","type":"t.a","data_base64":"e30=","causeid":true}`),
		structured(`{"specversion":"0.3","id":"1","source":"/x","type":"t.a","datacontentencoding":"base64","data":""}`),
		"GET /healthz HTTP/1.0\r\n\r\n",
		"POST /nobody HTTP/1.0\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var c record
		h := knative.Handler([]fn.Function{c.function("f", "t.a")}, knative.Options{Limit: 4096, Log: quiet})
		request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil || request.RequestURI == "*" { // which ServeMux answers by itself
			return
		}
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, request)
		taken := c.all()
		switch answer.Code {
		case 202:
			if len(taken) != 1 || answer.Body.Len() != 0 {
				t.Errorf("202 for %d events, body %q", len(taken), answer.Body)
			}
		case 400, 413, 415, 422:
			isProblem(t, "refused", answer.Result(), answer.Body.String(), answer.Code)
			fallthrough
		case 200, 301, 307, 404, 405, 503: // pages, redirects to clean paths, bodies cut short
			if len(taken) != 0 {
				t.Errorf("%d, and the handler got %+v", answer.Code, taken)
			}
		default:
			t.Errorf("status %d %s", answer.Code, answer.Body)
		}
		if request.Method == http.MethodPost && answer.Code == 404 {
			t.Error("an event got a 404, which would bring it back")
		}
		for _, e := range taken {
			passOn(t, h, &c, e)
		}
	})
}

// passOn sends e on in both modes; it must arrive as it is.
func passOn(t *testing.T, h http.Handler, c *record, e events.Envelope) {
	t.Helper()
	e.Time = e.Time.Truncate(time.Millisecond) // what the structured form carries
	structured, err := json.Marshal(e)
	if err != nil {
		t.Fatalf("%+v: %v", e, err)
	}
	again := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(structured))
	again.Header.Set("Content-Type", "application/cloudevents+json")
	h.ServeHTTP(httptest.NewRecorder(), again)

	server := httptest.NewServer(h)
	defer server.Close()
	if err := (&knative.Sender{Tries: 1}).Send(t.Context(), server.URL, e); err != nil {
		t.Errorf("%+v: %v", e, err)
	}
	e.Data = compact(t, e.Data)
	for i, got := range c.all()[1:] {
		got.Data = compact(t, got.Data)
		if strings.TrimSpace(e.Subject) == "" { // none, for CloudEvents
			e.Subject, got.Subject = "", ""
		}
		if !reflect.DeepEqual(got, e) {
			t.Errorf("passed on, form %d:\ngot  %+v\nwant %+v", i, got, e)
		}
	}
}

func compact(t *testing.T, data json.RawMessage) json.RawMessage {
	t.Helper()
	if data == nil {
		return nil
	}
	// Marshal compacts, and escapes as the structured form does.
	out, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
