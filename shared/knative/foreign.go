package knative

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
)

// Structured reads the event of a request, of whatever type, payload and
// extensions, in binary or structured mode, and gives it as structured JSON:
// without the extensions named, whose values it gives apart. limit bounds the
// body, in bytes. What is wrong with it Refuse answers.
func Structured(w http.ResponseWriter, r *http.Request, limit int64, apart ...string) (raw []byte, values map[string]string, err error) {
	body := &watched{ReadCloser: http.MaxBytesReader(w, r.Body, limit)}
	// The SDK panics on some malformed ones.
	defer func() {
		if cause := recover(); cause != nil {
			raw, values, err = nil, nil, fmt.Errorf("%w: %v", events.ErrInvalid, cause)
		}
	}()
	message := cehttp.NewMessage(r.Header, body)
	ev, err := binding.ToEvent(context.Background(), message)
	switch {
	case body.err != nil:
		return nil, nil, fmt.Errorf("%w: %w", errBroken, body.err)
	case err != nil:
		return nil, nil, fmt.Errorf("%w: %w", events.ErrInvalid, err)
	case ev.Validate() != nil:
		return nil, nil, fmt.Errorf("%w: %w", events.ErrInvalid, ev.Validate())
	}
	return structured(*ev, message.ReadEncoding() == binding.EncodingBinary, apart)
}

func structured(ev event.Event, binary bool, apart []string) ([]byte, map[string]string, error) {
	plain := func(s string) string {
		if binary {
			return unescape(s)
		}
		return s
	}
	values := map[string]string{}
	whole := map[string]any{
		"specversion": event.CloudEventsVersionV1, "id": plain(ev.ID()), "source": plain(ev.Source()), "type": plain(ev.Type()),
	}
	for name, value := range ev.Extensions() {
		text, err := types.Format(value)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: extension %s: %w", events.ErrInvalid, name, err)
		}
		if slices.Contains(apart, name) {
			values[name] = plain(text)
		} else {
			whole[name] = plain(text)
		}
	}
	optional := map[string]string{"subject": plain(ev.Subject()), "dataschema": ev.DataSchema(), "datacontenttype": ev.DataContentType()}
	if t := ev.Time(); !t.IsZero() {
		optional["time"] = t.UTC().Format(time.RFC3339Nano)
	}
	maps.DeleteFunc(optional, func(_, value string) bool { return value == "" })
	for name, value := range optional {
		whole[name] = value
	}
	switch data := ev.Data(); {
	case len(data) == 0:
	case isJSON(ev.DataContentType()) && json.Valid(data):
		whole["data"] = json.RawMessage(data)
	default:
		whole["data_base64"] = data
	}
	raw, err := json.Marshal(whole)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", events.ErrInvalid, err)
	}
	return raw, values, nil
}

// Refuse answers a request whose event could not be read or kept, as a broker
// needs it: 503 for what may go better, else what is not tried again.
func Refuse(w http.ResponseWriter, err error) {
	if errors.Is(err, errBroken) || errors.Is(err, events.ErrInvalid) {
		writeProblem(w, decodeStatus(err), err)
		return
	}
	writeProblem(w, handlerStatus(err), err)
}

// AskStructured posts an event that is structured JSON already, with whatever
// extensions it has, once; as Ask.
func (s *Sender) AskStructured(ctx context.Context, target string, raw []byte) (*events.Envelope, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(raw))
	if err != nil {
		return nil, fn.Faultf(fn.Invalid, "knative: send to %s: %w", target, err)
	}
	request.Header.Set("Content-Type", event.ApplicationCloudEventsJSON)
	return s.exchange(request, "a dead letter")
}

// exchange makes one request, and reads what it is answered.
func (s *Sender) exchange(request *http.Request, what string) (*events.Envelope, error) {
	client := s.Client
	if client == nil {
		client = plainClient
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("knative: send %s: %w", what, err)
	}
	defer response.Body.Close()
	// To the end, so that the connection can be used again.
	said, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	target := request.URL
	switch code := response.StatusCode; {
	case code < 300 && err != nil:
		return nil, fmt.Errorf("knative: send %s to %s: read the answer: %w", what, target, err)
	case code < 300:
		return replied(response.Header, said)
	case tryAgain(code):
		return nil, fn.Faultf(fn.Transient, "knative: send %s to %s: %s %s", what, target, response.Status, bytes.TrimSpace(said))
	}
	return nil, fn.Faultf(fn.Invalid, "knative: send %s to %s: %s %s", what, target, response.Status, bytes.TrimSpace(said))
}
