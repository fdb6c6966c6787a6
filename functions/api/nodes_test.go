package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/view"
)

func TestNodes(t *testing.T) {
	w := newWorld(t)
	if list := decode[client.NodeList](t, w.ask(http.MethodGet, "/v1/nodes", ""), http.StatusOK); list.Pools == nil || len(list.Pools) != 0 {
		t.Errorf("without a pool: %+v", list)
	}
	w.node("n1", 3)
	w.node("n2", 1)
	id := w.submit(submission("jobs:\n  a: {resources: {cpu: 3}, steps: [{run: x}]}\n"))
	list := decode[client.NodeList](t, w.ask(http.MethodGet, "/v1/nodes", ""), http.StatusOK)
	if len(list.Pools) != 1 || list.Pools[0].ID != "linux" || len(list.Pools[0].Nodes) != 2 {
		t.Fatalf("list %+v", list)
	}
	var held []client.Held
	for _, n := range list.Pools[0].Nodes {
		held = append(held, n.Held...)
		if want := n.Capacity.CPU - 3000*int64(len(n.Held)); n.Free.CPU != want || n.Provider != "fake" {
			t.Errorf("node %+v", n)
		}
	}
	if len(held) != 1 || held[0].Job != id+".a" || held[0].Attempt != 1 || held[0].Worker == "" {
		t.Errorf("held %+v", held)
	}
}

func TestQueueTellsWhyEachNodeWasPassedOver(t *testing.T) {
	w := newWorld(t)
	w.node("n1", 4)
	w.submit(submission("jobs:\n  big: {resources: {cpu: 4}, steps: [{run: x}]}\n"))
	waits := w.submit(submission("jobs:\n  late: {resources: {cpu: 2}, steps: [{run: x}]}\n"))
	never := w.submit(submission("jobs:\n  gpu: {runs-on: gpu, priority: 5, steps: [{run: x}]}\n"))
	q := decode[client.Queue](t, w.ask(http.MethodGet, "/v1/queue", ""), http.StatusOK)
	if len(q.Pools) != 1 || q.Pools[0].Waiting != 2 || len(q.Pools[0].Offers) != 2 {
		t.Fatalf("queue %+v", q)
	}
	first, second := q.Pools[0].Offers[0], q.Pools[0].Offers[1]
	if first.Job != never+".gpu" || first.Position != 1 || !first.Never || !strings.Contains(first.Passed[0].Reason, `label "gpu"`) {
		t.Errorf("first %+v", first)
	}
	if second.Job != waits+".late" || second.Position != 2 || second.Never || !strings.Contains(second.Passed[0].Reason, "0 of 4 cores") {
		t.Errorf("second %+v", second)
	}
}

// TestQueueTellsWhenAJobMayStart goes by how long the jobs before took.
func TestQueueTellsWhenAJobMayStart(t *testing.T) {
	w := newWorld(t)
	w.now = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	w.node("n1", 4)
	const big = "jobs:\n  big: {resources: {cpu: 4}, steps: [{run: x}]}\n"
	w.submit(submission(big))
	w.report(0, execution.Hello, "", nil)
	w.now = w.now.Add(time.Minute)
	w.report(0, execution.End, "", &execution.Ending{Verdict: events.Succeeded})
	w.submit(submission(big))
	second := w.submit(submission(big))
	third := w.submit(submission(big))
	queue := func() client.PoolQueue {
		return decode[client.Queue](t, w.ask(http.MethodGet, "/v1/queue", ""), http.StatusOK).Pools[0]
	}
	q := queue()
	if q.Typical != 60 || len(q.Offers) != 2 || q.Offers[0].Job != second+".big" || q.Offers[0].Pipeline != "ci" || !q.Offers[0].Starts.Equal(w.now.Add(time.Minute)) || !q.Offers[1].Starts.Equal(w.now.Add(2*time.Minute)) {
		t.Errorf("queue %+v", q)
	}
	if e := w.explain(third); !e.Jobs[0].Starts.Equal(w.now.Add(2 * time.Minute)) {
		t.Errorf("explanation %+v", e)
	}
	w.now = w.now.Add(time.Minute)
	if q := queue(); !q.Offers[0].Starts.IsZero() || q.Typical != 60 {
		t.Errorf("what runs takes longer than any before it: %+v", q)
	}
	broken := view.Row{Kind: view.Jobs, ID: "x", Version: 1, Score: w.now.UnixMilli(), Indexes: []view.Index{{Field: "pool", Value: "linux"}}, Body: []byte("{")}
	if err := w.api.Views.View.Put(t.Context(), broken); err != nil {
		t.Fatal(err)
	}
	if q := queue(); q.Typical != 0 || len(q.Offers) != 2 {
		t.Errorf("without a forecast: %+v", q)
	}
	if e := w.explain(third); e.Jobs[0].Position != 2 {
		t.Errorf("explained without a forecast: %+v", e)
	}
}
