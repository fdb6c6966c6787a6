package scenarios_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/deploy/inprocess"
	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/knative"
	"github.com/relevo-ci/relevo/shared/provider"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// story is what a host made of a run.
type story struct {
	events map[string]int // by type and subject; one that was sent twice counts once
	run    string
}

// diary collects events by id.
type diary struct {
	mu   sync.Mutex
	seen map[string]events.Envelope
}

func (d *diary) add(e events.Envelope) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen == nil {
		d.seen = map[string]events.Envelope{}
	}
	d.seen[e.ID] = e
}

func (d *diary) story(run string) story {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := story{events: map[string]int{}, run: run}
	for _, e := range d.seen {
		s.events[string(e.Type)+" "+e.Subject]++
	}
	return s
}

// plain is the stored run without what depends on which of two jobs came first:
// fences, and the ids of events.
func (r *rig) plain(id events.RunID) string {
	r.Helper()
	var doc any
	if err := json.Unmarshal([]byte(r.document(id)), &doc); err != nil {
		r.Fatal(err)
	}
	var strip func(v any)
	strip = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, key := range []string{"fence", "fences", "asked", "last", "cause"} {
				delete(v, key)
			}
			for _, inner := range v {
				strip(inner)
			}
		case []any:
			for _, inner := range v {
				strip(inner)
			}
		}
	}
	strip(doc)
	raw, err := json.MarshalIndent(doc, "", " ")
	if err != nil {
		r.Fatal(err)
	}
	return string(raw)
}

// play is a whole worker: it says hello, writes and succeeds, by HTTP.
func play(t *testing.T, url string, l execution.Launch) {
	t.Helper()
	log := []byte("log of " + string(l.Job.Key) + "\n")
	r := execution.Report{AttemptRef: l.AttemptRef, Worker: l.Worker, Nonce: "nonce of " + string(l.Job.Key), Kind: execution.Hello}
	post(t, url, l, r)
	r.Kind, r.Logs = execution.Beat, []execution.Chunk{{Data: log}}
	r.Steps = []execution.StepEvent{{ID: "0", Name: "true", At: start}}
	post(t, url, l, r)
	step := events.StepResult{ID: "0", Name: "true", Conclusion: "success", Outcome: "success"}
	r.Kind, r.Logs, r.Steps = execution.End, nil, []execution.StepEvent{{ID: "0", Name: "true", At: start, Result: &step}}
	r.End = &execution.Ending{
		Verdict: events.Succeeded, LogBytes: int64(len(log)), Steps: []events.StepResult{step},
		Outputs: map[string]string{"of": string(l.Job.Key)},
	}
	post(t, url, l, r)
}

func post(t *testing.T, url string, l execution.Launch, r execution.Report) {
	t.Helper()
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/worker/report", bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+l.Token)
	response, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	var reply execution.Reply
	if err != nil || response.StatusCode != http.StatusOK || json.Unmarshal(body, &reply) != nil || reply.Gone != "" {
		t.Fatalf("%s of %s: %s %s (%v)", r.Kind, l.Job.Key, response.Status, body, err)
	}
}

// launches makes the rig's provider tell of its workers.
func (r *rig) launches() <-chan execution.Launch {
	launched := make(chan execution.Launch, 64)
	r.provider.Launched = func(l execution.Launch) { launched <- l }
	return launched
}

