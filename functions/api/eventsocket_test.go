package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/functions/api"
	"github.com/relevo-ci/relevo/shared/client"
	domain "github.com/relevo-ci/relevo/shared/domain/access"
	"github.com/relevo-ci/relevo/shared/feed"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// told is a message of the stream as WebSocket.
type told struct {
	ID    string          `json:"id"`
	Event events.Type     `json:"event"`
	Data  json.RawMessage `json:"data"`
}

// dial opens the stream as WebSocket.
func dial(t *testing.T, c *client.Client, query string, header ...string) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	conn, res, err := websocket.Dial(t.Context(), c.BaseURL+"/v1/events"+query, &websocket.DialOptions{HTTPHeader: h})
	if err == nil {
		t.Cleanup(func() { _ = conn.CloseNow() })
	}
	return conn, res, err
}

func opened(t *testing.T, c *client.Client, query string, header ...string) *websocket.Conn {
	t.Helper()
	conn, _, err := dial(t, c, query, header...)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// hear reads the next message with an event.
func hear(t *testing.T, conn *websocket.Conn) (told, error) {
	t.Helper()
	for {
		kind, raw, err := conn.Read(t.Context())
		if err != nil {
			return told{}, err
		}
		var m told
		if err := json.Unmarshal(raw, &m); err != nil || kind != websocket.MessageText || !feed.Position(m.ID).Valid() {
			t.Fatalf("%v message %s: %v", kind, raw, err)
		}
		if m.Event != "" {
			return m, nil
		}
	}
}

// TestEventsBySocket: the same events as server-sent ones, to the byte, and on
// from the place where another connection was cut off.
func TestEventsBySocket(t *testing.T) {
	const total = 600
	w := newWorld(t)
	c := w.serve()
	w.record(1, total)
	frames, err := w.feed.Next(t.Context(), feed.Oldest, total)
	if err != nil {
		t.Fatal(err)
	}
	at, seen := client.Oldest, 0
	for seen < total {
		conn := opened(t, c, "?after="+at)
		for range min(250, total-seen) {
			m, err := hear(t, conn)
			if err != nil {
				t.Fatal(err)
			}
			e := frames.Entries[seen]
			if m.ID != string(e.Position) || m.Event != e.Type || string(m.Data) != string(e.JSON()) {
				t.Fatalf("message %d: %+v, want %s", seen, m, e.Frame)
			}
			at, seen = m.ID, seen+1
		}
		_ = conn.CloseNow()
	}
	conn := opened(t, c, "")
	if _, raw, err := conn.Read(t.Context()); err != nil || string(raw) != fmt.Sprintf(`{"id":%q}`, at) {
		t.Fatalf("it stands at %s, %v", raw, err)
	}
	w.record(total+1, total+1)
	if m, err := hear(t, conn); err != nil || !strings.Contains(string(m.Data), fmt.Sprint("note-", total+1)) {
		t.Errorf("what is new: %+v, %v", m, err)
	}
}

// TestASocketEndsItself: with a code that says come again, after its life and
// when the host goes down; until then it is pinged.
func TestASocketEndsItself(t *testing.T) {
	for name, streams := range map[string]api.Streams{
		"life": {Life: 50 * time.Millisecond}, "beats": {Beat: time.Millisecond, Life: 50 * time.Millisecond}, "host": {},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(w *world) { w.api.Streams = streams })
			c := w.serve()
			pings := 0
			conn, _, err := websocket.Dial(t.Context(), c.BaseURL+"/v1/events", &websocket.DialOptions{
				OnPingReceived: func(context.Context, []byte) bool { pings++; return true },
			})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.CloseNow() }()
			if name == "host" {
				w.api.Close()
			}
			if m, err := hear(t, conn); websocket.CloseStatus(err) != websocket.StatusServiceRestart {
				t.Errorf("it ended with %+v, %v", m, err)
			}
			if (pings > 0) != (name == "beats") {
				t.Errorf("%d pings", pings)
			}
		})
	}
}

// TestASlowSocketIsDropped: who takes nothing holds up nobody, and is cut off.
func TestASlowSocketIsDropped(t *testing.T) {
	const total = 40_000
	w := newWorld(t, func(w *world) { w.api.Streams.Patience = 50 * time.Millisecond })
	c := w.serve()
	slow := opened(t, c, "?after=0")
	w.record(1, total)
	quick, at := opened(t, c, "?after=0"), client.Oldest
	for n := 0; n < total; n++ {
		m, err := hear(t, quick)
		if err != nil { // on a machine that has much to do: it resumes
			quick, n = opened(t, c, "?after="+at), n-1
			continue
		}
		if at = m.ID; !strings.Contains(string(m.Data), fmt.Sprintf(`"note-%d"`, n+1)) {
			t.Fatalf("message %d: %s", n+1, m.Data)
		}
	}
	seen := 0
	for {
		m, err := hear(t, slow)
		if err != nil {
			break
		}
		if seen++; !strings.Contains(string(m.Data), fmt.Sprintf(`"note-%d"`, seen)) {
			t.Fatalf("message %d: %s", seen, m.Data)
		}
	}
	if seen == total {
		t.Error("it got all: the test shows nothing")
	}
}

