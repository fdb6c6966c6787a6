package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/deadletter"
)

func TestDeadLetters(t *testing.T) {
	var sent []string
	broken := errors.New("offer-created: 422 it is poison")
	w := newWorld(t)
	w.api.Dead = &deadletter.Box{Store: w.store, Send: func(_ context.Context, l deadletter.Letter) error {
		sent = append(sent, l.Attributes().ID+" to "+l.Destination)
		return broken
	}}
	c := w.serve()
	if list, err := c.DeadLetters(t.Context(), 10); err != nil || list.Kept != 0 || list.Letters == nil {
		t.Fatalf("%+v, %v", list, err)
	}
	raw := `{"data":{"a":1},"id":"1","runid":"R","source":"/relevo/api","specversion":"1.0","subject":"run/R","type":"dev.relevo.pipeline.run.requested.v1"}`
	kept, err := w.api.Dead.Add(t.Context(), deadletter.Letter{Event: json.RawMessage(raw), Destination: "offer-created", Code: 422, Error: "it is poison"})
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.DeadLetters(t.Context(), 10)
	if err != nil || list.Kept != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	l := list.Letters[0]
	if l.ID != kept.ID || l.Event != "1" || l.Run != "R" || l.Subject != "run/R" || l.Destination != "offer-created" || l.Code != 422 ||
		l.Reason != "it is poison" || l.Count != 1 || l.Replayed != nil || l.Whole != nil {
		t.Errorf("%+v", l)
	}
	if whole, err := c.DeadLetter(t.Context(), l.ID); err != nil || string(whole.Whole) != raw {
		t.Errorf("%s, %v", whole.Whole, err)
	}

	if _, err := c.ReplayDeadLetter(t.Context(), l.ID); !errors.Is(err, client.ErrConflict) || !strings.Contains(err.Error(), "it is poison") {
		t.Errorf("still broken: %v", err)
	}
	broken = nil
	for range 2 {
		if again, err := c.ReplayDeadLetter(t.Context(), l.ID); err != nil || again.Replayed == nil || again.Count != 2 {
			t.Errorf("mended: %+v, %v", again, err)
		}
	}
	if strings.Join(sent, ", ") != "1 to offer-created, 1 to offer-created" {
		t.Errorf("sent %q", sent)
	}

	if err := c.DiscardDeadLetter(t.Context(), l.ID); err != nil {
		t.Error(err)
	}
	for _, ask := range []string{"GET /v1/deadletters/x", "DELETE /v1/deadletters/" + l.ID, "POST /v1/deadletters/x/replay"} {
		method, path, _ := strings.Cut(ask, " ")
		refused(t, w.ask(method, path, ""), http.StatusNotFound)
	}
	w.api.Dead = nil
	refused(t, w.ask(http.MethodGet, "/v1/deadletters", ""), http.StatusServiceUnavailable)
}
