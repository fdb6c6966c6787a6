package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
)

// wide is an api with a run of a matrix of 256 jobs, of which one failed.
func wide(t *testing.T) http.Handler {
	t.Helper()
	run := client.Run{RunSummary: client.RunSummary{ID: "R", Pipeline: "wide", State: "FAILED", Requested: noon, Ended: noon.Add(time.Hour)}}
	w := client.Waterfall{Run: "R", Start: noon, Millis: 3_600_000, Spans: []client.WaterfallSpan{{ID: "r", Name: "RUN wide", Millis: 3_600_000, Attributes: map[string]any{"cicd.pipeline.run.id": "R"}}}}
	for n := range 256 {
		key := fmt.Sprintf("wide.%d", n)
		job := client.Job{ID: "R." + key, Key: events.JobKey(key), State: "SUCCEEDED", Asked: noon, Ended: noon.Add(time.Minute), Attempts: []client.Attempt{{Number: 1, State: "SUCCEEDED", Started: noon}}}
		if n == 200 {
			job.State = "FAILED"
		}
		run.Jobs = append(run.Jobs, job)
		w.Spans = append(w.Spans, client.WaterfallSpan{ID: key, Parent: "r", Name: key, Millis: 60_000, Attributes: map[string]any{"relevo.job.key": key}},
			client.WaterfallSpan{ID: key + "q", Parent: key, Name: "queued", Millis: 1000, Attributes: map[string]any{}},
			client.WaterfallSpan{ID: key + "w", Parent: key, Name: "worker", Millis: 59_000, Attributes: map[string]any{"relevo.fence": "1.1"}},
			client.WaterfallSpan{ID: key + "s", Parent: key + "w", Name: "step of " + key, Millis: 50_000, Attributes: map[string]any{"cicd.pipeline.task.run.id": key}})
	}
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		answer := map[string]any{"/v1/pipelines/R": run, "/v1/traces/R/waterfall": w, "/v1/me": client.Me{Name: "ana"}}[r.URL.Path]
		if answer == nil {
			rw.WriteHeader(http.StatusNotFound)
			return
		}
		rw.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(rw).Encode(answer); err != nil {
			t.Error(err)
		}
	})
}

// TestWideFall: of a run with more spans than a page bears, those of what failed and of
// the job that was asked for are shown; of the others there is a link.
func TestWideFall(t *testing.T) {
	console := New(&Console{API: wide(t)}).HTTP
	for query, want := range map[string][]string{"": {"wide.200"}, "&job=wide.7": {"wide.7", "wide.200"}} {
		w := httptest.NewRecorder()
		console.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/runs/R?view=waterfall"+query, nil))
		page := w.Body.String()
		if w.Code != http.StatusOK || strings.Count(page, ">step of ") != len(want) || strings.Count(page, `id="fall-wide.`) != 256 {
			t.Errorf("%s: %d, %d steps", query, w.Code, strings.Count(page, ">step of "))
		}
		for _, key := range want {
			if !strings.Contains(page, ">step of "+key+"<") {
				t.Errorf("%s: the step of %s is not shown", query, key)
			}
		}
		if !strings.Contains(page, `href="/runs/R?view=waterfall&amp;job=wide.9#fall-wide.9"`) {
			t.Errorf("%s: no link to the steps of another job", query)
		}
		if len(page) > 400<<10 {
			t.Errorf("%s: the page has %d bytes", query, len(page))
		}
	}
}

// TestFallThatIsGone: a run whose trace is not kept any more still has its page.
func TestFallThatIsGone(t *testing.T) {
	api := wide(t)
	console := New(&Console{API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/traces/") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		api.ServeHTTP(w, r)
	})}).HTTP
	w := httptest.NewRecorder()
	console.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/runs/R?view=waterfall", nil))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "no longer kept") {
		t.Errorf("%d", w.Code)
	}
}
