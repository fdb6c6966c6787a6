// Package webhook is the front door of git forges: POST /webhooks/{forge}. It
// looks at the signature over the raw body before anything else of it, puts the
// delivery into the ledger of triggers and answers in milliseconds: the work is
// done after, by delivery-received. Neither bodies nor headers are ever logged.
package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/forge"
	"github.com/relevo-ci/relevo/shared/forwarded"
	"github.com/relevo-ci/relevo/shared/state"
)

const name = "webhook"

// Webhook is what the function is made of.
type Webhook struct {
	// Forges that are served.
	Forges []forge.Forge
	// Front is the ledger of triggers.
	Front *state.Front
	// Publish sends events on; what it can't deliver the outbox keeps.
	Publish func(ctx context.Context, es []events.Envelope) error
	// Wake is called for each delivery that is new, and returns at once; may be
	// nil.
	Wake func()
	// Proxies are those in front that are believed whom they serve.
	Proxies forwarded.Trusted
	// Log hears of what senders are not told; nil: slog.Default.
	Log *slog.Logger
	// Now is the clock of the senders' bounds; nil: time.Now.
	Now func() time.Time

	senders senders
	room    room
}

// Routes are the patterns that a host with other HTTP functions gives to this
// one.
func Routes() []string { return []string{"/webhooks/"} }

// New makes the function. It fills in the defaults of w.
func New(w *Webhook) fn.Function {
	if w.Log == nil {
		w.Log = slog.Default()
	}
	if w.Now == nil {
		w.Now = time.Now
	}
	w.senders.now = w.Now
	w.room.bytes = semaphore.NewWeighted(mostAtOnce)
	mux := http.NewServeMux()
	mux.HandleFunc("/webhooks/{forge}", w.serve)
	mux.HandleFunc("/", func(rw http.ResponseWriter, _ *http.Request) {
		refuse(rw, http.StatusNotFound, "there is nothing here: deliveries come to /webhooks/ and the forge's name")
	})
	return fn.Function{
		Name: name, Context: events.Triggers, HTTP: mux,
		Doc: "takes the deliveries of git forges",
	}
}

func (w *Webhook) serve(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Cache-Control", "no-store")
	f := w.forge(r.PathValue("forge"))
	if f == nil {
		refuse(rw, http.StatusNotFound, "no forge of that name is served here")
		return
	}
	if r.Method != http.MethodPost {
		rw.Header().Set("Allow", http.MethodPost)
		refuse(rw, http.StatusMethodNotAllowed, "deliveries come by POST")
		return
	}
	sender := forwarded.Counted(w.Proxies.Client(r))
	after, tired := w.senders.tired(sender)
	// reject refuses, by saying when to come again where it was too often.
	reject := func(status int, why string) {
		w.senders.refused(sender)
		if tired {
			later(rw, http.StatusTooManyRequests, after, "too much that was refused came from there")
			return
		}
		refuse(rw, status, why)
	}
	if status, why := form(r); status != 0 || tired && (r.ContentLength < 0 || r.ContentLength > mostOfTired) {
		reject(status, why)
		return
	}
	leave, ok := w.room.take(r.Context(), r.ContentLength)
	if !ok {
		later(rw, http.StatusServiceUnavailable, roomTime, "too many deliveries at once")
		return
	}
	defer leave()
	body, status, why := read(rw, r)
	if status != 0 {
		reject(status, why)
		return
	}
	w.take(rw, r, f, reject, body)
}

func (w *Webhook) forge(name string) forge.Forge {
	for _, f := range w.Forges {
		if f.Name() == name {
			return f
		}
	}
	return nil
}

// form refuses what need not be read: no JSON, or too long.
func form(r *http.Request) (status int, why string) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && kind == "application/x-www-form-urlencoded":
		return http.StatusUnsupportedMediaType, "deliveries come as JSON: choose the content type application/json in the webhook's settings"
	case err != nil || kind != "application/json":
		return http.StatusUnsupportedMediaType, "deliveries come as application/json"
	case r.ContentLength > mostBody:
		return http.StatusRequestEntityTooLarge, tooLarge
	}
	return 0, ""
}

var tooLarge = "a delivery has " + strconv.Itoa(mostBody>>20) + " MiB at most"

func read(rw http.ResponseWriter, r *http.Request) (body []byte, status int, why string) {
	// A host that cannot bound the time has other means to.
	_ = http.NewResponseController(rw).SetReadDeadline(time.Now().Add(bodyTime))
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, mostBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, http.StatusRequestEntityTooLarge, tooLarge
	case err != nil:
		return nil, http.StatusBadRequest, "the body broke off"
	}
	return body, 0, ""
}

