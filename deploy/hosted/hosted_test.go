package hosted_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/config"
	"github.com/relevo-ci/relevo/deploy/hosted"
	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/functions"
	"github.com/relevo-ci/relevo/providers/fake"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/provider"
	"github.com/relevo-ci/relevo/shared/redis/server"
)

// settings are the defaults, and what is given as name=value.
func settings(t *testing.T, pairs ...string) config.Config {
	t.Helper()
	c, err := config.Load(func(name string) (string, bool) {
		for _, p := range pairs {
			if value, ok := strings.CutPrefix(p, name+"="); ok {
				return value, true
			}
		}
		return "", false
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func redis(t *testing.T) *server.Embedded {
	t.Helper()
	e, err := server.StartEmbedded()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func names(s *hosted.Service) []string {
	var all []string
	for _, f := range s.Functions {
		all = append(all, f.Name)
	}
	return all
}

func TestPicksWhatItCanServe(t *testing.T) {
	url := "RELEVO_REDIS_URL=" + redis(t).URL()
	const key = "RELEVO_WORKER_KEY=key"
	for _, c := range []struct {
		set       []string
		providers []provider.Provider
		serves    string // among others
		not       string
		count     int // 0: several
		refused   string
	}{
		{set: []string{url, "K_SERVICE=offer-created"}, serves: "offer-created", count: 1},
		{set: []string{url, "FUNCTION=capacity-updated", "K_SERVICE=offer-created"}, serves: "capacity-updated", count: 1},
		{set: []string{url, key, "K_SERVICE=relevo"}, serves: "run-requested", not: "assignment-created"},
		{set: []string{url, key}, providers: []provider.Provider{fake.New()}, serves: "assignment-created"},
		{set: []string{url, key, "K_SERVICE=worker"}, serves: "worker", count: 1},
		{set: []string{url, "K_SERVICE=worker"}, refused: "hosted: worker: RELEVO_WORKER_KEY is not set"},
		{set: []string{url}, refused: "hosted: worker: RELEVO_WORKER_KEY is not set"},
		{
			set: []string{url, "FUNCTION=assignment-created"}, providers: []provider.Provider{fake.New()},
			refused: "hosted: assignment-created: RELEVO_WORKER_KEY is not set",
		},
		{set: []string{url, "K_SERVICE=assignment-created"}, refused: "hosted: assignment-created launches workers, and this host has no provider"},
		{set: []string{url, "FUNCTION=nobody"}, refused: `knative: FUNCTION: no function or context "nobody"; there are run-requested, `},
		{set: nil, refused: "hosted: RELEVO_REDIS_URL is not set"},
		{set: []string{url, "K_CA_CERTS=nothing"}, refused: "knative: K_CA_CERTS holds no certificate"},
	} {
		s, err := hosted.Open(t.Context(), settings(t, c.set...), hosted.Options{Providers: c.providers})
		if c.refused != "" {
			if err == nil || !strings.HasPrefix(err.Error(), c.refused) {
				t.Errorf("%q: %v", c.set, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		got := names(s)
		if !slices.Contains(got, c.serves) || slices.Contains(got, c.not) || c.count > 0 && len(got) != c.count {
			t.Errorf("%q: it serves %q", c.set, got)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestProcessesShareLogsAndFeed: what one process keeps of a log, and what
// event-recorded hears in another, a third one shows.
func TestProcessesShareLogsAndFeed(t *testing.T) {
	url := "RELEVO_REDIS_URL=" + redis(t).URL()
	process := func(service string) (*hosted.Service, functions.Deps) {
		var deps functions.Deps
		s, err := hosted.Open(t.Context(), settings(t, url, "RELEVO_WORKER_KEY=key", "K_SERVICE="+service), hosted.Options{
			Front: func(d functions.Deps) []fn.Function { deps = d; return nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s, deps
	}
	_, worker := process("worker")
	recorder, _ := process("event-recorded")
	_, shown := process("run-requested")

	ref := events.AttemptRef{JobRef: events.JobRef{Run: "01JABCDEFGHJKMNPQRSTVWXYZ0", Job: "build"}, Attempt: 1}
	if _, err := worker.Reports.Logs.Append(t.Context(), ref, 0, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 10)
	if n, _, _, err := shown.Reports.Logs.Read(t.Context(), ref, 0, buf); err != nil || string(buf[:n]) != "hello" {
		t.Errorf("the log is %q, %v", buf[:n], err)
	}
	if err := shown.Clock.Forget(t.Context(), ref.Run); err != nil {
		t.Fatal(err)
	}
	if _, size, _, err := worker.Reports.Logs.Read(t.Context(), ref, 0, nil); size != 0 || err != nil {
		t.Errorf("the log of a retired run has %d bytes, %v", size, err)
	}

	at, err := shown.Feed.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e, err := events.New("1", "/relevo/test", "", time.Now(), events.RunStarted{RunRef: events.RunRef{Run: ref.Run}})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	request := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(raw))
	request.Header.Set("Content-Type", "application/cloudevents+json")
	answer := httptest.NewRecorder()
	recorder.ServeHTTP(answer, request)
	b, err := shown.Feed.Next(t.Context(), at, 1)
	if answer.Code != http.StatusAccepted || err != nil || b.Entries[0].RunID != string(ref.Run) {
		t.Errorf("answered %d; the feed has %+v, %v", answer.Code, b, err)
	}
}

// post delivers an event and gives the answer's status.
func post(t *testing.T, url string, e events.Envelope) int {
	t.Helper()
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(url, "application/cloudevents+json", bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	t.Log(response.Status, string(body))
	return response.StatusCode
}

// TestHandlesAnEvent posts a node's declaration, as a broker does, and then
// lets Redis go away.
func TestHandlesAnEvent(t *testing.T) {
	store := redis(t)
	s, err := hosted.Open(t.Context(), settings(t, "RELEVO_REDIS_URL="+store.URL(), "K_SERVICE=capacity-updated"), hosted.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	host := httptest.NewServer(s.Host)
	defer host.Close()
	now := time.Now()
	e, err := events.New("1", "/relevo/test", "", now, events.CapacityUpdated{
		Pool: "default", Node: "n1", Provider: "fake", Capacity: events.Resources{CPU: 1000, Memory: 1 << 30, Slots: 1}, Since: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	ask := func() (event, health int) {
		status := post(t, host.URL, e)
		check, err := http.Get(host.URL + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		check.Body.Close()
		return status, check.StatusCode
	}
	if event, health := ask(); event != http.StatusAccepted || health != http.StatusOK {
		t.Errorf("event %d, health %d", event, health)
	}
	store.Close()
	if event, health := ask(); event != http.StatusServiceUnavailable || health != http.StatusServiceUnavailable {
		t.Errorf("without Redis: event %d, health %d", event, health)
	}
}
