package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/client"
)

// TestTags: an answer that did not change is not sent again, and one that did is.
func TestTags(t *testing.T) {
	w := newWorld(t)
	w.node("n1", 1)
	id := w.submit(hello)
	paths := []string{
		"/v1/pipelines", "/v1/pipelines?state=RUNNING", "/v1/pipelines/" + id, "/v1/pipelines/" + id + "/explain", "/v1/jobs", "/ui/jobs",
		"/v1/jobs/" + id + ".build", "/v1/people", "/v1/deliveries", "/v1/nodes", "/v1/queue", "/openapi.json",
	}
	tags := map[string]string{}
	for _, path := range paths {
		first := w.ask(http.MethodGet, path, "")
		tag := first.Header().Get("Etag")
		if first.Code != http.StatusOK || len(tag) < 10 || first.Body.Len() == 0 || first.Header().Get("Cache-Control") != "private, no-cache" {
			t.Errorf("%s: status %d, head %v", path, first.Code, first.Header())
		}
		for _, known := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
			again := w.ask(http.MethodGet, path, "", "If-None-Match", known)
			if again.Code != http.StatusNotModified || again.Body.Len() != 0 || again.Header().Get("Etag") != tag {
				t.Errorf("%s with %s: status %d, %d bytes", path, known, again.Code, again.Body.Len())
			}
		}
		if other := w.ask(http.MethodGet, path, "", "If-None-Match", `"other"`); other.Code != http.StatusOK || other.Body.String() != first.Body.String() {
			t.Errorf("%s with another tag: status %d", path, other.Code)
		}
		tags[path] = tag
	}
	w.finish(0, "done\n")
	for _, path := range paths {
		changes := path != "/openapi.json" && path != "/v1/people" && path != "/v1/deliveries" && path != "/v1/queue"
		if got := w.ask(http.MethodGet, path, "", "If-None-Match", tags[path]); changes != (got.Code == http.StatusOK) {
			t.Errorf("%s after the run ended: status %d", path, got.Code)
		}
	}
}

// TestWhatHasNoTag: errors, answers to a POST and logs are sent each time.
func TestWhatHasNoTag(t *testing.T) {
	w := newWorld(t)
	w.node("n1", 1)
	id := w.submit(hello)
	w.finish(0, "done\n")
	for name, got := range map[string]http.Header{
		"an error": w.ask(http.MethodGet, "/v1/pipelines/x", "").Header(),
		"a POST":   w.ask(http.MethodPost, "/v1/pipelines", hello).Header(),
		"a log":    w.ask(http.MethodGet, "/v1/jobs/"+id+".build/logs", "").Header(),
	} {
		if got.Get("Etag") != "" || got.Get("Cache-Control") != "no-store" {
			t.Errorf("%s has the head %v", name, got)
		}
	}
	if log := w.ask(http.MethodGet, "/v1/jobs/"+id+".build/logs", ""); !strings.Contains(log.Body.String(), "done") {
		t.Errorf("the log is %q", log.Body)
	}
}

// TestTagsOfStreams: what is written as it comes is not held back.
func TestTagsOfStreams(t *testing.T) {
	w := newWorld(t)
	c := w.serve()
	if _, err := c.Submit(t.Context(), client.Submission{Source: "jobs: {a: {steps: [{run: x}]}}"}, "k"); err != nil {
		t.Fatal(err)
	}
	res, err := c.HTTP.Get(c.BaseURL + "/v1/events?after=0")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	line := make([]byte, 16)
	if n, err := res.Body.Read(line); err != nil || n == 0 || res.Header.Get("Etag") != "" {
		t.Errorf("read %q, %v; head %v", line[:n], err, res.Header)
	}
}
