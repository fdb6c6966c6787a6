package api

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	doors "github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/knative"
	"github.com/relevo-ci/relevo/shared/state"
)

const (
	eventsPath = "/v1/events"
	structured = "application/cloudevents+json"
	batched    = "application/cloudevents-batch+json"
	// signature is the header with which whoever has no token signs the body.
	signature = "X-Relevo-Signature-256"

	// mostEvent bounds one event in its structured form: more than what every
	// intermediary forwards (64 KiB) no sender may count on.
	mostEvent = 64 << 10
	// mostBatch bounds the events of one request.
	mostBatch = 100
	// mostWord bounds an attribute.
	mostWord = 1024
	// mostUnproven bounds the bodies in memory, in bytes, whose signature was not
	// looked at yet.
	mostUnproven = 8 * mostBody
)

// registerArrivals adds POST /v1/events. It reads its body itself: huma takes no
// event without one.
func (a *API) registerArrivals(mux *http.ServeMux, h huma.API) {
	mux.HandleFunc("POST "+eventsPath, a.takeEvents)
	op := operation(h, "sendEvents", http.MethodPost, eventsPath, "Take CloudEvents from other systems")
	op.Description = fmt.Sprintf("An event in binary or structured mode, or a batch of at most %d. An event has at most %d KiB and no type of Relevo's own. "+
		"It starts the pipelines that are on it, and wakes the jobs that await it. A second one of the same source and id changes nothing. "+
		"In place of a token, the header %s may be sha256= and the HMAC-SHA-256 of the body in hexadecimal, not in binary mode: it does not cover headers.", mostBatch, mostEvent>>10, signature)
	event := &huma.Schema{Type: huma.TypeObject, Description: "A CloudEvent 1.0 in the JSON format.", AdditionalProperties: true}
	op.RequestBody = &huma.RequestBody{Content: map[string]*huma.MediaType{
		structured: {Schema: event},
		batched:    {Schema: &huma.Schema{Type: huma.TypeArray, Items: event}},
		"*/*":      {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary", Description: "The data of an event in binary mode."}},
	}}
	op.Responses["202"] = &huma.Response{
		Description: "Kept; the work on it is done after.",
		Content: map[string]*huma.MediaType{"application/json": {
			Schema: h.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[client.Receipts](), true, ""),
		}},
	}
	h.OpenAPI().AddOperation(&op)
}

// arrival is one event that was sent.
type arrival struct {
	id, source, kind string
	trace, state     string // the trace that it goes on with
	body             []byte // structured
}

func (a *API) takeEvents(w http.ResponseWriter, r *http.Request) {
	receipts, p := a.take(w, r)
	if p != nil {
		p.write(w)
		return
	}
	askedOf(r.Context()).kept = true // with its sender, in the ledger of triggers
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	if err := json.NewEncoder(w).Encode(receipts); err != nil {
		return // the sender is gone
	}
}

func (a *API) take(w http.ResponseWriter, r *http.Request) (client.Receipts, *problem) {
	none := client.Receipts{}
	if a.Doors == nil {
		return none, refuse(http.StatusServiceUnavailable, "this server takes no events")
	}
	if !a.signed(r) {
		if p := a.judge(r.Context(), "sendEvents", ""); p != nil {
			return none, p
		}
	} else { // by whomever: not all of them at once
		if !a.unproven.TryAcquire(mostBody) {
			return none, refuse(http.StatusServiceUnavailable, "too many events at once").with("Retry-After", "1")
		}
		defer a.unproven.Release(mostBody)
	}
	body, p := readBody(w, r)
	if p != nil {
		return none, p
	}
	actor, p := a.signer(r, body)
	if p != nil {
		return none, p
	}
	list, p := read(r.Header, body)
	if p != nil {
		return none, p
	}
	receipts := client.Receipts{Events: make([]client.Receipt, 0, len(list))}
	for i, e := range list {
		receipt, p := a.keep(r.Context(), e, actor, i)
		if p != nil {
			return none, p // sent again, those before are duplicates
		}
		receipts.Events = append(receipts.Events, receipt)
	}
	return receipts, nil
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *problem) {
	// A host that cannot bound the time has other means to.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, refuse(http.StatusRequestEntityTooLarge, "a request has at most %d MiB", mostBody>>20)
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "the body broke off")
	}
	return body, nil
}

// signed tells that a request is to be judged by its signature: the guard lets
// it through, and signer looks at it.
func (a *API) signed(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Path == eventsPath && len(a.EventSecrets) > 0 && r.Header.Get(signature) != ""
}

// signer checks a signature over the body as it came, in constant time, and says
// who sent it: the guard knows those without one.
func (a *API) signer(r *http.Request, body []byte) (string, *problem) {
	if !a.signed(r) {
		return by(r.Context()), nil
	}
	text, ok := strings.CutPrefix(r.Header.Get(signature), "sha256=")
	given, err := hex.DecodeString(text)
	right := false
	for _, secret := range a.EventSecrets {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		right = hmac.Equal(mac.Sum(nil), given) || right
	}
	switch {
	case !ok || err != nil || !right:
		return "", refuse(http.StatusUnauthorized, "the signature is not that of the body")
	case binary(r.Header):
		return "", refuse(http.StatusUnauthorized, "a signature does not cover headers: send the event in structured mode")
	}
	return "signature", nil
}

func binary(h http.Header) bool { return h.Get("Ce-Specversion") != "" }

