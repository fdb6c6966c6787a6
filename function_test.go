package relevo

import (
	"context"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/redis"
	"github.com/relevo-ci/relevo/shared/redis/server"
	"github.com/relevo-ci/relevo/shared/state"
)

// What func's runtime looks for; it finds each by its signature.
var _ interface {
	Handle(http.ResponseWriter, *http.Request)
	Start(context.Context, map[string]string) error
	Stop(context.Context) error
	Ready(context.Context) (bool, error)
	Alive(context.Context) (bool, error)
} = New()

// TestFuncFindsOneFunction holds what `func build` looks at: a top-level New or
// Handle, one of them, in the Go files of this folder, tests included; and a
// func.yaml that says HTTP and leaves the choice of function open.
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
	for _, line := range []string{"specVersion: 0.36.0\n", "\ncreated: 2", "\ninvoke: http\n", "\nruntime: go\n"} {
		if !strings.Contains(string(raw), line) {
			t.Errorf("func.yaml lacks %q", line)
		}
	}
	if strings.Contains(string(raw), "FUNCTION") {
		t.Error("func.yaml sets FUNCTION, which would be baked into the image")
	}
}

// behindFunc serves f as func's runtime for HTTP functions does.
func behindFunc(t *testing.T, f *Function) string {
	t.Helper()
	reports := func(tell func(context.Context) (bool, error)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if well, err := tell(r.Context()); err != nil || !well {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/health/readiness", reports(f.Ready))
	mux.HandleFunc("/health/liveness", reports(f.Alive))
	mux.HandleFunc("/", f.Handle)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

func embedded(t *testing.T) *server.Embedded {
	t.Helper()
	store, err := server.StartEmbedded()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

// started is a Function behind func that has begun with these settings.
func started(t *testing.T, settings map[string]string) string {
	t.Helper()
	f := New()
	if err := f.Start(t.Context(), settings); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return behindFunc(t, f)
}

func ask(t *testing.T, method, url, body string, header http.Header) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(said)
}

// structured and binary post an event in the two modes of CloudEvents.
func structured(t *testing.T, url string, e events.Envelope) (*http.Response, string) {
	t.Helper()
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return ask(t, http.MethodPost, url, string(raw), http.Header{"Content-Type": {"application/cloudevents+json"}})
}

func binary(t *testing.T, url string, e events.Envelope) (*http.Response, string) {
	t.Helper()
	header := http.Header{"Content-Type": {"application/json"}}
	for name, value := range map[string]string{
		"specversion": "1.0", "id": e.ID, "source": e.Source, "type": string(e.Type), "subject": e.Subject,
		"time": e.Time.Format(time.RFC3339Nano), "runid": e.RunID, "partitionkey": e.PartitionKey,
	} {
		header.Set("Ce-"+name, value)
	}
	return ask(t, http.MethodPost, url, string(e.Data), header)
}

var modes = map[string]func(*testing.T, string, events.Envelope) (*http.Response, string){
	"structured": structured, "binary": binary,
}

// twoJobs accepts a run of two jobs in the store and gives its run.requested.
func twoJobs(t *testing.T, url string) events.Envelope {
	t.Helper()
	store, err := redis.Open(t.Context(), url, redis.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var spec pipeline.Spec
	for _, key := range []events.JobKey{"a", "b"} {
		spec.Jobs = append(spec.Jobs, pipeline.JobSpec{ID: string(key), Key: key, Name: expression.Text(string(key))})
	}
	raw, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	runs := &state.Runs{Committer: &state.Committer{Store: store}, Policy: pipeline.DefaultPolicy()}
	res, err := runs.Create(t.Context(), "api", events.RunRequested{RunRef: events.RunRef{Run: "R"}, Spec: raw})
	if err != nil {
		t.Fatal(err)
	}
	return res.Emitted[0]
}

// broker takes events and remembers their types.
func broker(t *testing.T) (url string, taken func() []string) {
	var mu sync.Mutex
	var types []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		types = append(types, r.Header.Get("Ce-Type"))
		mu.Unlock()
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(s.Close)
	return s.URL, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(types)
	}
}

// TestAllThatIsEmittedGoesToTheSink delivers in both modes an event that three
// others come of.
func TestAllThatIsEmittedGoesToTheSink(t *testing.T) {
	for name, post := range modes {
		t.Run(name, func(t *testing.T) {
			store := embedded(t)
			e := twoJobs(t, store.URL())
			sink, taken := broker(t)
			url := started(t, map[string]string{"RELEVO_REDIS_URL": store.URL(), "K_SERVICE": "run-requested", "K_SINK": sink})
			if answer, said := post(t, url, e); answer.StatusCode != http.StatusAccepted || said != "" {
				t.Fatal(answer.Status, said)
			}
			want := []string{string(events.TypeJobRequested), string(events.TypeJobRequested), string(events.TypeRunStarted)}
			if got := taken(); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
				t.Errorf("the sink took %q, want %q", got, want)
			}
		})
	}
}

// TestOneThatIsEmittedIsTheReply: without a sink an event goes back to the
// broker that way, and several do not.
func TestOneThatIsEmittedIsTheReply(t *testing.T) {
	store := embedded(t)
	url := started(t, map[string]string{"RELEVO_REDIS_URL": store.URL(), "K_SERVICE": "relevo", "RELEVO_WORKER_KEY": "key", "RELEVO_API_TOKEN": "token"})
	e, err := events.New("1", "/relevo/test", "", time.Now(), events.JobRequested{
		JobRef: events.JobRef{Run: "R", Job: "a"}, Attempt: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, post := range modes {
		answer, said := post(t, url, e)
		if got := answer.Header.Get("Ce-Type"); answer.StatusCode != http.StatusOK || got != string(events.TypeOfferCreated) {
			t.Errorf("%s: %s %q %s", name, answer.Status, got, said)
		}
	}
	if answer, said := structured(t, url, twoJobs(t, store.URL())); answer.StatusCode != http.StatusServiceUnavailable {
		t.Error("three without a sink:", answer.Status, said)
	}
}

// TestServesHTTPFunctions asks as an agent and as a client of the api do.
func TestServesHTTPFunctions(t *testing.T) {
	store := embedded(t)
	for _, c := range []struct {
		service, method, path, token, body string
		status                             int
	}{
		{"worker", http.MethodPost, "/worker/report", "", "{", http.StatusBadRequest},
		{"worker", http.MethodPost, "/worker/report", "x", "{}", http.StatusUnauthorized},
		{"api", http.MethodGet, "/v1/nodes", "token", "", http.StatusOK},
		{"api", http.MethodGet, "/v1/nodes", "", "", http.StatusUnauthorized},
		{"api", http.MethodGet, "/openapi.json", "token", "", http.StatusOK},
	} {
		for _, service := range []string{c.service, "relevo"} { // alone, and among all others
			url := started(t, map[string]string{
				"RELEVO_REDIS_URL": store.URL(), "RELEVO_WORKER_KEY": "key", "RELEVO_API_TOKEN": "token", "K_SERVICE": service,
			})
			answer, said := ask(t, c.method, url+c.path, c.body, http.Header{"Authorization": {"Bearer " + c.token}})
			if answer.StatusCode != c.status {
				t.Errorf("%s: %s %s as %q: %s %s, want %d", service, c.method, c.path, c.token, answer.Status, said, c.status)
			}
		}
	}
}

func TestAnswersAsABrokerNeedsThem(t *testing.T) {
	url := started(t, map[string]string{"RELEVO_REDIS_URL": embedded(t).URL(), "K_SERVICE": "job-requested"})
	for name, c := range map[string]struct {
		e      events.Envelope
		status int
	}{
		"undecodable":    {events.Envelope{ID: "1", Source: "/x", Type: events.TypeJobRequested, Data: []byte(`[]`)}, http.StatusUnprocessableEntity},
		"no cloud event": {events.Envelope{Source: "/x", Type: events.TypeJobRequested}, http.StatusBadRequest},
	} {
		for mode, post := range modes {
			if answer, said := post(t, url, c.e); answer.StatusCode != c.status {
				t.Errorf("%s, %s: %s %s, want %d", name, mode, answer.Status, said, c.status)
			}
		}
	}
}

// TestLife is a whole one, over a Redis that goes away in the middle.
func TestLife(t *testing.T) {
	store := embedded(t)
	f := New()
	url := behindFunc(t, f)
	now := time.Now()
	e, err := events.New("1", "/relevo/test", "", now, events.CapacityUpdated{
		Pool: "default", Node: "n1", Provider: "fake", Capacity: events.Resources{CPU: 1000, Memory: 1 << 30, Slots: 1}, Since: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	holds := func(when string, ready, event int) {
		t.Helper()
		for path, status := range map[string]int{"/health/liveness": http.StatusOK, "/health/readiness": ready} {
			if answer, _ := ask(t, http.MethodGet, url+path, "", nil); answer.StatusCode != status {
				t.Errorf("%s: %s: %s, want %d", when, path, answer.Status, status)
			}
		}
		if answer, said := structured(t, url, e); answer.StatusCode != event {
			t.Errorf("%s: %s %s, want %d", when, answer.Status, said, event)
		}
	}
	holds("before the start", http.StatusServiceUnavailable, http.StatusServiceUnavailable)
	if err := f.Start(t.Context(), map[string]string{"RELEVO_REDIS_URL": store.URL(), "K_SERVICE": "capacity-updated"}); err != nil {
		t.Fatal(err)
	}
	holds("started", http.StatusOK, http.StatusAccepted)
	store.Close()
	holds("without Redis", http.StatusServiceUnavailable, http.StatusServiceUnavailable)
	if err := f.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	holds("stopped", http.StatusServiceUnavailable, http.StatusServiceUnavailable)
	if err := f.Stop(t.Context()); err != nil {
		t.Errorf("a second stop: %v", err)
	}
}

func TestStartTellsWhatIsMissing(t *testing.T) {
	url := embedded(t).URL()
	for want, settings := range map[string]map[string]string{
		"hosted: RELEVO_REDIS_URL is not set":                                 {},
		"hosted: worker: RELEVO_WORKER_KEY is not set":                        {"RELEVO_REDIS_URL": url, "K_SERVICE": "worker"},
		"hosted: api: neither RELEVO_API_TOKEN nor RELEVO_OIDC_ISSUER is set": {"RELEVO_REDIS_URL": url, "K_SERVICE": "api"},
		`config: RELEVO_BUS_TRIES: "x" is no whole number`:                    {"RELEVO_BUS_TRIES": "x"},
	} {
		if err := New().Start(t.Context(), settings); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
