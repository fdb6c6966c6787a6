package inprocess_test

import (
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/deploy/inprocess"
	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/functions/api"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/memory"
)

// rig is a host with two functions that take events of the type t; one of them
// refuses them while it is broken.
type rig struct {
	t            *testing.T
	store        *memory.Store
	host         *inprocess.Host
	client       *client.Client
	broken       atomic.Bool
	took, others atomic.Int32
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, store: memory.New(time.Now, "test")}
	r.broken.Store(true)
	r.serve()
	return r
}

// serve starts a host, another one where there was one.
func (r *rig) serve() {
	r.t.Helper()
	host, err := inprocess.Start(r.t.Context(), inprocess.Options{
		Store: r.store, Logs: logs.NewMemory(1 << 20), Policy: pipeline.DefaultPolicy(), API: &api.API{},
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { host.Close(context.WithoutCancel(r.t.Context())) })
	function := func(name string, then func() error) fn.Function {
		return fn.Function{Name: name, On: "t", Handle: func(context.Context, events.Envelope) ([]events.Envelope, error) { return nil, then() }}
	}
	err = host.Bus.Subscribe(
		function("picky", func() error {
			if r.broken.Load() {
				return fn.Faultf(fn.Invalid, "it is poison")
			}
			r.took.Add(1)
			return nil
		}),
		function("other", func() error { r.others.Add(1); return nil }),
	)
	if err != nil {
		r.t.Fatal(err)
	}
	s := httptest.NewServer(host.Function("api").HTTP)
	r.t.Cleanup(s.Close)
	r.host, r.client = host, &client.Client{BaseURL: s.URL}
}

func (r *rig) idle() {
	r.t.Helper()
	if err := r.host.Bus.Idle(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// poison publishes an event that is refused.
func (r *rig) poison() {
	r.t.Helper()
	e := events.Envelope{ID: "1", Source: "/relevo/test", Type: "t", Subject: "x", Data: []byte(`{"a":"é"}`)}
	if err := r.host.Bus.Publish(r.t.Context(), e); err != nil {
		r.t.Fatal(err)
	}
	r.idle()
}

// replay gives the letter as it stands after its event was sent again.
func (r *rig) replay(id string) client.DeadLetter {
	r.t.Helper()
	if _, err := r.client.ReplayDeadLetter(r.t.Context(), id); err != nil {
		r.t.Fatal(err)
	}
	r.idle()
	now, err := r.client.DeadLetter(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	return now
}

// TestPoisonIsListedAndReplayed: what a function of the bus refuses stands in the
// api with its cause, outlives the host, and is delivered to that function alone
// once it is replayed.
func TestPoisonIsListedAndReplayed(t *testing.T) {
	r := newRig(t)
	r.poison()
	if err := r.host.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.serve()
	list, err := r.client.DeadLetters(t.Context(), 10)
	if err != nil || len(list.Letters) != 1 || list.Letters[0].Destination != "picky" || list.Letters[0].Reason != "it is poison (after 1 tries)" {
		t.Fatalf("%+v, %v", list, err)
	}
	if l := r.replay(list.Letters[0].ID); l.Replayed != nil || l.Count != 2 {
		t.Errorf("still broken, it is open again: %+v", l)
	}
	r.broken.Store(false)
	if l := r.replay(list.Letters[0].ID); l.Replayed == nil || r.took.Load() != 1 || r.others.Load() != 1 {
		t.Errorf("mended: %+v, taken %d times, by the other %d times", l, r.took.Load(), r.others.Load())
	}
}

// TestTheBusHasTheSameLetters: its own way of sending again leads to them.
func TestTheBusHasTheSameLetters(t *testing.T) {
	r := newRig(t)
	r.poison()
	r.broken.Store(false)
	dead, err := r.host.Bus.DeadLetters(t.Context(), 10)
	if err != nil || len(dead) != 1 || dead[0].Event.ID != "1" || string(dead[0].Event.Data) != `{"a":"é"}` {
		t.Fatalf("%+v, %v", dead, err)
	}
	if err := r.host.Bus.Resend(t.Context(), "picky", "1"); err != nil {
		t.Fatal(err)
	}
	r.idle()
	if list, err := r.client.DeadLetters(t.Context(), 10); err != nil || list.Kept != 0 || r.took.Load() != 1 {
		t.Errorf("%+v, %v, taken %d times", list, err, r.took.Load())
	}
	if err := r.host.Bus.Resend(t.Context(), "picky", "1"); fn.KindOf(err) != fn.NotFound {
		t.Errorf("a letter that was taken: %v", err)
	}
}
