// Package forges drives the front doors of git forges from end to end in one
// process: a fake forge over real git delivers, functions on a bus work, workers
// are played.
package forges

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/deploy/inprocess"
	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/functions/api"
	"github.com/relevo-ci/relevo/providers/fake"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/forge"
	"github.com/relevo-ci/relevo/shared/forge/forgetest"
	"github.com/relevo-ci/relevo/shared/forge/steady"
	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/provider"
	"github.com/relevo-ci/relevo/shared/workers"
)

const (
	shop     = "acme/shop"
	fork     = "stranger/shop"
	secret   = "n3w-hook-s3cret"
	old      = "0ld-hook-s3cret"
	patience = 2 * time.Minute
)

// Accounts of the forge.
var (
	dev      = trigger.Actor{Login: "dev"}      // may write
	stranger = trigger.Actor{Login: "stranger"} // may not
)

// rig is an installation that a fake forge delivers to.
type rig struct {
	t      *testing.T
	kind   string
	server *forgetest.Server
	host   *inprocess.Host
	http   http.Handler // the front doors
	client *client.Client
	log    *journal

	work, forked string // clones of the repository and of its fork
	ids          atomic.Int64
	hold         chan struct{} // while it is there, workers do not end
	// fault, where set, answers a telling in the forge's place; it tells whether
	// it did.
	fault atomic.Pointer[func(w http.ResponseWriter, r *http.Request) bool]

	store *spy

	mu   sync.Mutex
	runs map[events.RunID]events.RunRequested
	had  map[events.RunID]had // what the worker of a run was given
}

// newRig makes one; without a pool for strangers' jobs where so is said.
func newRig(t *testing.T, kind string, only ...string) *rig {
	t.Helper()
	r := &rig{
		t: t, kind: kind, server: forgetest.New(t, kind), log: &journal{}, runs: map[events.RunID]events.RunRequested{}, had: map[events.RunID]had{},
		store: &spy{Store: memory.New(time.Now, "test")},
	}
	r.work, r.forked = r.repository(shop), ""
	gate := httptest.NewServer(http.HandlerFunc(r.gate))
	t.Cleanup(gate.Close)
	settings := r.server.Settings(secret, old)
	settings.URL, settings.Client = gate.URL, &http.Client{Timeout: 2 * time.Second}
	f, err := forge.New(settings)
	if err != nil {
		t.Fatal(err)
	}
	policy := pipeline.DefaultPolicy()
	policy.Lease = time.Hour
	provided := fake.New()
	provided.Launched = func(l execution.Launch) { go r.play(l) }
	r.start(inprocess.Options{
		Store: r.store, Fresh: true, Policy: policy, Providers: map[string]provider.Provider{"fake": provided},
		Secrets: r.vault(), Workers: workers.Settings{Key: workerKey},
		Forges: []forge.Forge{steady.New(f, steady.Settings{Rest: time.Second, Pause: time.Millisecond})},
	})
	r.room(inprocess.Pool)
	if !slices.Contains(only, noUntrusted) {
		r.room(inprocess.Pool.Untrusted())
	}
	return r
}

// start starts the installation and its front doors, as relevo up does.
func (r *rig) start(o inprocess.Options) {
	r.t.Helper()
	o.Logs, o.OfferTTL, o.API, o.Public = logs.NewMemory(16<<20), time.Hour, &api.API{}, "https://ci.example/"
	o.Log = slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	if r.host, err = inprocess.Start(r.t.Context(), o); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.t.Context()), 10*time.Second)
		defer cancel()
		_ = r.host.Close(ctx)
	})
	r.host.Tap(r.see)
	mux := http.NewServeMux()
	mux.Handle("/", r.host.Function("api").HTTP)
	mux.Handle("/webhooks/", r.host.Function("webhook").HTTP)
	r.http = mux
	s := httptest.NewServer(mux)
	r.t.Cleanup(s.Close)
	r.client = &client.Client{BaseURL: s.URL}
}

// room makes room for jobs: until then they wait.
func (r *rig) room(pools ...events.PoolID) {
	r.t.Helper()
	for _, pool := range pools {
		if err := r.host.Declare(r.t.Context(), events.CapacityUpdated{
			Pool: pool, Node: "n", Provider: "fake", Capacity: events.Resources{CPU: 64000, Memory: 64 << 30, Slots: 64}, Labels: []string{"linux"}, Since: time.Now(),
		}); err != nil {
			r.t.Fatal(err)
		}
	}
}

