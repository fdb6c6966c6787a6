package knative_test

import (
	"context"
	"encoding/pem"
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
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/knative"
)

// sink answers with the statuses given, the last one for ever, and keeps what
// it took.
type sink struct {
	*httptest.Server
	mu       sync.Mutex
	statuses []int
	asked    int
	took     []http.Header
	bodies   []string
}

func newSink(t *testing.T, statuses ...int) *sink {
	s := &sink{statuses: statuses}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	status := s.statuses[min(s.asked, len(s.statuses)-1)]
	s.asked++
	if status < 300 {
		s.took = append(s.took, r.Header)
		s.bodies = append(s.bodies, string(body))
	}
	w.WriteHeader(status)
}

func TestSenderTriesAgainAsKnativeDoes(t *testing.T) {
	for name, c := range map[string]struct {
		statuses []int
		asked    int
		kind     fn.Kind
		ok       bool
	}{
		"taken":              {[]int{202}, 1, 0, true},
		"after a while":      {[]int{503, 429, 200}, 3, 0, true},
		"a pod comes up":     {[]int{404, 408, 204}, 3, 0, true},
		"conflict passes":    {[]int{409, 202}, 2, 0, true},
		"to the last":        {[]int{500}, 4, fn.Transient, false},
		"refused":            {[]int{400}, 1, fn.Invalid, false},
		"too large":          {[]int{413}, 1, fn.Invalid, false},
		"refused in the end": {[]int{502, 403}, 2, fn.Invalid, false},
	} {
		s := newSink(t, c.statuses...)
		err := (&knative.Sender{Backoff: time.Microsecond}).Send(t.Context(), s.URL, small)
		if (err == nil) != c.ok || s.asked != c.asked || err != nil && fn.KindOf(err) != c.kind {
			t.Errorf("%s: %v after %d, want %d", name, err, s.asked, c.asked)
		}
	}
}

func TestSenderGivesUpWithItsCaller(t *testing.T) {
	s := newSink(t, 503)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	err := (&knative.Sender{Backoff: time.Hour}).Send(ctx, s.URL, small)
	if !errors.Is(err, context.DeadlineExceeded) || fn.KindOf(err) != fn.Transient {
		t.Errorf("got %v", err)
	}
}

func TestSenderWithoutATarget(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	err := (&knative.Sender{Tries: 2, Backoff: time.Microsecond}).Send(t.Context(), server.URL, small)
	if err == nil || fn.KindOf(err) != fn.Transient {
		t.Errorf("nobody listens: %v", err)
	}
	if err := (&knative.Sender{}).Send(t.Context(), "://", small); fn.KindOf(err) != fn.Invalid {
		t.Errorf("no URL: %v", err)
	}
	if err := (&knative.Sender{}).Send(t.Context(), server.URL, events.Envelope{}); fn.KindOf(err) != fn.Invalid {
		t.Errorf("no event: %v", err)
	}
}

func TestOverridesAreSet(t *testing.T) {
	s := newSink(t, 202)
	sender := &knative.Sender{Overrides: map[string]string{"cluster": "north é", "runid": "other"}}
	e := small
	e.RunID = "mine"
	if err := sender.Send(t.Context(), s.URL, e); err != nil {
		t.Fatal(err)
	}
	if h := s.took[0]; h.Get("Ce-Cluster") != "north%20%C3%A9" || h.Get("Ce-Runid") != "other" || h.Get("Ce-Id") != "1" {
		t.Errorf("headers %v", h)
	}
}