// onBus runs the diamond in one process.
func onBus(t *testing.T) story {
	r := newRig(t)
	launched := r.launches()
	h, err := inprocess.Start(t.Context(), inprocess.Options{
		Store: r.memory, Logs: r.logs, Providers: map[string]provider.Provider{"fake": r.provider},
		Policy: r.policy, OfferTTL: 24 * time.Hour, Workers: settings, Log: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	var d diary
	created := make(chan string, 64)
	h.Tap(func(e events.Envelope) {
		d.add(e)
		if e.Type == events.TypeWorkerCreated {
			created <- e.Subject
		}
	})
	i := slices.IndexFunc(h.Table, func(f fn.Function) bool { return f.Name == "worker" })
	reports := httptest.NewServer(h.Table[i].HTTP)
	defer reports.Close()
	if err := h.Declare(t.Context(), events.CapacityUpdated{Node: "n", Provider: "fake", Capacity: slots(4), Since: start}); err != nil {
		t.Fatal(err)
	}
	if err := h.Submit(t.Context(), request(t, runID, diamond())); err != nil {
		t.Fatal(err)
	}
	workers := map[string]execution.Launch{}
	for range diamond() {
		select {
		// A worker that ends before its creator has told of it is removed as a
		// stale one, and nobody tells: here each is told of first, as on the cluster.
		case subject := <-created:
			for workers[subject].Worker == "" { // it was launched before
				l := <-launched
				workers["worker/"+string(l.Worker)] = l
			}
			play(t, reports.URL, workers[subject])
		case <-time.After(time.Minute):
			t.Fatalf("no worker comes; the run is\n%s", r.document(runID))
		}
	}
	if err := h.Bus.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
	return d.story(r.plain(runID))
}

// cluster is every function as a process of its own behind HTTP, and a broker
// that brings each event to the services of its type.
type cluster struct {
	*testing.T
	diary
	sink     string
	queue    []events.Envelope // guarded by the diary's lock
	services map[string]string // address by function
	table    []fn.Function
}

func newCluster(t *testing.T, r *rig) *cluster {
	c := &cluster{T: t, services: map[string]string{}, table: r.table}
	serve := func(h http.Handler) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	c.sink = serve(knative.Handler([]fn.Function{{
		Name: "ingress", On: fn.Everything,
		Handle: func(_ context.Context, e events.Envelope) ([]events.Envelope, error) {
			c.add(e)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.queue = append(c.queue, e)
			return nil, nil
		},
	}}, knative.Options{Log: quiet}))
	for i, f := range c.table {
		p := r.assemble(c.publish) // nothing is shared with another but the store
		c.services[f.Name] = serve(knative.Handler(p.table[i:i+1], knative.Options{Sink: c.sink, Published: p.commit.Published, Log: quiet}))
	}
	return c
}

// publish posts events to the broker's address, K_SINK.
func (c *cluster) publish(ctx context.Context, es []events.Envelope) error {
	for _, e := range es {
		if err := (&knative.Sender{}).Send(ctx, c.sink, e); err != nil {
			return err
		}
	}
	return nil
}

// deliver posts an event to a function's service.
func (c *cluster) deliver(function string, e events.Envelope) {
	if err := (&knative.Sender{}).Send(c.Context(), c.services[function], e); err != nil {
		c.Errorf("%s of %s: %v", function, e.Subject, err)
	}
}

// drain delivers what the broker has, and what comes of it.
func (c *cluster) drain() {
	for {
		c.mu.Lock()
		if len(c.queue) == 0 {
			c.mu.Unlock()
			return
		}
		e := c.queue[0]
		c.queue = c.queue[1:]
		c.mu.Unlock()
		for _, f := range c.table {
			if f.On == e.Type {
				c.deliver(f.Name, e)
			}
		}
	}
}

// onKnative runs the diamond on a cluster.
func onKnative(t *testing.T) story {
	r := newRig(t)
	launched := r.launches()
	c := newCluster(t, r)
	e, err := events.New("node", "/relevo/test", "", start, events.CapacityUpdated{Pool: pool, Node: "n", Provider: "fake", Capacity: slots(4), Since: start})
	if err != nil {
		t.Fatal(err)
	}
	c.deliver("capacity-updated", e)
	res, err := r.deps.Runs.Create(t.Context(), "api", request(t, runID, diamond()))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.publish(t.Context(), res.Emitted); err != nil {
		t.Fatal(err)
	}
	for range diamond() {
		c.drain()
		select {
		case l := <-launched:
			play(t, c.services["worker"], l)
		default:
			t.Fatalf("no worker comes; the run is\n%s", r.document(runID))
		}
	}
	c.drain()
	return c.story(r.plain(runID))
}

// TestTheSameFunctionInEveryHost holds the hosts equal on the functions that
// run in production: a diamond leads to the same events and the same run, on the
// bus of one process and on a service for each function. The store's time
// stands, so that the clock has no part in it.
func TestTheSameFunctionInEveryHost(t *testing.T) {
	bus, cluster := onBus(t), onKnative(t)
	for _, key := range slices.Sorted(maps.Keys(bus.events)) {
		if bus.events[key] != cluster.events[key] {
			t.Errorf("%s: %d on the bus, %d on Knative", key, bus.events[key], cluster.events[key])
		}
		delete(cluster.events, key)
	}
	for key, n := range cluster.events {
		t.Errorf("%s: none on the bus, %d on Knative", key, n)
	}
	if bus.run != cluster.run {
		t.Errorf("the run on the bus:\n%s\nand on Knative:\n%s", bus.run, cluster.run)
	}
	if n := bus.events[string(events.TypeRunCompleted)+" "+events.RunRef{Run: runID}.Subject()]; n != 1 || len(bus.events) < 40 {
		t.Errorf("%d runs completed in %d kinds of event", n, len(bus.events))
	}
}
