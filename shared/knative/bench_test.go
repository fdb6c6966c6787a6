package knative_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/knative"
)

// BenchmarkHost is an event in and its reply out, without a network: what the
// host adds to net/http. BenchmarkNothing is the measuring itself.
func BenchmarkHost(b *testing.B) {
	h := knative.Handler([]fn.Function{{Name: "f", On: "t.a", Handle: func(_ context.Context, e events.Envelope) ([]events.Envelope, error) {
		return []events.Envelope{e}, nil
	}}}, knative.Options{})
	serveMany(b, h, http.StatusOK)
}

// BenchmarkNothing answers at once.
func BenchmarkNothing(b *testing.B) {
	serveMany(b, http.NotFoundHandler(), http.StatusNotFound)
}

func serveMany(b *testing.B, h http.Handler, status int) {
	header := http.Header{
		"Ce-Specversion": {"1.0"}, "Ce-Id": {"01j00000000000000000000000"}, "Ce-Source": {"/relevo/test"}, "Ce-Type": {"t.a"},
		"Ce-Subject": {"run/01J00000000000000000000000/job/build"}, "Ce-Time": {"2026-01-02T03:04:05.678Z"},
		"Ce-Runid": {"01J00000000000000000000000"}, "Ce-Causeid": {"01j00000000000000000000000"}, "Ce-Sequence": {"12"},
		"Content-Type": {"application/json"},
	}
	body := `{"run":"01J00000000000000000000000","job":"build","attempt":1,"steps":[` +
		strings.Repeat(`{"id":"1","name":"go test","conclusion":"success","outcome":"success","exit":0,"millis":12},`, 5) + `{}]}`
	b.ReportAllocs()
	for b.Loop() {
		request := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/", strings.NewReader(body))
		request.Header = header
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, request)
		if answer.Code != status {
			b.Fatal(answer.Code, answer.Body)
		}
	}
}
