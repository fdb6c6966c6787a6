package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/functions"
	"github.com/relevo-ci/relevo/functions/api"
	awaitrequested "github.com/relevo-ci/relevo/functions/await-requested"
	deliveryreceived "github.com/relevo-ci/relevo/functions/delivery-received"
	"github.com/relevo-ci/relevo/functions/worker"
	"github.com/relevo-ci/relevo/providers/fake"
	"github.com/relevo-ci/relevo/shared/arrivals"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/feed"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/provider"
	"github.com/relevo-ci/relevo/shared/state"
	"github.com/relevo-ci/relevo/shared/view"
	"github.com/relevo-ci/relevo/shared/workers"
)

// world is an installation in this process: every function, a store in memory,
// a provider that a test moves, and a broker that delivers before Publish
// returns.
type world struct {
	t     *testing.T
	api   *api.API
	feed  *feed.Memory
	logs  *logs.Memory
	store *memory.Store
	runs  *state.Runs
	deps  functions.Deps
	table []fn.Function
	http  http.Handler

	mu       sync.Mutex
	queue    []events.Envelope
	cut      bool        // the broker loses everything
	lost     events.Type // the broker loses these
	launches []execution.Launch
	now      time.Time // zero: the real time
}

func newWorld(t *testing.T, set ...func(*world)) *world {
	w := &world{t: t, feed: feed.NewMemory(100_000, 64<<20), logs: logs.NewMemory(64 << 20)}
	w.store = memory.New(w.time, "test")
	views := &state.Views{Store: w.store, View: view.NewMemory()}
	commit := &state.Committer{Store: views.Keep()}
	w.runs = &state.Runs{Committer: commit, Policy: pipeline.DefaultPolicy()}
	pools := &state.Pools{Committer: commit, Settings: scheduling.Settings{OfferTTL: time.Hour, Nudge: 20 * time.Second}}
	groups := &state.Groups{Committer: commit, Nudge: 20 * time.Second}
	provided := fake.New()
	provided.Launched = func(l execution.Launch) { w.launches = append(w.launches, l) }
	routes := scheduling.Pools{Default: "linux"}
	w.api = &api.API{
		Runs: w.runs, Pools: pools, Groups: groups, Routes: routes, Logs: w.logs, Feed: w.feed,
		Publish: w.publish, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Doors: &state.Front{Committer: commit}, Views: views,
	}
	w.deps = functions.Deps{
		Runs: w.runs, Pools: pools, Groups: groups, Doors: w.api.Doors, Routes: routes, Feed: w.feed, Views: views,
		Workers: &workers.Workers{Runs: w.runs, Providers: map[string]provider.Provider{"fake": provided}},
		Reports: &worker.Reports{Runs: w.runs, Logs: w.logs, Publish: w.publish},
	}
	for _, s := range set {
		s(w)
	}
	come := &arrivals.Arrivals{Front: w.api.Doors, Runs: w.runs}
	w.deps.Front = []fn.Function{
		api.New(w.api), awaitrequested.New(come),
		deliveryreceived.New(&deliveryreceived.Work{
			Front: w.api.Doors, Runs: w.runs, Where: come.Satisfies,
			Awaits: func(ctx context.Context, cause events.Envelope, d trigger.Delivery, event []byte) (int, []events.Envelope, error) {
				woken, err := come.Wake(ctx, "delivery-received", cause, d, event)
				return len(woken.Jobs), woken.Emitted, err
			},
		}),
	}
	w.table = functions.All(w.deps)
	i := slices.IndexFunc(w.table, func(f fn.Function) bool { return f.Name == "api" })
	w.http = w.table[i].HTTP
	t.Cleanup(w.api.Close)
	return w
}

func (w *world) time() time.Time {
	if !w.now.IsZero() {
		return w.now
	}
	return time.Now()
}

// publish delivers events, and what comes of them, to every function; from
// within a delivery it only queues them.
func (w *world) publish(ctx context.Context, es []events.Envelope) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		return nil
	}
	w.queue = append(w.queue, es...)
	for len(w.queue) > 0 {
		e := w.queue[0]
		w.queue = w.queue[1:]
		if e.Type == w.lost {
			continue
		}
		for _, f := range w.table {
			if !f.Takes(e.Type) {
				continue
			}
			out, err := f.Handle(ctx, e)
			if err != nil {
				w.t.Errorf("%s of %s: %v", f.Name, e.Type, err)
			}
			w.queue = append(w.queue, out...)
		}
	}
	return nil
}

