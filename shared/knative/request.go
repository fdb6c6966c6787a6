package knative

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
)

var (
	errBatch = errors.New("knative: batches are not taken: send each event by itself")
	// errBroken: the request's body broke off on its way; the sender did no wrong.
	errBroken = errors.New("knative: read body")
)

// decode reads the event of a request, in binary or structured mode.
func decode(w http.ResponseWriter, r *http.Request, limit int64) (events.Envelope, error) {
	body := &watched{ReadCloser: http.MaxBytesReader(w, r.Body, limit)}
	e, err := decodeMessage(r.Header, body)
	if err != nil && body.err != nil {
		return events.Envelope{}, fmt.Errorf("%w: %w", errBroken, body.err)
	}
	return e, err
}

// decodeMessage reads an event from headers and body. The SDK panics on some
// malformed ones (a header "Ce-", data_base64 that is no string).
func decodeMessage(header http.Header, body io.ReadCloser) (e events.Envelope, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			e, err = events.Envelope{}, fmt.Errorf("%w: %v", events.ErrInvalid, cause)
		}
	}()
	message := cehttp.NewMessage(header, body)
	encoding := message.ReadEncoding()
	switch encoding {
	case binding.EncodingBinary, binding.EncodingStructured:
	case binding.EncodingBatch:
		return events.Envelope{}, errBatch
	default:
		return events.Envelope{}, fmt.Errorf("%w: neither a ce-specversion header nor content type application/cloudevents+json", events.ErrInvalid)
	}
	ev, err := binding.ToEvent(context.Background(), message)
	if err != nil {
		return events.Envelope{}, fmt.Errorf("%w: %w", events.ErrInvalid, err)
	}
	if encoding == binding.EncodingBinary {
		return fromBinaryEvent(*ev)
	}
	return FromEvent(*ev)
}

// watched remembers the error that reading ended with.
type watched struct {
	io.ReadCloser
	err error
}

func (b *watched) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

func decodeStatus(err error) int {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, errBroken):
		return http.StatusServiceUnavailable
	case errors.Is(err, errBatch):
		return http.StatusUnsupportedMediaType
	}
	return http.StatusBadRequest
}

// handlerStatus is what a broker is answered for a handler's error: 503 where another
// delivery may go better, else 422, which a broker does not try again.
func handlerStatus(err error) int {
	if fn.KindOf(err).Retry() {
		return http.StatusServiceUnavailable
	}
	return http.StatusUnprocessableEntity
}

// problem is RFC 9457's.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

func writeProblem(w http.ResponseWriter, status int, cause error) {
	body, err := json.Marshal(problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: cause.Error(),
	})
	if err != nil { // strings and an int
		body = nil
	}
	w.Header().Set("Content-Type", "application/problem+json")
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
