package deadlettered_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	deadlettered "github.com/relevo-ci/relevo/functions/dead-lettered"
	"github.com/relevo-ci/relevo/shared/deadletter"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/knative"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// post sends a request to the function, hosted as a Service of its own, and
// gives the status.
func post(t *testing.T, box *deadletter.Box, body string, headers map[string]string) int {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	knative.Handler([]fn.Function{deadlettered.New(box)}, knative.Options{}).ServeHTTP(w, r)
	if w.Code == http.StatusAccepted && w.Body.Len() > 0 {
		t.Errorf("accepted with a body: %q", w.Body)
	}
	return w.Code
}

func binary(more ...string) map[string]string {
	h := map[string]string{
		"Ce-Specversion": "1.0", "Ce-Id": "1", "Ce-Source": "/relevo/test", "Ce-Type": "t", "Ce-Subject": "a%20b", "Ce-Runid": "R",
		"Ce-Knativeerrordest": "http://offer-created.relevo.svc", "Ce-Knativeerrorcode": "422",
		"Ce-Knativeerrordata": base64.StdEncoding.EncodeToString([]byte("it is poison")), "Content-Type": "application/json",
	}
	for i := 0; i < len(more); i += 2 {
		if h[more[i]] = more[i+1]; more[i+1] == "" {
			delete(h, more[i])
		}
	}
	return h
}

func box() *deadletter.Box {
	return &deadletter.Box{Store: memory.New(time.Now, "test")}
}

func letters(t *testing.T, b *deadletter.Box) []deadletter.Letter {
	t.Helper()
	list, err := b.List(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	return list.Letters
}

func TestKeepsAnyEvent(t *testing.T) {
	long := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("word ", 300)))[:1023]
	for name, c := range map[string]struct {
		body    string
		headers map[string]string
		event   string
		code    int
		says    string
	}{
		"binary": {
			body: `{"a": 1}`, headers: binary(), code: 422, says: "it is poison",
			event: `{"data":{"a":1},"datacontenttype":"application/json","id":"1","runid":"R","source":"/relevo/test","specversion":"1.0","subject":"a b","type":"t"}`,
		},
		"structured": {
			body:    `{"specversion":"1.0","id":"1","source":"/s","type":"t","knativeerrorcode":503,"foreign":"x%20y","data":[]}`,
			headers: map[string]string{"Content-Type": "application/cloudevents+json"}, code: 503,
			event: `{"data":[],"foreign":"x%20y","id":"1","source":"/s","specversion":"1.0","type":"t"}`,
		},
		"no answer": {headers: binary("Ce-Knativeerrorcode", "-1", "Ce-Knativeerrordata", ""), event: `{"datacontenttype":"application/json","id":"1","runid":"R","source":"/relevo/test","specversion":"1.0","subject":"a b","type":"t"}`},
		"not JSON": {
			body: "{\x00", headers: binary("Ce-Runid", "", "Ce-Subject", ""), code: 422, says: "it is poison",
			event: `{"data_base64":"ewA=","datacontenttype":"application/json","id":"1","source":"/relevo/test","specversion":"1.0","type":"t"}`,
		},
		"cut off":    {headers: binary("Ce-Knativeerrordata", long, "Ce-Runid", "", "Ce-Subject", ""), code: 422, says: strings.TrimSpace(strings.Repeat("word ", 153)), event: `{"datacontenttype":"application/json","id":"1","source":"/relevo/test","specversion":"1.0","type":"t"}`},
		"plain text": {headers: binary("Ce-Knativeerrordata", "no way!", "Ce-Runid", "", "Ce-Subject", ""), code: 422, says: "no way!", event: `{"datacontenttype":"application/json","id":"1","source":"/relevo/test","specversion":"1.0","type":"t"}`},
	} {
		t.Run(name, func(t *testing.T) {
			b := box()
			if got := post(t, b, c.body, c.headers); got != http.StatusAccepted {
				t.Fatal(got)
			}
			got := letters(t, b)
			if len(got) != 1 || string(got[0].Event) != c.event || got[0].Code != c.code || got[0].Error != c.says || got[0].Count != 1 {
				t.Errorf("kept %s\n%+v", got[0].Event, got)
			}
		})
	}
}