// take looks at a whole body: who signed it first, then what it says.
func (w *Webhook) take(rw http.ResponseWriter, r *http.Request, f forge.Forge, reject func(status int, why string), body []byte) {
	if err := f.Verify(r.Header, body); err != nil {
		w.Log.Warn("webhook: refused", "forge", f.Name(), "error", err)
		why := "the signature is not that of the webhook's secret"
		if errors.Is(err, forge.ErrUnsigned) {
			why = "the delivery is not signed: set the webhook's secret"
		}
		reject(http.StatusUnauthorized, why)
		return
	}
	h, err := f.Parse(r.Header, body)
	if err != nil {
		// The error may show some of the body.
		w.Log.Warn("webhook: a signed delivery cannot be read", "forge", f.Name())
		refuse(rw, http.StatusUnprocessableEntity, "the delivery is not what "+f.Name()+" documents")
		return
	}
	if h.Event == "ping" {
		answer(rw, http.StatusOK, client.Received{Outcome: "pong"})
		return
	}
	w.keep(rw, r, h, body)
}

// keep puts a delivery into the ledger; then it is safe.
func (w *Webhook) keep(rw http.ResponseWriter, r *http.Request, h trigger.Happening, body []byte) {
	got, err := w.Front.Receive(r.Context(), name, arrival(r, h), bare(body))
	if err != nil {
		w.Log.Warn("webhook: keep a delivery", "forge", h.Forge, "error", err)
		why := "the ledger does not answer: deliver again"
		if fn.KindOf(err) == fn.Exhausted {
			why = "there is no room for another delivery: deliver again"
		}
		later(rw, http.StatusServiceUnavailable, time.Second, why)
		return
	}
	if got.Arrived == state.Altered {
		refuse(rw, http.StatusConflict, "a delivery of that id came before, with another body")
		return
	}
	if len(got.Emitted) > 0 {
		if w.Wake != nil && got.Arrived == state.Accepted {
			w.Wake()
		}
		if err := w.Publish(context.WithoutCancel(r.Context()), got.Emitted); err != nil {
			w.Log.Warn("webhook: publish", "delivery", got.Delivery.ID, "error", err) // the outbox keeps it
		}
	}
	answer(rw, http.StatusAccepted, client.Received{
		Delivery: string(got.Delivery.ID), Duplicate: got.Arrived == state.Duplicate, Outcome: outcome(got),
	})
}

// outcome says where the delivery stands.
func outcome(got state.Receipt) string {
	switch {
	case got.Arrived == state.Accepted:
		return "accepted"
	case got.Delivery.State.Final():
		return "known, and worked on"
	}
	return "known, and being worked on"
}

// arrival is what the ledger keeps beside the body.
func arrival(r *http.Request, h trigger.Happening) trigger.Arrival {
	a := trigger.Arrival{
		Source: h.Forge, Event: h.Event, Action: h.Action, Repository: h.Repository.Name,
		Ref: h.Ref, SHA: h.SHA, Actor: h.Actor.Login, Header: trigger.Headers(r.Header),
	}
	if !slices.Contains(dated, h.Forge) {
		a.Sender = h.Delivery
	}
	return a
}

// dated are the forges whose bodies tell the time of the event: no two events
// have the same one, so that the body's hash names the delivery. That the
// signature covers, which it does not the header with the delivery's id: under
// another id the same body would count again. The bodies of the others can
// be equal, where a branch is pushed there and back.
var dated = []string{forge.GitHub, forge.Stash}

// bare takes the webhook's secret out of a body: old Gogs and Gitea send it
// there, beside the signature that was made with it.
func bare(body []byte) []byte {
	if !bytes.Contains(body, []byte(`"secret"`)) {
		return body
	}
	fields := map[string]json.RawMessage{}
	if json.Unmarshal(body, &fields) != nil || fields["secret"] == nil {
		return body
	}
	delete(fields, "secret")
	without, err := json.Marshal(fields)
	if err != nil { // it was just read
		return nil
	}
	return without
}

func answer(rw http.ResponseWriter, status int, received client.Received) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(status)
	if err := json.NewEncoder(rw).Encode(received); err != nil {
		return // the sender is gone
	}
}

func refuse(rw http.ResponseWriter, status int, why string) {
	rw.Header().Set("Content-Type", "application/problem+json")
	rw.WriteHeader(status)
	problem := client.Problem{Status: status, Title: http.StatusText(status), Detail: why}
	if err := json.NewEncoder(rw).Encode(problem); err != nil {
		return // the sender is gone
	}
}

func later(rw http.ResponseWriter, status int, after time.Duration, why string) {
	rw.Header().Set("Retry-After", strconv.Itoa(max(1, int(after.Seconds()))))
	refuse(rw, status, why)
}
