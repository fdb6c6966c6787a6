package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/forge"
	"github.com/relevo-ci/relevo/shared/forwarded"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/state"
)

// door is a forge that says what a test tells it to.
type door struct {
	forge.Forge
	name          string
	verify, parse error
	h             trigger.Happening
}

func (d *door) Name() string                     { return d.name }
func (d *door) Verify(http.Header, []byte) error { return d.verify }
func (d *door) Parse(header http.Header, _ []byte) (trigger.Happening, error) {
	h := d.h
	h.Forge, h.Delivery = d.name, header.Get("X-Id")
	return h, d.parse
}

// faulty is a store that fails while it is told to.
type faulty struct {
	protocol.Store
	fail error
}

func (f *faulty) Load(ctx context.Context, p protocol.Partition, ids ...protocol.DocID) ([]protocol.Doc, protocol.Moment, error) {
	if f.fail != nil {
		return nil, protocol.Moment{}, f.fail
	}
	return f.Store.Load(ctx, p, ids...)
}

type rig struct {
	*Webhook
	store     *faulty
	door      *door
	http      http.Handler
	published []events.Envelope
	woken     int
	now       time.Time
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{store: &faulty{Store: memory.New(time.Now, "test")}, door: &door{name: forge.Gitea, h: trigger.Happening{Event: "push"}}, now: time.Now()}
	r.Webhook = &Webhook{
		Forges: []forge.Forge{r.door}, Front: &state.Front{Committer: &state.Committer{Store: r.store}},
		Publish: func(_ context.Context, es []events.Envelope) error {
			r.published = append(r.published, es...)
			return nil
		},
		Wake: func() { r.woken++ }, Now: func() time.Time { return r.now }, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	r.http = New(r.Webhook).HTTP
	return r
}

func (r *rig) post(id, body string) (*httptest.ResponseRecorder, client.Received) {
	q := httptest.NewRequest(http.MethodPost, "/webhooks/"+r.door.name, strings.NewReader(body))
	q.Header.Set("Content-Type", "application/json; charset=utf-8")
	q.Header.Set("X-Id", id)
	rec := httptest.NewRecorder()
	r.http.ServeHTTP(rec, q)
	var got client.Received
	_ = json.Unmarshal(rec.Body.Bytes(), &got) // a problem has other fields
	return rec, got
}

// TestWhatIsKept: once each, whatever comes again; what the store or the broker
// do not take costs no delivery.
func TestWhatIsKept(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first, got := r.post("1", `{"a": 1}`)
	if first.Code != http.StatusAccepted || got.Outcome != "accepted" || got.Duplicate || len(r.published) != 1 || r.woken != 1 {
		t.Fatalf("answered %d %+v; published %d, woken %d", first.Code, got, len(r.published), r.woken)
	}
	again, known := r.post("1", `{"a": 1}`)
	if again.Code != http.StatusAccepted || !known.Duplicate || known.Delivery != got.Delivery || known.Outcome != "known, and being worked on" || r.woken != 1 {
		t.Errorf("twice it is answered %d %+v, woken %d", again.Code, known, r.woken)
	}
	if altered, _ := r.post("1", `{"a": 2}`); altered.Code != http.StatusConflict {
		t.Errorf("another body under the same id is answered %d", altered.Code)
	}
	r.store.fail = errors.New("away")
	if rec, _ := r.post("2", `{}`); rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" || strings.Contains(rec.Body.String(), "away") {
		t.Errorf("without a store it is answered %d %s", rec.Code, rec.Body)
	}
	r.store.fail = nil
	r.Publish = func(context.Context, []events.Envelope) error { return errors.New("no broker") }
	if rec, got := r.post("2", `{}`); rec.Code != http.StatusAccepted || got.Duplicate {
		t.Errorf("without a broker it is answered %d %+v", rec.Code, got)
	}
}

// TestWhatNamesADelivery: where a body tells its own time, the body, which is
// signed; elsewhere the sender's id.
func TestWhatNamesADelivery(t *testing.T) {
	t.Parallel()
	for kind, same := range map[string]bool{forge.GitHub: true, forge.Stash: true, forge.GitLab: false, forge.Gitea: false, forge.Bitbucket: false, forge.Gogs: false} {
		r := newRig(t)
		r.door.name = kind
		_, one := r.post("1", `{"a": 1}`)
		_, two := r.post("2", `{"a": 1}`)
		if one.Delivery == "" || (one.Delivery == two.Delivery) != same {
			t.Errorf("%s: %s and %s", kind, one.Delivery, two.Delivery)
		}
	}
}

// TestRoom: what the ledger has no room for is to be delivered again, and so is
// what there are too many of at a time.
func TestRoom(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	leave, ok := r.room.take(t.Context(), mostAtOnce-1)
	if !ok {
		t.Fatal("there is no room to begin with")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	q := httptest.NewRequestWithContext(ctx, http.MethodPost, "/webhooks/gitea", strings.NewReader("{}"))
	q.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	if r.http.ServeHTTP(rec, q); rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" {
		t.Errorf("one too many is answered %d", rec.Code)
	}
	leave()
	if rec, _ := r.post("1", `{}`); rec.Code != http.StatusAccepted {
		t.Errorf("then it is answered %d", rec.Code)
	}
	unknown, ok := r.room.take(t.Context(), -1) // nobody says how long: it may be the longest
	if !ok {
		t.Fatal("no room for one of unknown length")
	}
	if _, ok := r.room.take(ctx, mostAtOnce-mostBody); ok {
		t.Error("one of unknown length takes no room")
	}
	unknown()
}