// gate stands before the forge.
func (r *rig) gate(w http.ResponseWriter, q *http.Request) {
	telling := q.Method == http.MethodPost && strings.Contains(q.URL.Path, "/status")
	if f := r.fault.Load(); f != nil && telling && (*f)(w, q) {
		return
	}
	r.server.ServeHTTP(w, q)
}

// failing lets f answer tellings in the forge's place; nil: no more.
func (r *rig) failing(f func(w http.ResponseWriter, r *http.Request) bool) {
	if f == nil {
		r.fault.Store(nil)
		return
	}
	r.fault.Store(&f)
}

func (r *rig) see(e events.Envelope) {
	if e.Type != events.TypeRunRequested {
		return
	}
	if ev, err := events.Decode[events.RunRequested](e); err == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.runs[ev.Data.Run] = ev.Data
	}
}

// started are the runs so far.
func (r *rig) started() []events.RunRequested {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []events.RunRequested
	for _, req := range r.runs {
		all = append(all, req)
	}
	return all
}

// play is a worker: its job succeeds, unless its name says otherwise.
func (r *rig) play(l execution.Launch) {
	ctx := r.t.Context()
	say := func(kind string, end *execution.Ending) {
		for ctx.Err() == nil {
			_, err := r.host.Deps.Reports.Report(ctx, execution.Report{AttemptRef: l.AttemptRef, Worker: l.Worker, Nonce: "n", Kind: kind, End: end})
			if err == nil || !fn.KindOf(err).Retry() {
				return
			}
		}
	}
	say(execution.Hello, nil)
	r.ask(l)
	if r.hold != nil {
		select {
		case <-r.hold:
		case <-ctx.Done():
			return
		}
	}
	verdict := events.Succeeded
	switch l.Job.ID {
	case "fails":
		verdict = events.Failed
	case "breaks":
		verdict = events.Infra
	}
	say(execution.End, &execution.Ending{Verdict: verdict, Reason: "so it is"})
}

// post sends a delivery as it is.
func (r *rig) post(kind string, header http.Header, body io.Reader) *httptest.ResponseRecorder {
	q := httptest.NewRequestWithContext(r.t.Context(), http.MethodPost, "/webhooks/"+kind, body)
	q.Header = header
	rec := httptest.NewRecorder()
	r.http.ServeHTTP(rec, q)
	return rec
}

// deliver sends a signed delivery of its own id, and waits until it is worked on.
func (r *rig) deliver(d forgetest.Delivery) client.Delivery {
	r.t.Helper()
	got := r.accepted(r.post(r.kind, d.Sign(r.kind, secret, "d-"+strconv.FormatInt(r.ids.Add(1), 10)), bytes.NewReader(d.Body)))
	return r.done(got.Delivery)
}

func (r *rig) accepted(rec *httptest.ResponseRecorder) client.Received {
	r.t.Helper()
	var got client.Received
	if err := json.Unmarshal(rec.Body.Bytes(), &got); rec.Code != http.StatusAccepted || err != nil || got.Delivery == "" || got.Outcome == "" {
		r.t.Fatalf("answered %d: %s", rec.Code, rec.Body)
	}
	return got
}

// done waits until a delivery was worked on.
func (r *rig) done(id string) client.Delivery {
	r.t.Helper()
	var d client.Delivery
	r.eventually("the delivery "+id+" is done", func() bool {
		var err error
		if d, err = r.client.Delivery(r.t.Context(), id); err != nil {
			r.t.Fatal(err)
		}
		return d.State == "done"
	})
	return d
}

// told is what the forge was told of a commit: context state, in order.
func (r *rig) told(sha string) string {
	var all []string
	for _, told := range r.server.Told(shop, sha) {
		all = append(all, told.Context+" "+strings.ToLower(told.State))
	}
	return strings.Join(all, ", ")
}

func (r *rig) tells(sha, want string) {
	r.t.Helper()
	r.eventually("the forge is told "+want, func() bool { return len(r.told(sha)) >= len(want) })
	if got := r.told(sha); got != want {
		r.t.Errorf("the forge was told %s, want %s", got, want)
	}
}

func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			r.t.Fatalf("it never came about that %s\n%s", what, r.log.text())
		case <-tick.C:
		}
	}
}

const build = "name: build\non: [push, pull_request]\njobs: {a: {steps: [{run: make}]}}\n"

// pushed pushes the build pipeline to main, and gives the delivery of it.
func (r *rig) pushed(more ...string) (sha string, d forgetest.Delivery) {
	r.t.Helper()
	sha = r.commit(r.work, "main", "change", append([]string{".relevo/build.yaml", build}, more...)...)
	return sha, r.server.Push(shop, "refs/heads/main", "", sha, dev)
}