func TestEmittedEventsGoToTheSink(t *testing.T) {
	for _, count := range []int{0, 1, 3} {
		s := newSink(t, 503, 202)
		r := record{}
		for i := range count {
			e := small
			e.ID = strings.Repeat("x", i+1)
			r.emit = append(r.emit, e)
		}
		var mu sync.Mutex
		var published []string
		server := host(t, knative.Options{
			Sink: s.URL, Sender: &knative.Sender{Backoff: time.Microsecond},
			Published: func(id string) {
				mu.Lock()
				defer mu.Unlock()
				published = append(published, id)
			},
		}, r.function("f", "t.a"))
		response, body := postStructured(t, server.URL, small)
		if len(published) != count {
			t.Errorf("%d events: told of %v", count, published)
		}
		if response.StatusCode != http.StatusAccepted || body != "" {
			t.Errorf("%d events: %s %q", count, response.Status, body)
		}
		if len(s.took) != count {
			t.Errorf("the sink took %d of %d", len(s.took), count)
		}
		var took, emitted []string
		for _, h := range s.took {
			took = append(took, h.Get("Ce-Id"))
		}
		for _, e := range r.emit {
			emitted = append(emitted, e.ID)
		}
		if slices.Sort(took); !slices.Equal(took, emitted) {
			t.Errorf("the sink took %v of %v", took, emitted)
		}
	}
}

func TestSinkThatDoesNotTake(t *testing.T) {
	other := small
	other.ID = "other"
	for status, want := range map[int]int{500: 503, 400: 422} {
		s := newSink(t, status)
		r := record{emit: []events.Envelope{small, other}}
		server := host(t, knative.Options{
			Sink: s.URL, Sender: &knative.Sender{Backoff: time.Microsecond},
			Published: func(id string) { t.Errorf("told of %s", id) },
		}, r.function("f", "t.a"))
		response, body := postStructured(t, server.URL, small)
		isProblem(t, "sink", response, body, want)
	}
}

// A single event that the sink does not take now goes back to whoever delivered
// its cause, so that the clock can follow it round a broker that is away.
func TestReplyWhereTheSinkIsAway(t *testing.T) {
	ours := small
	ours.Type = events.TypeRunStarted
	for _, c := range []struct {
		sink int
		emit events.Envelope
		want int
	}{
		{500, ours, http.StatusOK},
		{400, ours, http.StatusUnprocessableEntity},
		{500, small, http.StatusServiceUnavailable}, // for others: the outbox keeps it
	} {
		s := newSink(t, c.sink)
		r := record{emit: []events.Envelope{c.emit}}
		server := host(t, knative.Options{Sink: s.URL, Sender: &knative.Sender{Backoff: time.Microsecond}}, r.function("f", "t.a"))
		response, _ := postStructured(t, server.URL, small)
		if response.StatusCode != c.want || (c.want == http.StatusOK) != (response.Header.Get("Ce-Id") == small.ID) {
			t.Errorf("sink %d, %s: %s, %v", c.sink, c.emit.Type, response.Status, response.Header)
		}
	}
}

// A target that does not answer is left alone for a while, and then asked again.
func TestSenderRests(t *testing.T) {
	s := newSink(t, 202)
	sender := &knative.Sender{Tries: 1, Answer: time.Second, Rest: time.Hour}
	if err := sender.Send(t.Context(), "http://127.0.0.1:1", small); fn.KindOf(err) != fn.Transient {
		t.Fatalf("error %v", err)
	}
	if err := sender.Send(t.Context(), s.URL, small); err == nil || len(s.took) > 0 {
		t.Errorf("it does not rest: %v, %d taken", err, len(s.took))
	}
	awake := &knative.Sender{Tries: 1, Rest: time.Nanosecond}
	if err := awake.Send(t.Context(), "http://127.0.0.1:1", small); err == nil {
		t.Fatal("nobody listens there")
	}
	if err := awake.Send(t.Context(), s.URL, small); err != nil {
		t.Errorf("it rests for ever: %v", err)
	}
}

// TestWhatWasCommittedIsEmittedBesideAnError: a handler may have committed and
// then failed at an effect outside.
func TestWhatWasCommittedIsEmittedBesideAnError(t *testing.T) {
	s := newSink(t, 202)
	r := record{emit: []events.Envelope{small}, err: errors.New("no worker yet")}
	server := host(t, knative.Options{Sink: s.URL}, r.function("f", "t.a"))
	response, body := postStructured(t, server.URL, small)
	isProblem(t, "failed", response, body, 503)
	if len(s.took) != 1 {
		t.Errorf("the sink took %d events", len(s.took))
	}
}

