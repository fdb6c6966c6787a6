// Package knative hosts functions behind HTTP, as Knative calls them: a
// CloudEvent comes in as a POST, binary or structured, and what the function
// emits goes back as the reply or to K_SINK.
//
// Answers on the event path keep to what a Knative broker makes of them: it
// tries again after 5xx, 404, 408, 409 and 429, and takes a body that is no
// CloudEvent for a failure. So what must not be tried again is 400, 405, 413,
// 415 or 422, what may pass is 503, and success is a CloudEvent or an empty 202.
package knative

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"

	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
)

// Options of a Host; the zero value means the defaults.
type Options struct {
	// Limit is the most bytes of a request to an event function: 1 MiB.
	Limit int64
	// Sink is where emitted events go (K_SINK). Empty: a single one is the reply,
	// and several are an error.
	Sink string
	// Sender sends them: one without overrides.
	Sender *Sender
	// Published hears of each emitted event, by id, once the sink has taken it or
	// it was written as the reply. Several goroutines may call it at a time.
	Published func(id string)
	// Ready tells whether events can be handled now; nil: always.
	Ready func(context.Context) error
	// Routes are the patterns (of http.ServeMux) of the HTTP
	// functions by name. By default an HTTP function that is alone has "/", and
	// one among others "/<name>/".
	Routes map[string][]string
	// Log hears of panics: slog.Default.
	Log *slog.Logger
}

// Host serves functions. It is an http.Handler:
//
//	POST /            an event, for every function here that takes its type
//	POST /<function>  an event, for that function
//	GET  /healthz     200 when ready, else 503
//
// and the routes of the HTTP functions.
type Host struct {
	opts   Options
	events []fn.Function
	mux    *http.ServeMux
}

// Handler makes the host of functions.
func Handler(functions []fn.Function, opts Options) *Host {
	opts.Limit = cmp.Or(opts.Limit, 1<<20)
	if opts.Sender == nil {
		opts.Sender = &Sender{}
	}
	if opts.Published == nil {
		opts.Published = func(string) {}
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	h := &Host{opts: opts, mux: http.NewServeMux()}
	h.mux.HandleFunc("GET /healthz", h.health)
	taken := map[string]bool{}
	for _, f := range functions {
		if f.Handle != nil {
			h.events = append(h.events, f)
			h.mux.Handle("POST /"+f.Name, h.only(f))
			continue
		}
		for _, pattern := range h.routes(f, len(functions) == 1) {
			taken[pattern] = true
			h.mux.Handle(pattern, h.recovered(f))
		}
	}
	if len(h.events) > 0 {
		h.mux.HandleFunc("POST /{$}", h.receive)
	}
	if !taken["/"] {
		h.mux.HandleFunc("/", h.nowhere)
	}
	return h
}

func (h *Host) routes(f fn.Function, alone bool) []string {
	switch routes := h.opts.Routes[f.Name]; {
	case len(routes) > 0:
		return routes
	case alone:
		return []string{"/"}
	}
	return []string{"/" + f.Name + "/"}
}

// ServeHTTP answers a request.
func (h *Host) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

func (h *Host) health(w http.ResponseWriter, r *http.Request) {
	if h.opts.Ready != nil {
		if err := h.opts.Ready(r.Context()); err != nil {
			writeProblem(w, http.StatusServiceUnavailable, err)
			return
		}
	}
	w.WriteHeader(http.StatusOK)
}

// nowhere answers what nothing else does. An event never gets a 404, which
// would bring it back.
func (h *Host) nowhere(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPost:
		writeProblem(w, http.StatusUnprocessableEntity, fmt.Errorf("knative: no function at %s", r.URL.Path))
	case r.URL.Path == "/" && len(h.events) > 0:
		w.Header().Set("Allow", http.MethodPost)
		writeProblem(w, http.StatusMethodNotAllowed, fmt.Errorf("knative: %s /: events come by POST", r.Method))
	default:
		writeProblem(w, http.StatusNotFound, fmt.Errorf("knative: nothing at %s", r.URL.Path))
	}
}

