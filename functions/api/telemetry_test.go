package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

const incoming = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// TestTraces: a run has a trace, its own or that of whoever asked; lists name it.
func TestTraces(t *testing.T) {
	w := newWorld(t)
	w.node("n1", 2)
	own, given := w.submit(hello), w.submit(hello, "Traceparent", incoming)
	garbage := w.submit(hello, "Traceparent", "garbage")
	w.finish(0, "x\n")
	c := w.serve()
	list, err := c.Traces(t.Context(), 2, "")
	if err != nil || len(list.Traces) != 2 || list.Next == "" {
		t.Fatalf("%+v, %v", list, err)
	}
	more, err := c.Traces(t.Context(), 2, list.Next)
	if err != nil || len(more.Traces) != 1 || more.Next != "" {
		t.Fatalf("%+v, %v", more, err)
	}
	traces := map[string]string{}
	for _, s := range append(list.Traces, more.Traces...) {
		traces[s.Run] = s.Trace
	}
	for run, want := range map[string]string{own: string(events.TraceOf(own)), given: incoming[3:35], garbage: string(events.TraceOf(garbage))} {
		if traces[run] != want {
			t.Errorf("%s is listed with the trace %s, want %s", run, traces[run], want)
		}
		one, err := c.Trace(t.Context(), run)
		if err != nil {
			t.Fatal(err)
		}
		spans := one.ResourceSpans[0].ScopeSpans[0].Spans
		if s := spans[0]; s.TraceID != want || s.Name != "RUN ci" && s.Name != "RUN pipeline" || s.Kind != 2 || (s.ParentSpanID == incoming[36:52]) != (run == given) {
			t.Errorf("%+v", s)
		}
	}
	done, err := c.Waterfall(t.Context(), own)
	if err != nil || len(done.Spans) < 4 || done.Spans[0].Open || done.Spans[1].Depth != 1 || done.Spans[1].Parent != done.Spans[0].ID {
		t.Errorf("%+v, %v", done, err)
	}
	open, err := c.Waterfall(t.Context(), garbage)
	if err != nil || !open.Spans[0].Open {
		t.Errorf("%+v, %v", open, err)
	}
	refused(t, w.ask(http.MethodGet, "/v1/traces/01JABCDEFGHJKMNPQRSTVWXYZ0", ""), http.StatusNotFound)
}

// TestTracesAreRetained for so long after the run was asked for.
func TestTracesAreRetained(t *testing.T) {
	start := time.Now()
	w := newWorld(t, func(w *world) { w.now, w.api.Telemetry.Retention = start, time.Hour })
	run := w.submit(hello)
	c := w.serve()
	for _, step := range []struct {
		after time.Duration
		kept  bool
	}{{59 * time.Minute, true}, {61 * time.Minute, false}} {
		w.now = start.Add(step.after)
		_, err := c.Trace(t.Context(), run)
		list, listErr := c.Traces(t.Context(), 10, "")
		if (err == nil) != step.kept || listErr != nil || (len(list.Traces) == 1) != step.kept {
			t.Errorf("after %v: %v, %+v, %v", step.after, err, list, listErr)
		}
	}
}

// TestEventsBringTheirTrace: the extension of an event, in either mode, is that of
// its delivery.
func TestEventsBringTheirTrace(t *testing.T) {
	for name, header := range map[string][]string{
		"structured": {"Content-Type", "application/cloudevents+json"},
		"binary":     {"Ce-Specversion", "1.0", "Ce-Id", "1", "Ce-Source", "s", "Ce-Type", "com.example.x", "Ce-Traceparent", incoming},
		"the header": {"Ce-Specversion", "1.0", "Ce-Id", "1", "Ce-Source", "s", "Ce-Type", "com.example.x", "Traceparent", incoming},
	} {
		w := newWorld(t)
		body := `{}`
		if name == "structured" {
			body = `{"specversion":"1.0","id":"1","source":"s","type":"com.example.x","traceparent":"` + incoming + `","data":{}}`
		}
		got := decode[client.Receipts](t, w.ask(http.MethodPost, "/v1/events", body, header...), http.StatusAccepted)
		d, _, err := w.api.Doors.Delivery(t.Context(), events.DeliveryID(got.Events[0].Delivery))
		if err != nil || d.Traceparent() != incoming {
			t.Errorf("%s: %q, %v", name, d.Traceparent(), err)
		}
	}
}

// TestMetrics: the numbers are what there is, in JSON and for Prometheus.
func TestMetrics(t *testing.T) {
	w := newWorld(t)
	w.node("n1", 1)
	w.submit(hello)
	w.submit(hello)
	w.finish(0, "x\n")
	w.submit(hello)
	w.report(1, execution.Hello, "", nil)
	w.report(1, execution.End, "", &execution.Ending{Verdict: events.Failed, Reason: "no"})
	if _, err := w.api.Doors.Receive(t.Context(), "test", trigger.Arrival{Source: "cloudevent", Sender: "a", Event: "x"}, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	c := w.serve()
	m, err := c.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pool := client.PoolMetric{}
	if len(m.Pools) == 1 {
		pool = m.Pools[0]
	}
	got := fmt.Sprint(m.Runs["SUCCEEDED"], m.Runs["FAILED"], m.Jobs["SUCCEEDED"], m.Recent.Jobs, m.Recent.Verdicts, m.Recent.Wait.Count, m.Recent.RunDuration.Count, m.DeadLetters,
		pool.ID, pool.Nodes, pool.Workers, pool.Waiting, pool.Capacity.Slots, pool.Free.Slots)
	if want := "1 1 1 3 map[failed:1 succeeded:1] 2 2 0linux1 1 0 1 0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	rec := w.ask(http.MethodGet, "/metrics", "")
	text := rec.Body.String()
	for _, line := range []string{
		"relevo_up 1", `relevo_pipeline_runs{state="SUCCEEDED"} 1`, `relevo_pipeline_recent_jobs{result="failure"} 1`, `relevo_scheduler_workers{pool="linux"} 1`,
		`relevo_scheduler_capacity{pool="linux",resource="cpu"} 4`, "cicd_pipeline_run_duration_seconds_count 2", "relevo_bus_dead_letters 0",
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("there is no %s in\n%s", line, text)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || rec.Code != http.StatusOK || len(problems) > 0 {
		t.Errorf("%d, %v, %v", rec.Code, problems, err)
	}
}

// TestScrapeSaysThatTheStoreIsAway, and nothing that is old.
func TestScrapeSaysThatTheStoreIsAway(t *testing.T) {
	w := newWorld(t)
	w.api.Views.View = away{w.api.Views.View}
	rec := w.ask(http.MethodGet, "/metrics", "")
	if rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), "relevo_up 0\n") || strings.Contains(rec.Body.String(), "state=") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}