func TestOnceForADestination(t *testing.T) {
	b := box()
	for _, h := range []map[string]string{
		binary(), binary("Ce-Knativeerrorcode", "503"), binary("Ce-Knativeerrordest", "http://other"), binary("Ce-Id", "2"), binary("Ce-Source", "/other"),
	} {
		if got := post(t, b, `{}`, h); got != http.StatusAccepted {
			t.Fatal(got)
		}
	}
	got := letters(t, b)
	counts := 0
	for _, l := range got {
		counts += l.Count
		if l.Count == 2 && l.Code != 503 {
			t.Errorf("the last cause counts: %+v", l)
		}
	}
	if len(got) != 4 || counts != 5 {
		t.Errorf("%d letters that count %d", len(got), counts)
	}
}

// TestAnswersAsABrokerNeedsThem: nothing but what may go better is tried again.
func TestAnswersAsABrokerNeedsThem(t *testing.T) {
	away := &deadletter.Box{Store: broken{memory.New(time.Now, "test")}}
	for name, c := range map[string]struct {
		box     *deadletter.Box
		body    string
		headers map[string]string
		want    int
	}{
		"no event":   {box(), `{}`, map[string]string{"Content-Type": "application/json"}, http.StatusBadRequest},
		"no id":      {box(), `{}`, binary("Ce-Id", ""), http.StatusBadRequest},
		"a batch":    {box(), `[]`, map[string]string{"Content-Type": "application/cloudevents-batch+json"}, http.StatusBadRequest},
		"too large":  {box(), `"` + strings.Repeat("x", 2<<20) + `"`, binary(), http.StatusRequestEntityTooLarge},
		"store away": {away, `{}`, binary(), http.StatusServiceUnavailable},
	} {
		if got := post(t, c.box, c.body, c.headers); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

type broken struct{ *memory.Store }

func (broken) Commit(context.Context, protocol.Commit) (protocol.Receipt, error) {
	return protocol.Receipt{}, errors.New("away")
}

// TestPoisonIsMended: an event that a function refuses ends here with its cause,
// and goes through when it is sent again after the fault is gone.
func TestPoisonIsMended(t *testing.T) {
	broken, took := true, ""
	destination := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, extensions, err := knative.Structured(w, r, 1<<20, "knativeerrorcode")
		if err != nil || broken {
			http.Error(w, "it is poison", http.StatusUnprocessableEntity)
			return
		}
		var e struct{ ID string }
		if json.Unmarshal(raw, &e) == nil && len(extensions) == 0 {
			took = e.ID
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer destination.Close()
	b := box()
	sender := &knative.Sender{}
	b.Send = func(ctx context.Context, l deadletter.Letter) error {
		_, err := sender.AskStructured(ctx, l.Destination, l.Event)
		return err
	}
	if got := post(t, b, `{}`, binary("Ce-Knativeerrordest", destination.URL)); got != http.StatusAccepted {
		t.Fatal(got)
	}
	id := letters(t, b)[0].ID
	if l, err := b.Replay(t.Context(), id); !errors.Is(err, deadletter.ErrRefused) || !l.Replayed.IsZero() || l.Count != 2 || !strings.Contains(l.Error, "it is poison") {
		t.Errorf("still broken: %+v, %v", l, err)
	}
	broken = false
	l, err := b.Replay(t.Context(), id)
	if err != nil || l.Replayed.IsZero() || took != "1" {
		t.Errorf("mended: %+v, %v; the destination took %q", l, err, took)
	}
	took = ""
	if again, err := b.Replay(t.Context(), id); err != nil || !again.Replayed.Equal(l.Replayed) || took != "" {
		t.Errorf("replayed again: %+v, %v, took %q", again, err, took)
	}
	if got := post(t, b, `{}`, binary("Ce-Knativeerrordest", destination.URL)); got != http.StatusAccepted {
		t.Fatal(got)
	}
	if l := letters(t, b)[0]; !l.Replayed.IsZero() || l.Count != 3 || l.ID != id {
		t.Errorf("came back: %+v", l)
	}
}
