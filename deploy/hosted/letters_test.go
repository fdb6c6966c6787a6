package hosted_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/relevo-ci/relevo/deploy/hosted"
	"github.com/relevo-ci/relevo/functions"
	"github.com/relevo-ci/relevo/shared/deadletter"
	"github.com/relevo-ci/relevo/shared/fn"
)

// TestALetterGoesBackWhereItCameFrom: to the function that did not take it; to
// the broker where that is not one of ours, whatever the event claims.
func TestALetterGoesBackWhereItCameFrom(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		asked[r.URL.Path] = r.Header.Get("Content-Type") + " " + string(body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer server.Close()
	var deps functions.Deps
	s, err := hosted.Open(t.Context(), settings(t,
		"RELEVO_REDIS_URL="+redis(t).URL(), "K_SERVICE=dead-lettered", "K_SINK="+server.URL+"/broker", "RELEVO_HOST_FUNCTIONS="+server.URL+"/f/{function}",
	), hosted.Options{Front: func(d functions.Deps) []fn.Function { deps = d; return nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := names(s); len(got) != 1 || got[0] != "dead-lettered" {
		t.Fatalf("it serves %q", got)
	}
	for destination, want := range map[string]string{
		server.URL + "/f/offer-created":  "/f/offer-created",
		server.URL + "/f/offer-created/": "/f/offer-created/",
		server.URL + "/f/api":            "/broker",
		server.URL + "/evil":             "/broker",
		"http://user:p@" + strings.TrimPrefix(server.URL, "http://") + "/f/offer-created": "/broker",
		"": "/broker",
	} {
		clear(asked)
		raw := `{"specversion":"1.0","id":"1","source":"/s","type":"t","foreign":"x"}`
		l, err := deps.Dead.Add(t.Context(), deadletter.Letter{Event: json.RawMessage(raw), Destination: destination})
		if err != nil {
			t.Fatal(err)
		}
		if l, err = deps.Dead.Replay(t.Context(), l.ID); err != nil || l.Replayed.IsZero() {
			t.Errorf("%s: %+v, %v", destination, l, err)
		}
		if got := asked[want]; len(asked) != 1 || got != "application/cloudevents+json "+raw {
			t.Errorf("%s: asked %q", destination, asked)
		}
	}
}
