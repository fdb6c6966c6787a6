// Package deadlettered is the broker's dead-letter sink: it keeps whatever event
// could not be delivered, with the cause, until a person sends it again (the
// api's /v1/deadletters) or it has to make room.
//
// It answers no event type of Relevo's: what comes here may be of any. It is
// called after what happened to it, and addressed as a Service by that name.
package deadlettered

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/deadletter"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/knative"
)

// The extensions by which Knative says what went wrong. They are the cause, not
// the event's: sent again it goes without.
const (
	errorDestination = "knativeerrordest"
	errorCode        = "knativeerrorcode"
	errorData        = "knativeerrordata"
)

// mostBody bounds an event, in bytes: twice what functions take.
const mostBody = 2 << 20

// New makes the function. An event that comes twice is kept once and counted.
// What is no CloudEvent at all is refused: nobody could send it again.
func New(box *deadletter.Box) fn.Function {
	return fn.Function{
		Name: "dead-lettered", Context: events.Telemetry,
		Doc: "keeps what the broker could not deliver, with the cause",
		HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost {
				w.Header().Set("Allow", http.MethodPost)
				w.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			raw, cause, err := knative.Structured(w, r, mostBody, errorDestination, errorCode, errorData)
			if err == nil {
				_, err = box.Add(r.Context(), letter(raw, cause))
			}
			if err != nil {
				knative.Refuse(w, err)
				return
			}
			w.WriteHeader(http.StatusAccepted)
		}),
	}
}

func letter(raw []byte, cause map[string]string) deadletter.Letter {
	code, err := strconv.Atoi(cause[errorCode])
	if err != nil || code < 0 {
		code = 0 // Knative writes -1 where there was no answer
	}
	return deadletter.Letter{Event: raw, Destination: cause[errorDestination], Code: code, Error: said(cause[errorData])}
}

// said is the text of an answer, as Knative hands it on: in base64, cut off at
// 1,024 characters. Older brokers hand on the text itself.
func said(data string) string {
	text := data
	if whole := len(data) - len(data)%4; whole > 0 {
		if raw, err := base64.StdEncoding.DecodeString(data[:whole]); err == nil {
			text = string(raw)
		}
	}
	return strings.TrimSpace(strings.ToValidUTF8(text, "�"))
}
