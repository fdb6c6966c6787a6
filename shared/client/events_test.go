package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
)

// frame is event n as the server sends it.
func frame(n int) string {
	return fmt.Sprintf("id: f.%d\nevent: t\ndata: {\"specversion\":\"1.0\",\"id\":\"e%d\",\"source\":\"/s\",\"type\":\"t\"}\n\n", n, n)
}

// follow lists what a client sees, up to most.
func follow(t *testing.T, c *client.Client, o client.EventOptions, most int) (got []string, err error) {
	t.Helper()
	for e, err := range c.Events(t.Context(), o) {
		switch {
		case err != nil:
			return got, err
		case e.Gap != nil:
			got = append(got, fmt.Sprintf("gap(%s,%d)", e.Gap.After, e.Gap.Missed))
		default:
			got = append(got, e.ID+"@"+e.Position)
		}
		if len(got) == most {
			break
		}
	}
	return got, nil
}

func TestEventsAreTakenUp(t *testing.T) {
	var asked []string
	var pauses []time.Duration
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Last-Event-ID"))
		switch len(asked) {
		case 1:
			_, _ = io.WriteString(w, "retry: 3000\nid: f.0\n\n"+frame(1)+": alive\nid: f.2\n\n"+frame(3)+"id: f.9\ndata: {torn")
		case 2, 3:
			answer(w, http.StatusServiceUnavailable, client.Problem{})
		case 4:
			_, _ = io.WriteString(w, "id: f.3\nevent: gap\ndata: {\"after\":\"f.3\",\"missed\":4}\n\n"+frame(8))
		default:
			_, _ = io.WriteString(w, strings.ReplaceAll(frame(9), "\n", "\r\n"))
		}
	})
	c.Pause = func(_ context.Context, d time.Duration) error {
		pauses = append(pauses, d)
		return nil
	}
	got, err := follow(t, c, client.EventOptions{}, 5)
	if want := "e1@f.1 e3@f.3 gap(f.3,4) e8@f.8 e9@f.9"; err != nil || strings.Join(got, " ") != want {
		t.Errorf("saw %v, %v; want %s", got, err, want)
	}
	if want := ",f.3,f.3,f.3,f.8"; strings.Join(asked, ",") != want {
		t.Errorf("asked from %v, want %s", asked, want)
	}
	if len(pauses) != 4 || pauses[0] != 3*time.Second || pauses[1] <= 0 || pauses[2] <= pauses[1] {
		t.Errorf("waited %v", pauses)
	}
}

// A message without data only moves the place to go on from.
func TestAPlaceAloneIsRemembered(t *testing.T) {
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Last-Event-ID"))
		if len(asked) == 1 {
			_, _ = io.WriteString(w, "id: f.5\n\n")
			return
		}
		_, _ = io.WriteString(w, frame(6))
	})
	if got, err := follow(t, c, client.EventOptions{}, 1); err != nil || got[0] != "e6@f.6" || asked[1] != "f.5" {
		t.Errorf("saw %v, %v; asked from %q", got, err, asked)
	}
}

func TestEventsEnd(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusUnprocessableEntity, client.Problem{Title: "no"})
	})
	if _, err := follow(t, c, client.EventOptions{}, 1); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("refused: %v", err)
	}
	var asked atomic.Int32
	c = serve(t, func(http.ResponseWriter, *http.Request) { asked.Add(1); panic(http.ErrAbortHandler) })
	if _, err := follow(t, c, client.EventOptions{}, 1); err == nil || asked.Load() < 2 {
		t.Errorf("of a server that is away: %v after %d tries", err, asked.Load())
	}
	for _, broken := range []string{"data: {\n\n", "event: gap\ndata: x\n\n"} {
		c = serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, broken) })
		if _, err := follow(t, c, client.EventOptions{}, 1); err == nil {
			t.Errorf("%q is taken for an event", broken)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c = serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, frame(1))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	var last error
	for e, err := range c.Events(ctx, client.EventOptions{}) {
		if last = err; e.ID == "e1" {
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("ended with %v", last)
	}
}

func TestEventFilters(t *testing.T) {
	var got string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.URL.RawQuery + " " + r.Header.Get("Accept")
		_, _ = io.WriteString(w, frame(1))
	})
	_, err := follow(t, c, client.EventOptions{
		Run: "R", Types: []events.Type{events.TypeJobFailed, "b"}, Context: events.Pipeline,
	}, 1)
	want := "context=pipeline&run=R&type=dev.relevo.pipeline.job.failed.v1&type=b text/event-stream"
	if err != nil || got != want {
		t.Errorf("asked for %q, %v", got, err)
	}
}
