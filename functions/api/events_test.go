package api_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/functions/api"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/feed"
)

// cuts cuts each answer after some number of bytes.
type cuts struct {
	next  http.Handler
	after int64
	count atomic.Int64
	mark  int64         // so many cuts
	hit   chan struct{} // close it
}

func newCuts(next http.Handler, after, mark int64) *cuts {
	return &cuts{next: next, after: after, mark: mark, hit: make(chan struct{})}
}

func (c *cuts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.next.ServeHTTP(&cutWriter{ResponseWriter: w, cuts: c, left: 1 + rand.Int64N(c.after)}, r)
}

type cutWriter struct {
	http.ResponseWriter
	cuts *cuts
	left int64
}

func (w *cutWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *cutWriter) Write(p []byte) (int, error) {
	if int64(len(p)) <= w.left {
		w.left -= int64(len(p))
		return w.ResponseWriter.Write(p)
	}
	_, _ = w.ResponseWriter.Write(p[:max(w.left, 1)]) // never before it
	_ = http.NewResponseController(w.ResponseWriter).Flush()
	if w.cuts.count.Add(1) == w.cuts.mark {
		close(w.cuts.hit)
	}
	panic(http.ErrAbortHandler)
}

// note is an event of its own for each number.
func note(t *testing.T, n int) events.Envelope {
	t.Helper()
	e, err := events.New(fmt.Sprint("note-", n), "/relevo/test", "", time.Unix(int64(n), 0),
		events.RunFailed{RunRef: events.RunRef{Run: events.RunID(fmt.Sprintf("%026d", n))}, Verdict: "failed", Reason: strconv.Itoa(n)})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (w *world) record(from, to int) {
	w.t.Helper()
	for n := from; n <= to; n++ {
		if err := w.feed.Record(context.Background(), note(w.t, n)); err != nil {
			w.t.Error(err)
		}
	}
}

// TestEventsAcrossBrokenConnections: whatever is cut, and while events come in
// bursts, a reader sees each once and in order.
func TestEventsAcrossBrokenConnections(t *testing.T) {
	const total, wanted = 4000, 100
	w := newWorld(t)
	cutter := newCuts(w.http, 12_000, wanted/4)
	s := httptest.NewServer(cutter)
	defer s.Close()
	defer w.api.Close()
	c := &client.Client{BaseURL: s.URL, HTTP: s.Client(), Pause: noPause}
	go func() {
		for n := 1; n <= total; n += 100 {
			w.record(n, n+99)
			if n == total/2+1 {
				<-cutter.hit // let the reader come near, then burst on
			}
		}
	}()
	seen := 0
	for e, err := range c.Events(t.Context(), client.EventOptions{After: client.Oldest}) {
		if err != nil {
			t.Fatal(err)
		}
		seen++
		if want := fmt.Sprint("note-", seen); e.ID != want || e.Gap != nil {
			t.Fatalf("got %s (gap %v), want %s", e.ID, e.Gap, want)
		}
		if seen == total {
			break
		}
	}
	if got := cutter.count.Load(); got < wanted {
		t.Errorf("only %d connections were cut: the test shows little", got)
	}
}

// A reader that takes nothing is dropped; others never wait for it, and it
// resumes where it was.
func TestASlowReaderIsDropped(t *testing.T) {
	const total = 20_000
	w := newWorld(t, func(w *world) { w.api.Streams.Patience = 50 * time.Millisecond })
	ended := make(chan struct{})
	inner := w.http
	w.http = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(rw, r)
		if r.Header.Get("Slow") != "" {
			close(ended)
		}
	})
	c := w.serve()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.BaseURL+"/v1/events?after=0", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Slow", "yes")
	res, err := c.HTTP.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() // and nothing of it is read
	go w.record(1, total)
	seen := 0
	for e, err := range c.Events(t.Context(), client.EventOptions{After: client.Oldest}) {
		if err != nil || e.Gap != nil {
			t.Fatal(e.Gap, err)
		}
		if seen++; seen == total {
			break
		}
	}
	<-ended
	got, _ := io.ReadAll(res.Body) // what had gone out before, cut somewhere
	whole := string(got[:bytes.LastIndex(got, []byte("\n\n"))+2])
	read := len(idsIn(whole))
	if read == 0 || read == total {
		t.Fatalf("the slow reader got %d events of %d: the test shows nothing", read, total)
	}
	_, id, _ := strings.Cut(whole[strings.LastIndex(whole, "\n\nid: ")+2:], "id: ")
	id, _, _ = strings.Cut(id, "\n")
	for e, err := range c.Events(t.Context(), client.EventOptions{After: id}) {
		if want := fmt.Sprint("note-", read+1); err != nil || e.ID != want {
			t.Errorf("it resumes with %s, %v, not with %s", e.ID, err, want)
		}
		break
	}
}

// read gives what a stream sent until the reader left after that long.
func (w *world) read(d time.Duration, path string, header ...string) string {
	ctx, cancel := context.WithTimeout(w.t.Context(), d)
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	r.RemoteAddr, r.Host = "127.0.0.1:1234", "localhost"
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.http.ServeHTTP(rec, r)
	if rec.Code != http.StatusOK || rec.Header().Get("Content-Type") != "text/event-stream" {
		w.t.Errorf("%d %v", rec.Code, rec.Header())
	}
	return rec.Body.String()
}

func TestStreamLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.record(1, 3)
		last, err := w.feed.Last(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		opening := fmt.Sprintf("retry: 1000\nid: %s\n\n", last)
		alive := fmt.Sprintf(": alive\nid: %s\n\n", last)
		if got := w.read(14*time.Second, "/v1/events"); got != opening {
			t.Errorf("after 14 s: %q", got)
		}
		if got := w.read(31*time.Second, "/v1/events"); got != opening+alive+alive {
			t.Errorf("after 31 s: %q", got)
		}
		began := time.Now()
		got := w.read(time.Hour, "/v1/events")
		if d := time.Since(began); d != 240*time.Second {
			t.Errorf("the stream lived for %s", d)
		}
		if !strings.HasPrefix(got, opening) || !strings.HasSuffix(got, alive+opening) {
			t.Errorf("it said %q", got)
		}
	})
}

func TestEventsFromNowAndFromAPosition(t *testing.T) {
	for _, c := range []struct{ query, last, want string }{
		{"", "", "4 5"},
		{"?after=FIRST", "", "2 3 4 5"},
		{"?after=0", "FIRST", "2 3 4 5"}, // the browser's word, when it comes again
		{"", "0", "1 2 3 4 5"},
		{"?after=0", "", "1 2 3 4 5"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.record(1, 1)
			first, err := w.feed.Last(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			w.record(2, 3)
			at := strings.NewReplacer("FIRST", string(first))
			var got string
			var wg sync.WaitGroup
			wg.Go(func() {
				got = w.read(time.Second, "/v1/events"+at.Replace(c.query), "Last-Event-ID", at.Replace(c.last))
			})
			synctest.Wait()
			w.record(4, 5)
			wg.Wait()
			if ids := strings.ReplaceAll(strings.Join(idsIn(got), " "), "note-", ""); ids != c.want {
				t.Errorf("%+v: %s", c, ids)
			}
		})
	}
}

// idsIn lists the ids of the events in a stream's text.
func idsIn(stream string) []string {
	var ids []string
	for line := range strings.Lines(stream) {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			_, after, _ := strings.Cut(data, `"id":"`)
			id, _, _ := strings.Cut(after, `"`)
			ids = append(ids, id)
		}
	}
	return ids
}

func TestAGapIsTold(t *testing.T) {
	w := newWorld(t)
	w.feed = feed.NewMemory(3, 1<<20)
	w.api.Feed = w.feed
	c := w.serve()
	w.record(1, 1)
	at, err := w.feed.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.record(2, 9)
	var got []string
	for e, err := range c.Events(t.Context(), client.EventOptions{After: string(at)}) {
		switch {
		case err != nil:
			t.Fatal(err)
		case e.Gap != nil:
			got = append(got, fmt.Sprintf("gap of %d after %v", e.Gap.Missed, e.Gap.After == string(at)))
		default:
			got = append(got, e.ID)
		}
		if len(got) == 4 {
			break
		}
	}
	if want := "gap of 5 after true,note-7,note-8,note-9"; strings.Join(got, ",") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestEventFilters(t *testing.T) {
	w := newWorld(t)
	w.node("n1", 1)
	id := w.submit(hello)
	w.submit(hello)
	w.finish(0, "")
	c := w.serve()
	first := func(o client.EventOptions) (got []events.Type) {
		o.After = client.Oldest
		for e, err := range c.Events(t.Context(), o) {
			if err != nil {
				t.Fatal(err)
			}
			if o.Run != "" && e.RunID != o.Run {
				t.Errorf("an event of run %s", e.RunID)
			}
			if got = append(got, e.Type); len(got) == 2 {
				break
			}
		}
		return got
	}
	if got := first(client.EventOptions{Run: id}); got[0] != events.TypeRunRequested || got[1] != events.TypeRunStarted {
		t.Errorf("of the run %v", got)
	}
	if got := first(client.EventOptions{Context: events.Scheduler}); got[0] != events.TypeCapacityUpdated || got[1] != events.TypeOfferCreated {
		t.Errorf("of the scheduler %v", got)
	}
	if got := first(client.EventOptions{Types: []events.Type{"pipeline.job.completed", events.TypeJobScheduled}}); got[0] != events.TypeJobScheduled || got[1] != events.TypeJobCompleted {
		t.Errorf("of types %v", got)
	}
	from := w.submit(strings.Replace(hello, "{", `{"trigger": {"repository": "acme/web"}, `, 1))
	if got := first(client.EventOptions{Repository: "acme/web", Run: from}); got[0] != events.TypeRunRequested {
		t.Errorf("of the repository %v", got)
	}
	for _, query := range []string{"run=x", "type=pipeline.job", "type=x&type=y", "context=x", "after=x", "since=x"} {
		refused(t, w.ask(http.MethodGet, "/v1/events?"+query, ""), http.StatusUnprocessableEntity)
	}
	refused(t, newWorld(t, func(w *world) { w.api.Feed, w.deps.Feed = nil, nil }).ask(http.MethodGet, "/v1/events", ""), http.StatusServiceUnavailable)
}

func TestRoutesCoverTheInterface(t *testing.T) {
	mux := http.NewServeMux()
	for _, pattern := range api.Routes() {
		mux.Handle(pattern, newWorld(t).http)
	}
	for _, path := range []string{"/v1/nodes", "/openapi.json", "/openapi.yaml"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		r.RemoteAddr, r.Host = "127.0.0.1:1", "localhost"
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, r)
		if rec.Code != http.StatusOK {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
}