// TestSocketsOfOtherOrigins: no page of another origin opens one, whether by a
// session's cookie or from this machine; other refusals come before as well.
func TestSocketsOfOtherOrigins(t *testing.T) {
	w := newWorld(t, withLogin, func(w *world) { w.api.Token = "t0ken" })
	w.grant("ana", domain.Viewer, "*")
	cookie := "__Host-relevo=" + w.logIn("ana").secret
	local := newWorld(t)
	for _, one := range []struct {
		w      *world
		header []string
	}{{local, nil}, {w, []string{"Cookie", cookie}}, {w, []string{"Authorization", "Bearer t0ken"}}} {
		c := one.w.serve()
		for origin, want := range map[string]int{
			"": 101, c.BaseURL: 101, "https://evil.example": 403, "null": 403, "http://127.0.0.1:1": 403, "file://": 403,
		} {
			header := one.header
			if origin != "" {
				header = append([]string{"Origin", origin}, header...)
			}
			if _, res, err := dial(t, c, "", header...); res == nil || res.StatusCode != want {
				t.Errorf("origin %q, %v: %v, %v", origin, one.header, res, err)
			}
		}
	}
	c := w.serve()
	if _, res, _ := dial(t, c, ""); res == nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a stranger: %v", res)
	}
	for _, query := range []string{"?after=x", "?type=x", "?run=x"} {
		if _, res, _ := dial(t, local.serve(), query); res == nil || res.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: %v", query, res)
		}
	}
}

// TestARunThatCannotBeLookedAt: what cannot be told to be wanted or not is not passed
// over: the stream ends, and goes on from there.
func TestARunThatCannotBeLookedAt(t *testing.T) {
	w := newWorld(t)
	var away atomic.Bool
	w.runs.Store = leaving{w.runs.Store, &away}
	first := w.submit(strings.Replace(hello, "{", `{"trigger": {"repository": "acme/web"}, `, 1))
	at, err := w.feed.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second := w.submit(strings.Replace(hello, "{", `{"trigger": {"repository": "acme/web"}, `, 1))
	c := w.serve()
	away.Store(true)
	conn := opened(t, c, "?repository=acme/web&after="+string(at))
	conn.SetReadLimit(1 << 20)
	if m, err := hear(t, conn); websocket.CloseStatus(err) != websocket.StatusTryAgainLater {
		t.Fatalf("it ended with %+v, %v", m, err)
	}
	away.Store(false)
	conn = opened(t, c, "?repository=acme/web&after="+string(at))
	if m, err := hear(t, conn); err != nil || !strings.Contains(string(m.Data), second) || strings.Contains(string(m.Data), first) {
		t.Errorf("it goes on with %s, %v", m.Data, err)
	}
}

// leaving is a store that is away at times.
type leaving struct {
	protocol.Store
	away *atomic.Bool
}

func (l leaving) Load(ctx context.Context, p protocol.Partition, ids ...protocol.DocID) ([]protocol.Doc, protocol.Moment, error) {
	if l.away.Load() {
		return nil, protocol.Moment{}, errors.New("dial tcp 10.1.2.3:6379: connection refused")
	}
	return l.Store.Load(ctx, p, ids...)
}

// TestSocketFilters: they are those of the other form, what one may see among
// them.
func TestSocketFilters(t *testing.T) {
	w := newWorld(t, withLogin, func(w *world) { w.api.Token = "t0ken"; w.api.Streams.Life = 200 * time.Millisecond })
	system := []string{"Authorization", "Bearer t0ken"}
	run := map[string]string{}
	for _, project := range []string{theirs, ours} {
		body := strings.Replace(in(project), "{", fmt.Sprintf(`{"trigger": {"repository": %q}, `, strings.TrimPrefix(project, "github/")), 1)
		run[project] = decode[client.Accepted](t, w.ask(http.MethodPost, "/v1/pipelines", body, system...), http.StatusCreated).ID
	}
	w.record(1, 1) // of a run that is gone
	w.grant("ana", domain.Admin, ours)
	ana := []string{"Cookie", "__Host-relevo=" + w.logIn("ana").secret}
	c := w.serve()
	for _, one := range []struct {
		query        string
		header       []string
		theirs, ours bool
	}{
		{"", system, true, true},
		{"", ana, false, true},
		{"&run=" + run[theirs], system, true, false},
		{"&run=" + run[theirs], ana, false, false},
		{"&repository=" + strings.TrimPrefix(ours, "github/"), system, false, true},
		{"&repository=" + strings.TrimPrefix(theirs, "github/"), system, true, false},
		{"&repository=" + strings.TrimPrefix(theirs, "github/"), ana, false, false},
		{"&repository=acme", system, false, false},
		{"&context=pipeline&type=pipeline.run.started", system, true, true},
		{"&context=scheduler&type=pipeline.run.started", system, false, false},
	} {
		var all strings.Builder
		conn := opened(t, c, "?after=0"+one.query, one.header...)
		m, err := hear(t, conn)
		for ; err == nil; m, err = hear(t, conn) {
			all.Write(m.Data)
		}
		if got := all.String(); strings.Contains(got, run[theirs]) != one.theirs || strings.Contains(got, run[ours]) != one.ours {
			t.Errorf("%s of %v: %s", one.query, one.header, got)
		}
	}
}