func TestPublishedIsToldOfTheReply(t *testing.T) {
	told := make(chan string, 1)
	reply := small
	reply.ID = "reply"
	r := record{emit: []events.Envelope{reply}}
	server := host(t, knative.Options{Published: func(id string) { told <- id }}, r.function("f", "t.a"))
	if response, body := postStructured(t, server.URL, small); response.StatusCode != http.StatusOK {
		t.Errorf("%s %s", response.Status, body)
	}
	if id := <-told; id != "reply" {
		t.Errorf("told of %s", id)
	}
}

func TestAnswersThatAreNoEvents(t *testing.T) {
	answer := func(header, value, body string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(header, value)
			io.WriteString(w, body)
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	sender := &knative.Sender{Tries: 1}
	if reply, err := sender.Ask(t.Context(), answer("Content-Type", "text/plain", "ok"), small); reply != nil || err != nil {
		t.Errorf("a sink that says ok: %v %v", reply, err)
	}
	for header, value := range map[string]string{"Ce-Specversion": "1.0", "Content-Type": "application/cloudevents+json"} {
		if _, err := sender.Ask(t.Context(), answer(header, value, "{"), small); !errors.Is(err, events.ErrInvalid) {
			t.Errorf("a malformed reply: %v", err)
		}
	}
	if err := sender.Send(t.Context(), answer("Content-Length", "100", "cut off"), small); err == nil || fn.KindOf(err) != fn.Transient {
		t.Errorf("an answer that was cut off: %v", err)
	}
}

func TestSeveralEventsNeedASink(t *testing.T) {
	r := record{emit: []events.Envelope{small, small}}
	server := host(t, knative.Options{}, r.function("f", "t.a"))
	response, body := postStructured(t, server.URL, small)
	isProblem(t, "two events", response, body, 503)
	if !strings.Contains(body, "K_SINK") {
		t.Errorf("it does not say why: %s", body)
	}
}

func TestTrustingClient(t *testing.T) {
	s := newSink(t, 202)
	secure := httptest.NewUnstartedServer(s)
	secure.Config.ErrorLog = slog.NewLogLogger(quiet.Handler(), slog.LevelError)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	certificate := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}))
	client, err := knative.TrustingClient(certificate)
	if err != nil {
		t.Fatal(err)
	}
	if err := (&knative.Sender{Client: client, Tries: 1}).Send(t.Context(), secure.URL, small); err != nil {
		t.Error(err)
	}
	if err := (&knative.Sender{Tries: 1}).Send(t.Context(), secure.URL, small); err == nil {
		t.Error("it trusts a certificate that nobody gave it")
	}
	if _, err := knative.TrustingClient("nothing"); err == nil {
		t.Error("a client with no certificate")
	}
}

// One event that the sink refuses keeps none of the others back.
func TestSendAllSendsWhatItCan(t *testing.T) {
	s := newSink(t, 202, 400, 202)
	var es []events.Envelope
	for _, id := range []string{"a", "b", "c"} {
		e, err := events.New(id, "/relevo/test", "", time.Now(), events.RunStarted{RunRef: events.RunRef{Run: "R"}})
		if err != nil {
			t.Fatal(err)
		}
		es = append(es, e)
	}
	var mu sync.Mutex
	sent := map[string]bool{}
	err := (&knative.Sender{}).SendAll(t.Context(), s.URL, es, func(id string) {
		mu.Lock()
		defer mu.Unlock()
		sent[id] = true
	})
	if err == nil || fn.KindOf(err).Retry() {
		t.Errorf("error %v", err)
	}
	if len(sent) != 2 || len(s.took) != 2 {
		t.Errorf("sent %v, taken %d", sent, len(s.took))
	}
}
