package knative_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"pgregory.net/rapid"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/bus"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/knative"
)

// diary is what happened in one host: each delivery to each function, each
// event that was published, each delivery given up. Order is promised to
// nobody, so it is compared sorted.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) add(what string, e events.Envelope) {
	raw, err := json.Marshal(e)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprint(what, " ", string(raw), err))
}

func (d *diary) sorted() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	slices.Sort(d.lines)
	return d.lines
}

// world is a small table of functions: one splits, one translates, one fails
// at first, one refuses, one hears everything.
func world(d *diary) []fn.Function {
	on := func(name string, typ events.Type, then func(e events.Envelope) ([]events.Envelope, error)) fn.Function {
		return fn.Function{Name: name, On: typ, Handle: func(_ context.Context, e events.Envelope) ([]events.Envelope, error) {
			d.add(name, e)
			return then(e)
		}}
	}
	// next carries every attribute of e on, so that all of them travel twice.
	next := func(e events.Envelope, typ events.Type, n int) events.Envelope {
		out := e
		out.ID, out.CauseID, out.Type = events.DeriveID(e.ID, string(typ), strconv.Itoa(n)), e.ID, typ
		return out
	}
	var mu sync.Mutex
	failed := map[string]bool{}
	return []fn.Function{
		on("splits", "w.start", func(e events.Envelope) ([]events.Envelope, error) {
			return []events.Envelope{next(e, "w.part", 1), next(e, "w.part", 2)}, nil
		}),
		on("translates", "w.part", func(e events.Envelope) ([]events.Envelope, error) {
			return []events.Envelope{next(e, "w.end", 0)}, nil
		}),
		on("fails-once", "w.part", func(e events.Envelope) ([]events.Envelope, error) {
			mu.Lock()
			defer mu.Unlock()
			out := []events.Envelope{next(e, "w.end", 1)}
			if !failed[e.ID] {
				failed[e.ID] = true
				return out, errors.New("committed, and then failed")
			}
			return out, nil
		}),
		on("refuses", "w.end", func(events.Envelope) ([]events.Envelope, error) {
			return nil, fn.Faultf(fn.Conflict, "never")
		}),
		on("hears", fn.Everything, func(events.Envelope) ([]events.Envelope, error) { return nil, nil }),
	}
}

// onBus runs e through the in-process host.
func onBus(t *testing.T, e events.Envelope) []string {
	var d diary
	b := bus.New(bus.Options{Backoff: time.Microsecond, BackoffMax: time.Microsecond, Log: quiet})
	if err := b.Subscribe(world(&d)...); err != nil {
		t.Fatal(err)
	}
	b.Tap(func(e events.Envelope) { d.add("published", e) })
	if err := b.Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if err := b.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
	dead, err := b.DeadLetters(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range dead {
		d.add("dead "+l.Function, l.Event)
	}
	return d.sorted()
}

// broker stands for Knative's: it posts each event to every function that
// subscribes, takes replies and what comes to its own address for new events,
// tries again where Knative does and else gives up.
type broker struct {
	t     *testing.T
	diary *diary
	send  func(t *testing.T, url string, e events.Envelope) (*http.Response, string)
	table []fn.Function
	hosts map[string]string // address by function
	dead  map[string]bool

	mu    sync.Mutex // a host sends several events at a time
	queue []events.Envelope
}

func (b *broker) publish(e events.Envelope) {
	b.diary.add("published", e)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = append(b.queue, e)
}

func (b *broker) next() (e events.Envelope, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return e, false
	}
	e, b.queue = b.queue[0], b.queue[1:]
	return e, true
}

func (b *broker) run() {
	for e, ok := b.next(); ok; e, ok = b.next() {
		for _, f := range b.table {
			if f.On == e.Type || f.On == fn.Everything {
				b.deliver(f.Name, e)
			}
		}
	}
}

func (b *broker) deliver(function string, e events.Envelope) {
	for range 10 {
		response, body := b.send(b.t, b.hosts[function], e)
		switch {
		case response.StatusCode < 300 && body == "" && response.Header.Get("Ce-Specversion") == "":
			return
		case response.StatusCode < 300:
			reply, err := cehttp.NewEventFromHTTPResponse(&http.Response{Header: response.Header, Body: io.NopCloser(strings.NewReader(body))})
			if err != nil {
				b.t.Fatalf("%s answered %s %q: %v", function, response.Status, body, err)
			}
			out, err := knative.FromEvent(*reply)
			if err != nil {
				b.t.Fatal(err)
			}
			b.publish(knative.Unescape(out))
			return
		case response.StatusCode < 500 && !slices.Contains([]int{404, 408, 409, 429}, response.StatusCode):
			if !b.dead[function+e.ID] { // a dead letter replaces an earlier one
				b.diary.add("dead "+function, e)
			}
			b.dead[function+e.ID] = true
			return
		}
	}
	b.t.Errorf("%s: tries are used up", function)
}

// onKnative runs e through one HTTP host for each function, or through one
// that has them all.
func onKnative(t *testing.T, e events.Envelope, fused bool, send func(*testing.T, string, events.Envelope) (*http.Response, string)) []string {
	var d diary
	b := &broker{t: t, diary: &d, send: send, table: world(&d), hosts: map[string]string{}, dead: map[string]bool{}}
	// K_SINK leads back to the broker, through a host of its own.
	ingress := httptest.NewServer(knative.Handler([]fn.Function{{Name: "ingress", On: fn.Everything, Handle: func(_ context.Context, e events.Envelope) ([]events.Envelope, error) {
		b.publish(e)
		return nil, nil
	}}}, knative.Options{}))
	defer ingress.Close()
	whole := httptest.NewServer(knative.Handler(b.table, knative.Options{Sink: ingress.URL, Log: quiet}))
	defer whole.Close()
	for _, f := range b.table {
		opts := knative.Options{Log: quiet}
		if f.Name == "splits" || f.Name == "fails-once" { // the others reply
			opts.Sink = ingress.URL
		}
		single := httptest.NewServer(knative.Handler([]fn.Function{f}, opts))
		defer single.Close()
		b.hosts[f.Name] = single.URL
		if fused {
			b.hosts[f.Name] = whole.URL + "/" + f.Name
		}
	}
	b.publish(e)
	b.run()
	return d.sorted()
}

func postBinary(t *testing.T, url string, e events.Envelope) (*http.Response, string) {
	t.Helper()
	made, err := knative.ToEvent(knative.Escape(e))
	if err != nil {
		t.Fatal(err)
	}
	request, err := cehttp.NewHTTPRequestFromEvent(t.Context(), url, made)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, request)
}

// TestHostsAreEqual runs the same functions behind the bus and behind HTTP:
// they get the same envelopes, what they emit comes out the same, and what
// they refuse is given up alike.
func TestHostsAreEqual(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		e := drawEnvelope(r)
		e.Type = "w.start"
		want := onBus(t, e)
		if len(want) != 35 {
			r.Fatalf("%d entries: %q", len(want), want)
		}
		for name, got := range map[string][]string{
			"binary":            onKnative(t, e, false, postBinary),
			"structured":        onKnative(t, e, false, postStructured),
			"binary, fused":     onKnative(t, e, true, postBinary),
			"structured, fused": onKnative(t, e, true, postStructured),
		} {
			if !slices.Equal(got, want) {
				r.Errorf("%s:\n got %s\nwant %s", name, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
			}
		}
	})
}
