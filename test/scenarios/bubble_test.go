package scenarios_test

import (
	"sync"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/deploy/inprocess"
	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/providers/fake"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/provider"
)

// host is a host in a bubble of faked time, whose workers play by themselves.
type host struct {
	*inprocess.Host
	provider *fake.Provider
	peak     int // of the workers at one time

	mu    sync.Mutex
	live  int
	tasks sync.WaitGroup
}

func startHost(t *testing.T, capacity int64, o inprocess.Options) *host {
	h := &host{provider: fake.New()}
	h.provider.Launched = func(l execution.Launch) {
		h.count(1)
		h.tasks.Go(func() { h.work(t, l) })
	}
	h.provider.Removed = func(execution.Launch) { h.count(-1) }
	o.Store, o.Logs = memory.New(time.Now, "test"), logs.NewMemory(64<<20)
	o.Providers, o.Policy = map[string]provider.Provider{"fake": h.provider}, pipeline.DefaultPolicy()
	o.OfferTTL, o.Workers, o.Log = 24*time.Hour, settings, quiet
	var err error
	if h.Host, err = inprocess.Start(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if err := h.Declare(t.Context(), events.CapacityUpdated{Node: "n", Provider: "fake", Capacity: slots(capacity), Since: time.Now()}); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *host) count(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.live += n
	h.peak = max(h.peak, h.live)
}

// step is how long a worker's step takes.
const step = 20 * time.Second

// work is a worker's agent: it sends each report until it is answered.
func (h *host) work(t *testing.T, l execution.Launch) {
	for _, r := range []execution.Report{
		{Kind: execution.Hello},
		{Kind: execution.End, End: &execution.Ending{Verdict: events.Succeeded}},
	} {
		r.AttemptRef, r.Worker, r.Nonce = l.AttemptRef, l.Worker, "nonce"
		for {
			reply, err := h.Deps.Reports.Report(t.Context(), r)
			if reply.Gone != "" {
				return
			}
			if err == nil {
				break
			}
			<-time.After(time.Second)
		}
		if r.Kind == execution.Hello {
			<-time.After(step)
		}
	}
}

// await lets time go by until the run is over, an hour at most.
func (h *host) await(t *testing.T, id events.RunID) *pipeline.Run {
	t.Helper()
	for range 3600 {
		run, _, err := h.Deps.Runs.Load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if run.State.Final() {
			return run
		}
		<-time.After(time.Second)
	}
	t.Fatalf("run %s is not over after an hour", id)
	return nil
}

// rest lets time go by until all capacity is back, an hour at most.
func (h *host) rest(t *testing.T) {
	t.Helper()
	held := 0
	for range 3600 {
		list, err := h.Deps.Runs.Store.List(t.Context(), protocol.PoolPartition(pool), "held")
		if err != nil {
			t.Fatal(err)
		}
		if held = len(list); held == 0 {
			return
		}
		<-time.After(time.Second)
	}
	t.Fatalf("%d assignments are held after an hour", held)
}