// serve opens the world to a client, over a real connection.
func (w *world) serve() *client.Client {
	w.t.Helper()
	s := httptest.NewServer(w.http)
	w.t.Cleanup(s.Close)
	w.t.Cleanup(w.api.Close) // before: streams end
	return &client.Client{BaseURL: s.URL, HTTP: s.Client(), Token: w.api.Token, Pause: noPause}
}

func noPause(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// node declares a node that may run so many workers.
func (w *world) node(id events.NodeID, slots int64) {
	w.t.Helper()
	e, err := events.New("capacity-"+string(id), "/relevo/test", "", w.time(), events.CapacityUpdated{
		Pool: "linux", Node: id, Provider: "fake", Capacity: events.Resources{CPU: 4000, Memory: 8 << 30, Slots: slots},
		Since: w.time(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.publish(w.t.Context(), []events.Envelope{e}); err != nil {
		w.t.Fatal(err)
	}
}

// report is what the agent of the i-th worker launched says.
func (w *world) report(i int, kind, log string, end *execution.Ending) execution.Reply {
	w.t.Helper()
	l := w.launches[i]
	r := execution.Report{AttemptRef: l.AttemptRef, Worker: l.Worker, Nonce: "n", Kind: kind, End: end}
	if log != "" {
		_, size, _, err := w.logs.Read(w.t.Context(), l.AttemptRef, 0, nil)
		if err != nil {
			w.t.Fatal(err)
		}
		r.Logs = []execution.Chunk{{Offset: size, Data: []byte(log)}}
	}
	reply, err := w.deps.Reports.Report(w.t.Context(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	return reply
}

// finish ends the i-th worker's attempt well, with this log.
func (w *world) finish(i int, log string) {
	w.t.Helper()
	w.report(i, execution.Hello, log, nil)
	_, size, _, err := w.logs.Read(w.t.Context(), w.launches[i].AttemptRef, 0, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.report(i, execution.End, "", &execution.Ending{Verdict: events.Succeeded, LogBytes: size})
}

// ask does a request without a connection, as a caller on this machine.
func (w *world) ask(method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(w.t.Context(), method, path, strings.NewReader(body))
	r.RemoteAddr, r.Host = "127.0.0.1:1234", "localhost:8080"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.http.ServeHTTP(rec, r)
	return rec
}

// decode reads an answer, which must have the status.
func decode[T any](t *testing.T, rec *httptest.ResponseRecorder, status int) T {
	t.Helper()
	var v T
	if rec.Code != status {
		t.Fatalf("status %d, want %d: %s", rec.Code, status, rec.Body)
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v in %s", err, rec.Body)
	}
	return v
}

// refused reads a problem, which must say it is one.
func refused(t *testing.T, rec *httptest.ResponseRecorder, status int) client.Problem {
	t.Helper()
	p := decode[client.Problem](t, rec, status)
	if got := rec.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("content type %q", got)
	}
	if p.Status != status || p.Title != http.StatusText(status) {
		t.Errorf("problem %+v", p)
	}
	return p
}

const hello = `{"source": "jobs:\n  build:\n    steps:\n    - run: echo hello\n"}`

// submit asks for a run and gives its id.
func (w *world) submit(body string, header ...string) string {
	w.t.Helper()
	return decode[client.Accepted](w.t, w.ask(http.MethodPost, "/v1/pipelines", body, header...), http.StatusCreated).ID
}

// submission makes the body for a pipeline file.
func submission(source string) string {
	raw, err := json.Marshal(client.Submission{Source: source, File: "ci.yaml"})
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// away is a read model that cannot be reached.
type away struct{ view.Store }

func (away) Page(context.Context, view.Kind, view.Index, view.Cursor, int) ([]view.Row, error) {
	return nil, errors.New("dial tcp 10.1.2.3:6379: connection refused")
}
