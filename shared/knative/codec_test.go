package knative_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"pgregory.net/rapid"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/knative"
)

// drawEnvelope makes any event that CloudEvents allows: texts are all that
// UTF-8 can say, a source is a URI reference, a blank id or subject is none.
func drawEnvelope(r *rapid.T) events.Envelope {
	text := rapid.String().Filter(func(s string) bool { return strings.TrimSpace(s) != "" })
	optional := rapid.OneOf(rapid.Just(""), text)
	e := events.Envelope{
		ID:      text.Draw(r, "id"),
		Source:  rapid.StringMatching(`(urn:|/|https://[a-z]{1,9}/)[a-zA-Z0-9._~-]{1,20}(/%41%20)?`).Draw(r, "source"),
		Type:    events.Type(text.Draw(r, "type")),
		Subject: optional.Draw(r, "subject"),
		CauseID: optional.Draw(r, "causeid"), RunID: optional.Draw(r, "runid"),
		Sequence:     rapid.Uint64().Draw(r, "sequence"),
		PartitionKey: optional.Draw(r, "partitionkey"),
		Traceparent:  optional.Draw(r, "traceparent"), Tracestate: optional.Draw(r, "tracestate"),
		Epoch: rapid.Uint32().Draw(r, "epoch"),
	}
	if rapid.Bool().Draw(r, "timed") {
		e.Time = time.UnixMilli(rapid.Int64Range(-62e12, 253e12).Draw(r, "time")).UTC()
	}
	if rapid.Bool().Draw(r, "payload") {
		raw, err := json.Marshal(rapid.MapOf(rapid.String(), rapid.String()).Draw(r, "data"))
		if err != nil {
			r.Fatal(err)
		}
		e.Data = raw
	}
	return e
}

func TestSDKFormIsLossless(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		e := drawEnvelope(r)
		made, err := knative.ToEvent(e)
		if err != nil {
			r.Fatal(err)
		}
		back, err := knative.FromEvent(made)
		if err != nil {
			r.Fatal(err)
		}
		if !reflect.DeepEqual(back, e) {
			r.Fatalf("got %+v\nwant %+v", back, e)
		}
		again, err := knative.ToEvent(back)
		if err != nil || !reflect.DeepEqual(again, made) {
			r.Fatalf("got %+v\nwant %+v (%v)", again, made, err)
		}
	})
}

func TestStructuredFormIsTheEnvelopes(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		e := drawEnvelope(r)
		made, err := knative.ToEvent(e)
		if err != nil {
			r.Fatal(err)
		}
		raw, err := json.Marshal(made)
		if err != nil {
			r.Fatal(err)
		}
		var back events.Envelope
		if err := json.Unmarshal(raw, &back); err != nil {
			r.Fatal(err)
		}
		if !reflect.DeepEqual(back, e) {
			r.Fatalf("%s\ngot %+v\nwant %+v", raw, back, e)
		}
	})
}

func TestEscapeIsFitForHeadersAndUndone(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		e := drawEnvelope(r)
		escaped := knative.Escape(e)
		for _, s := range []string{escaped.ID, escaped.Subject, escaped.Tracestate, string(escaped.Type)} {
			for _, c := range []byte(s) {
				if c <= ' ' || c > '~' || c == '"' {
					r.Fatalf("%q holds %q", s, c)
				}
			}
		}
		if back := knative.Unescape(escaped); !reflect.DeepEqual(back, e) {
			r.Fatalf("got %+v\nwant %+v", back, e)
		}
	})
}

func TestUnescapeTakesWhatOthersSend(t *testing.T) {
	for sent, want := range map[string]string{
		"plain":             "plain",
		"a%20b%C3%A9":       "a bé",
		"lower%c3%a9":       "loweré",
		"100%":              "100%",
		"100%zz%2":          "100%zz%2",
		"once%2541":         "once%41",
		`"quoted"`:          "quoted",
		`"a \"b\" \\ c%41"`: `a "b" \ cA`,
		`"`:                 `"`,
		`in "the" middle`:   `in "the" middle`,
	} {
		if got := knative.Unescape(events.Envelope{Subject: sent}).Subject; got != want {
			t.Errorf("%s: got %q, want %q", sent, got, want)
		}
	}
}

func TestToEventRefuses(t *testing.T) {
	ok := events.Envelope{ID: "1", Source: "/relevo/x", Type: "t"}
	for name, spoil := range map[string]func(*events.Envelope){
		"no id":     func(e *events.Envelope) { e.ID = "" },
		"no type":   func(e *events.Envelope) { e.Type = "" },
		"no source": func(e *events.Envelope) { e.Source = "" },
		"no URI":    func(e *events.Envelope) { e.Source = "1:2" },
	} {
		e := ok
		spoil(&e)
		if _, err := knative.ToEvent(e); !errors.Is(err, events.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFromEventRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*event.Event){
		"no id":            func(e *event.Event) { e.SetID("") },
		"version 0.3":      func(e *event.Event) { e.SetSpecVersion("0.3") },
		"sequence":         func(e *event.Event) { e.SetExtension("sequence", "one") },
		"epoch":            func(e *event.Event) { e.SetExtension("epoch", "late") },
		"negative":         func(e *event.Event) { e.SetExtension("sequence", -1) },
		"no JSON":          func(e *event.Event) { e.DataEncoded = []byte("{") },
		"JSON, not UTF-8":  func(e *event.Event) { e.DataEncoded = []byte("\"\xff\"") },
		"XML":              func(e *event.Event) { e.SetDataContentType("text/xml") },
		"subject no UTF-8": func(e *event.Event) { e.SetSubject("\xff") },
		"year 10000":       func(e *event.Event) { e.SetTime(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)) },
	} {
		e := event.New()
		e.SetID("1")
		e.SetSource("/x")
		e.SetType("t")
		e.SetDataContentType("application/json")
		e.DataEncoded = []byte("{}")
		if _, err := knative.FromEvent(e); err != nil {
			t.Fatal(err)
		}
		spoil(&e)
		if _, err := knative.FromEvent(e); !errors.Is(err, events.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFromEventIsLenientWhereNothingIsLost(t *testing.T) {
	e := event.New()
	e.SetID("1")
	e.SetSource("/x")
	e.SetType("t")
	e.SetExtension("sequence", 7)
	e.SetExtension("knativearrivaltime", "2026-01-01T00:00:00Z")
	e.SetDataContentType("application/vnd.x+json; charset=utf-8")
	e.DataEncoded = []byte(" {}\n")
	got, err := knative.FromEvent(e)
	want := events.Envelope{ID: "1", Source: "/x", Type: "t", Sequence: 7, Data: []byte("{}")}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}
