package events_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/relevo-ci/relevo/events"
)

var envelopes = rapid.Custom(func(t *rapid.T) events.Envelope {
	text := func(label string) string { return rapid.String().Draw(t, label) }
	some := func(label string) string { return rapid.StringN(1, -1, -1).Draw(t, label) }
	e := events.Envelope{
		ID: some("id"), Source: some("source"), Type: events.Type(some("type")), Subject: text("subject"),
		CauseID: text("cause"), RunID: text("run"), PartitionKey: text("key"),
		Sequence:    rapid.Uint64().Draw(t, "sequence"),
		Traceparent: text("traceparent"), Tracestate: text("tracestate"),
		Epoch: rapid.Uint32().Draw(t, "epoch"),
	}
	if rapid.Bool().Draw(t, "has time") {
		e.Time = time.UnixMilli(rapid.Int64Range(0, 253402300799999).Draw(t, "time")).UTC()
	}
	if rapid.Bool().Draw(t, "has data") {
		raw, err := json.Marshal(map[string]string{text("name"): text("value")})
		if err != nil {
			t.Fatal(err)
		}
		e.Data = raw
	}
	return e
})

func TestEnvelopeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := envelopes.Draw(t, "e")
		raw, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var back events.Envelope
		if err := json.Unmarshal(raw, &back); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		if !reflect.DeepEqual(e, back) {
			t.Errorf("%+v\ncame back as\n%+v", e, back)
		}
	})
}

// Whatever is taken is written in a form that is taken again and says the same.
func FuzzEnvelope(f *testing.F) {
	for _, seed := range []string{
		`{"specversion":"1.0","id":"1","source":"/relevo/api","type":"t"}`,
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"2025-01-02T03:04:05.678901+02:00","sequence":"18446744073709551615","data":{"a":"<é"}}`,
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"9999-12-31T23:59:59-01:00"}`,
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"0000-01-01T00:00:00+01:00"}`,
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","sequence":"007","data":null}`,
		`{"specversion":"0.3","id":"1","source":"/s","type":"t"}`,
		`[]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var e events.Envelope
		if err := json.Unmarshal(raw, &e); err != nil {
			return
		}
		first, err := json.Marshal(e)
		if err != nil {
			t.Fatalf("%s was read and cannot be written: %v", raw, err)
		}
		var back events.Envelope
		if err := json.Unmarshal(first, &back); err != nil {
			t.Fatalf("%s: %v", first, err)
		}
		second, err := json.Marshal(back)
		if err != nil || string(first) != string(second) {
			t.Errorf("%s\nbecame\n%s\n%v", first, second, err)
		}
	})
}

func TestEnvelopeIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"no specversion": `{"id":"1","source":"/s","type":"t"}`,
		"old version":    `{"specversion":"0.3","id":"1","source":"/s","type":"t"}`,
		"no id":          `{"specversion":"1.0","source":"/s","type":"t"}`,
		"no source":      `{"specversion":"1.0","id":"1","type":"t"}`,
		"no type":        `{"specversion":"1.0","id":"1","source":"/s"}`,
		"bad time":       `{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"yesterday"}`,
		"time past 9999": `{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"9999-12-31T23:59:59-01:00"}`,
		"time before 0":  `{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"0000-01-01T00:00:00+01:00"}`,
		"bad epoch":      `{"specversion":"1.0","id":"1","source":"/s","type":"t","epoch":"4294967296"}`,
		"bad sequence":   `{"specversion":"1.0","id":"1","source":"/s","type":"t","sequence":"-1"}`,
		"number as id":   `{"specversion":"1.0","id":1,"source":"/s","type":"t"}`,
		"an array":       `[]`,
	} {
		var e events.Envelope
		if err := json.Unmarshal([]byte(text), &e); !errors.Is(err, events.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnknownAttributesAreIgnored(t *testing.T) {
	var e events.Envelope
	text := `{"specversion":"1.0","id":"1","source":"/s","type":"t","knativearrivaltime":"2025-01-02T03:04:05Z","dataschema":"x"}`
	if err := json.Unmarshal([]byte(text), &e); err != nil || e.ID != "1" {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestNew(t *testing.T) {
	at := time.Date(2025, 1, 2, 3, 4, 5, 678_901_234, time.FixedZone("", 3600))
	e, err := events.New("i", "/relevo/api", "c", at, events.RunStarted{RunRef: events.RunRef{Run: "R"}})
	want := events.Envelope{
		ID: "i", Source: "/relevo/api", CauseID: "c", Type: events.TypeRunStarted, Subject: "run/R",
		Time: time.Date(2025, 1, 2, 2, 4, 5, 678_000_000, time.UTC), Data: json.RawMessage(`{"run":"R"}`),
		RunID: "R", PartitionKey: "R", Traceparent: events.RunRef{Run: "R"}.Context("").String(),
	}
	if err != nil || !reflect.DeepEqual(e, want) {
		t.Errorf("%+v, %v", e, err)
	}
	_, err = events.New("i", "/s", "", at, events.RunRequested{Spec: json.RawMessage(`{`)})
	if err == nil || !strings.Contains(err.Error(), string(events.TypeRunRequested)) {
		t.Errorf("a payload that is no JSON: %v", err)
	}
}

func TestDecode(t *testing.T) {
	e := events.Envelope{ID: "1", Type: events.TypeRunStarted, Data: json.RawMessage(`{"run":"R","addedLater":[1]}`)}
	got, err := events.Decode[events.RunStarted](e)
	if err != nil || got.Data.Run != "R" || got.ID != "1" {
		t.Errorf("%+v, %v", got, err)
	}
	for name, bad := range map[string]events.Envelope{
		"another type": {Type: events.TypeRunFailed, Data: e.Data},
		"no type":      {Data: e.Data},
		"no data":      {Type: events.TypeRunStarted},
		"null":         {Type: events.TypeRunStarted, Data: json.RawMessage(`null`)},
		"cut off":      {Type: events.TypeRunStarted, Data: json.RawMessage(`{"run":"R`)},
		"a number":     {Type: events.TypeRunStarted, Data: json.RawMessage(`{"run":7}`)},
		"an array":     {Type: events.TypeRunStarted, Data: json.RawMessage(`["R"]`)},
	} {
		if got, err := events.Decode[events.RunStarted](bad); !errors.Is(err, events.ErrInvalid) || got.Data.Run != "" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	fence := events.Envelope{Type: events.TypeJobEnded, Data: json.RawMessage(`{"run":"R","job":"j","attempt":1,"fence":"1.x","verdict":"failed"}`)}
	if _, err := events.Decode[events.JobEnded](fence); !errors.Is(err, events.ErrInvalid) {
		t.Errorf("a fence that is none: %v", err)
	}
}