func (h *Host) receive(w http.ResponseWriter, r *http.Request) { h.answer(w, r, h.dispatch) }

// only delivers to one function, whatever the event's type.
func (h *Host) only(f fn.Function) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.answer(w, r, func(ctx context.Context, e events.Envelope) (*events.Envelope, error) {
			return h.deliver(ctx, []fn.Function{f}, e)
		})
	})
}

func (h *Host) answer(w http.ResponseWriter, r *http.Request, deliver func(context.Context, events.Envelope) (*events.Envelope, error)) {
	e, err := decode(w, r, h.opts.Limit)
	if err != nil {
		writeProblem(w, decodeStatus(err), err)
		return
	}
	reply, err := deliver(r.Context(), e)
	if err != nil {
		writeProblem(w, handlerStatus(err), err)
		return
	}
	if reply == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	made, err := ToEvent(Escape(*reply))
	if err != nil {
		writeProblem(w, http.StatusUnprocessableEntity, err)
		return
	}
	if err := cehttp.WriteResponseWriter(r.Context(), binding.ToMessage(&made), http.StatusOK, w); err != nil {
		// The caller is gone and will try again.
		h.opts.Log.Debug("knative: write reply", "event", e.ID, "error", err)
		return
	}
	h.opts.Published(reply.ID)
}

// dispatch runs the functions that take e: the only one here whatever e's type,
// else each that takes its type. When one of several fails, the delivery fails:
// all of them see it again.
func (h *Host) dispatch(ctx context.Context, e events.Envelope) (*events.Envelope, error) {
	takers := h.events
	if len(takers) != 1 {
		takers = slices.DeleteFunc(slices.Clone(takers), func(f fn.Function) bool {
			return !f.Takes(e.Type)
		})
	}
	if len(takers) == 0 {
		return nil, fn.Faultf(fn.Invalid, "knative: no function here takes %s", e.Type)
	}
	return h.deliver(ctx, takers, e)
}

// deliver sends to the sink what was emitted, or gives it back as the reply, as
// a single event is that the sink does not take. It does so also beside an
// error: a handler may have committed that much. Without a sink an error leaves
// no room for it, and the outbox keeps it.
func (h *Host) deliver(ctx context.Context, takers []fn.Function, e events.Envelope) (*events.Envelope, error) {
	var emitted []events.Envelope
	var errs []error
	for _, f := range takers {
		out, err := h.call(ctx, f, e)
		emitted, errs = append(emitted, out...), append(errs, err)
	}
	failed := errors.Join(errs...)
	switch {
	case len(emitted) == 0 || h.opts.Sink == "" && failed != nil:
		return nil, failed
	case h.opts.Sink == "" && len(emitted) == 1:
		return &emitted[0], nil
	case h.opts.Sink == "":
		return nil, fmt.Errorf("knative: %d events emitted and K_SINK is not set", len(emitted))
	}
	err := h.opts.Sender.SendAll(ctx, h.opts.Sink, emitted, h.opts.Published)
	// Whoever delivered passes it on; but not what is for others, whom the clock
	// does not know.
	if failed == nil && len(emitted) == 1 && err != nil && fn.KindOf(err).Retry() {
		if _, ours := events.Find(emitted[0].Type); ours {
			return &emitted[0], nil
		}
	}
	return nil, errors.Join(failed, err)
}

// call runs a handler; a panic comes back as an error, which is tried again
// like any that nobody classed.
func (h *Host) call(ctx context.Context, f fn.Function, e events.Envelope) (out []events.Envelope, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			h.opts.Log.Error("knative: a handler panicked", "function", f.Name,
				"event", e.ID, "panic", cause, "stack", string(debug.Stack()))
			out, err = nil, fmt.Errorf("knative: %s panicked: %v", f.Name, cause)
		}
	}()
	return f.Handle(ctx, e)
}
