package telemetry_test

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	domain "github.com/relevo-ci/relevo/shared/domain/telemetry"
	"github.com/relevo-ci/relevo/shared/telemetry"
)

var at = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func spans() []domain.Span {
	return []domain.Span{
		{
			Trace: "0af7651916cd43dd8448eb211c80319c", ID: "b7ad6b7169203331", Name: "RUN ci", Kind: domain.Server, Start: at, End: at.Add(time.Second),
			Failed: true, Message: "no", Attributes: []domain.Attribute{{Key: "s", Value: "text"}, {Key: "i", Value: int64(7)}, {Key: "b", Value: true}, {Key: "bad", Value: "\xff"}},
			Events: []domain.Event{{Name: "started", At: at}},
		},
		{Trace: "0af7651916cd43dd8448eb211c80319c", ID: "b7ad6b7169203332", Parent: "b7ad6b7169203331", Name: "goes on", Start: at},
	}
}

// server takes traces, or answers a status.
func server(t *testing.T, status *int, took *[]*collector.ExportTraceServiceRequest) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if *status != http.StatusOK {
			w.WriteHeader(*status)
			return
		}
		body, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		raw, err := io.ReadAll(body)
		var one collector.ExportTraceServiceRequest
		if err = errors.Join(err, proto.Unmarshal(raw, &one)); err != nil {
			t.Error(err)
		}
		if r.URL.Path != "/base/v1/traces" || r.Header.Get("X-Key") != "s3cret" {
			t.Errorf("%s with %v", r.URL, r.Header)
		}
		*took = append(*took, &one)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/base"
}

func TestExport(t *testing.T) {
	status := http.StatusOK
	var took []*collector.ExportTraceServiceRequest
	e := telemetry.New(telemetry.Settings{Endpoint: server(t, &status, &took), Headers: map[string]string{"X-Key": "s3cret"}})
	if err := e.Export(t.Context(), spans()); err != nil {
		t.Fatal(err)
	}
	got := took[0].ResourceSpans[0].ScopeSpans[0].Spans
	if len(got) != 1 || got[0].Name != "RUN ci" || len(got[0].TraceId) != 16 || len(got[0].SpanId) != 8 || len(got[0].ParentSpanId) != 0 ||
		got[0].EndTimeUnixNano-got[0].StartTimeUnixNano != 1e9 || got[0].Status.Message != "no" || len(got[0].Attributes) != 4 || len(got[0].Events) != 1 {
		t.Errorf("%v", got)
	}
	if r := took[0].ResourceSpans[0].Resource.Attributes[0]; r.Key != "service.name" || r.Value.GetStringValue() != "relevo" {
		t.Errorf("%v", r)
	}
}

// TestACollectorThatIsAway is left in peace after three failures, and asked again
// after a while.
func TestACollectorThatIsAway(t *testing.T) {
	status := http.StatusBadRequest // which the exporter does not try again by itself
	var took []*collector.ExportTraceServiceRequest
	now := at
	e := telemetry.New(telemetry.Settings{
		Endpoint: server(t, &status, &took), Headers: map[string]string{"X-Key": "s3cret"}, Rest: time.Minute, Now: func() time.Time { return now },
	})
	for i := range 5 {
		err := e.Export(t.Context(), spans())
		if err == nil || errors.Is(err, telemetry.ErrResting) != (i >= 3) {
			t.Errorf("%d: %v", i, err)
		}
	}
	status = http.StatusOK
	if err := e.Export(t.Context(), spans()); !errors.Is(err, telemetry.ErrResting) {
		t.Error(err)
	}
	now = now.Add(2 * time.Minute)
	if err := e.Export(t.Context(), spans()); err != nil || len(took) != 1 {
		t.Error(err, len(took))
	}
}