// TestTired: an address is heard again after a while, and those that are made up
// do not fill the memory.
func TestTired(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.door.verify = forge.ErrSignature
	codes := map[int]int{}
	for range 2 * refusedBurst {
		rec, _ := r.post("1", "{}")
		codes[rec.Code]++
	}
	if codes[http.StatusUnauthorized] != refusedBurst || codes[http.StatusTooManyRequests] != refusedBurst {
		t.Errorf("answered %v", codes)
	}
	r.door.verify = nil // another, behind the same proxy
	if rec, _ := r.post("1", "{}"); rec.Code != http.StatusAccepted {
		t.Errorf("who signs is answered %d", rec.Code)
	}
	if rec, _ := r.post("2", `"`+strings.Repeat("x", mostOfTired)+`"`); rec.Code != http.StatusTooManyRequests || rec.Header().Get("Retry-After") == "" {
		t.Errorf("a long one is answered %d", rec.Code)
	}
	r.now = r.now.Add(2 * time.Minute / refusedPerMinute)
	if rec, _ := r.post("1", "{}"); rec.Code != http.StatusAccepted {
		t.Errorf("after a while it is answered %d", rec.Code)
	}
	for i := range 2 * mostSenders {
		r.senders.refused(time.Duration(i).String())
	}
	if n := len(r.senders.all); n > mostSenders {
		t.Errorf("%d senders are remembered", n)
	}
}

// TestTiredBehindAProxy: each sender behind it is counted for itself, and whoever
// writes its header too is counted all the same.
func TestTiredBehindAProxy(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Proxies = forwarded.Trusted{netip.MustParsePrefix("10.0.0.0/8")}
	r.door.verify = forge.ErrSignature
	post := func(said, sender string) int {
		req := httptest.NewRequest(http.MethodPost, "/webhooks/"+r.door.name, strings.NewReader("{}"))
		req.Header.Set("Content-Type", "application/json")
		req.RemoteAddr = "10.1.1.1:5"
		req.Header.Set("X-Forwarded-For", said+sender)
		rec := httptest.NewRecorder()
		r.http.ServeHTTP(rec, req)
		return rec.Code
	}
	codes := map[int]int{}
	for i := range 2 * refusedBurst {
		codes[post(fmt.Sprintf("203.0.113.%d, ", i), "198.51.100.7")]++
	}
	if codes[http.StatusUnauthorized] != refusedBurst || codes[http.StatusTooManyRequests] != refusedBurst {
		t.Errorf("answered %v", codes)
	}
	if code := post("198.51.100.7, ", "198.51.100.8"); code != http.StatusUnauthorized {
		t.Errorf("another is answered %d", code)
	}
}

// TestFull: while all that is kept waits to be worked on, the sender is asked to
// deliver again.
func TestFull(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Front.Most = 1 // of each partition
	for i := range 100 {
		rec, _ := r.post(strconv.Itoa(i), `{}`)
		if rec.Code == http.StatusServiceUnavailable && strings.Contains(rec.Body.String(), "no room") && rec.Header().Get("Retry-After") != "" {
			return
		}
		if rec.Code != http.StatusAccepted {
			t.Fatalf("delivery %d is answered %d %s", i, rec.Code, rec.Body)
		}
	}
	t.Error("there is room for ever")
}

// TestNothingIsKept of pings and of what cannot be read.
func TestNothingIsKept(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*door)
		want  int
	}{
		"a ping":   {func(d *door) { d.h.Event = "ping" }, http.StatusOK},
		"unsigned": {func(d *door) { d.verify = forge.ErrUnsigned }, http.StatusUnauthorized},
		"wrongly":  {func(d *door) { d.verify = forge.ErrSignature }, http.StatusUnauthorized},
		"no body":  {func(d *door) { d.parse = forge.ErrBody }, http.StatusUnprocessableEntity},
	} {
		r := newRig(t)
		c.spoil(r.door)
		rec, got := r.post("1", "{}")
		kept, _, err := r.Front.Deliveries(t.Context(), "", 10)
		if rec.Code != c.want || err != nil || len(kept) != len(r.published) || (got.Delivery == "") != (len(kept) == 0) {
			t.Errorf("%s: answered %d %+v, kept %d, %v", name, rec.Code, got, len(kept), err)
		}
	}
}

func TestBare(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"secret":"s3cret","ref":"x"}`:    `{"ref":"x"}`,
		`{"a":{"secret":"of the user's"}}`: `{"a":{"secret":"of the user's"}}`,
		`["secret"]`:                       `["secret"]`,
		`{"ref":"x"}`:                      `{"ref":"x"}`,
	} {
		if got := string(bare([]byte(body))); got != want {
			t.Errorf("%s: %s", body, got)
		}
	}
}