// read gives the events of a request, all of which are right.
func read(h http.Header, body []byte) ([]arrival, *problem) {
	kind, parameters, err := mime.ParseMediaType(h.Get("Content-Type"))
	charset := strings.ToLower(parameters["charset"])
	cloudEvents := strings.HasPrefix(kind, "application/cloudevents")
	switch {
	case err == nil && cloudEvents && charset != "" && charset != "utf-8":
		return nil, refuse(http.StatusUnsupportedMediaType, "events come as UTF-8")
	case err == nil && kind == structured:
		e, p := one(h, body, "body")
		return []arrival{e}, p
	case err == nil && kind == batched:
		return batch(body)
	case binary(h) && !cloudEvents:
		e, p := one(h, body, "headers")
		return []arrival{e}, p
	}
	return nil, refuse(http.StatusUnsupportedMediaType, "events come as %s, as %s, or with ce- headers", structured, batched)
}

func batch(body []byte) ([]arrival, *problem) {
	var items []json.RawMessage
	if err := json.Unmarshal(body, &items); err != nil {
		return nil, refuse(http.StatusBadRequest, "the batch is no JSON array")
	}
	switch {
	case len(items) == 0:
		return nil, located("body", "the batch is empty")
	case len(items) > mostBatch:
		return nil, refuse(http.StatusRequestEntityTooLarge, "a batch has at most %d events", mostBatch)
	}
	h := http.Header{"Content-Type": {structured}}
	list := make([]arrival, 0, len(items))
	for i, item := range items {
		e, p := one(h, item, fmt.Sprintf("body[%d]", i))
		if p != nil {
			return nil, p
		}
		list = append(list, e)
	}
	return list, nil
}

// one reads one event, with the SDK's validation and the bounds.
func one(h http.Header, body []byte, where string) (arrival, *problem) {
	if len(body) > mostEvent {
		return arrival{}, refuse(http.StatusRequestEntityTooLarge, "%s: an event has at most %d KiB", where, mostEvent>>10)
	}
	request := &http.Request{Header: h, Body: io.NopCloser(bytes.NewReader(body))}
	raw, _, err := knative.Structured(nil, request, mostEvent)
	text := map[string]json.RawMessage{}
	if err == nil {
		err = json.Unmarshal(raw, &text)
	}
	if err != nil {
		return arrival{}, located(where, "this is no CloudEvent 1.0: "+reason(err))
	}
	e := arrival{trace: h.Get("Traceparent"), state: h.Get("Tracestate")}
	for name, field := range map[string]*string{"traceparent": &e.trace, "tracestate": &e.state} {
		if len(text[name]) > 0 {
			_ = json.Unmarshal(text[name], field) // what is no trace context is passed over
		}
	}
	for name, field := range map[string]*string{"id": &e.id, "source": &e.source, "type": &e.kind} {
		if json.Unmarshal(text[name], field) != nil || *field == "" || len(*field) > mostWord || !utf8.ValidString(*field) {
			return arrival{}, located(where+"."+name, fmt.Sprintf("it has 1 to %d bytes", mostWord))
		}
	}
	switch {
	case strings.HasPrefix(e.kind, typePrefix):
		return arrival{}, located(where+".type", "types that begin with "+typePrefix+" are Relevo's own")
	case strings.ContainsFunc(e.source, func(c rune) bool { return c <= ' ' || c == 0x7f }):
		return arrival{}, located(where+".source", "a URI has no spaces")
	}
	if e.body, err = json.Marshal(readable(text)); err != nil || len(e.body) > mostEvent {
		return arrival{}, refuse(http.StatusRequestEntityTooLarge, "%s: an event has at most %d KiB", where, mostEvent>>10)
	}
	return e, nil
}

// reason is what the SDK says of an event, without what it shows of it.
func reason(err error) string {
	text := firstLine(strings.TrimPrefix(err.Error(), events.ErrInvalid.Error()+": "))
	if most := 200; len(text) > most {
		return strings.ToValidUTF8(text[:most], "")
	}
	return text
}

// readable makes text of data that is some: it came as bytes.
func readable(e map[string]json.RawMessage) map[string]json.RawMessage {
	var kind string
	var data []byte
	_ = json.Unmarshal(e["datacontenttype"], &kind) // it may have none
	if !strings.HasPrefix(kind, "text/") && !strings.HasSuffix(kind, "xml") || e["data_base64"] == nil {
		return e
	}
	var text string
	if json.Unmarshal(e["data_base64"], &text) != nil {
		return e
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil || !utf8.Valid(data) {
		return e
	}
	if raw, err := json.Marshal(string(data)); err == nil {
		delete(e, "data_base64")
		e["data"] = raw
	}
	return e
}

// keep puts an event into the ledger of triggers; then it is safe.
func (a *API) keep(ctx context.Context, e arrival, actor string, index int) (client.Receipt, *problem) {
	// A source has no space: no two events have one sender's id.
	got, err := a.Doors.Receive(ctx, name, doors.Arrival{
		Source: pipeline.CloudEvent, Sender: e.source + " " + e.id, Event: e.kind, Actor: actor,
		Header: map[string]string{"traceparent": e.trace, "tracestate": e.state},
	}, e.body)
	if err != nil {
		return client.Receipt{}, a.fault(ctx, "keep the event", err)
	}
	if got.Arrived == state.Altered {
		p := refuse(http.StatusConflict, "an event of that source and id came before, and was another one")
		p.Errors = []client.Detail{{Location: fmt.Sprintf("body[%d].id", index), Message: "it names another event"}}
		return client.Receipt{}, p
	}
	if a.Wake != nil && got.Arrived == state.Accepted {
		a.Wake()
	}
	a.publish(ctx, slices.Clip(got.Emitted))
	return client.Receipt{
		ID: e.id, Source: e.source, Type: e.kind, Delivery: string(got.Delivery.ID), Duplicate: got.Arrived == state.Duplicate,
	}, nil
}
