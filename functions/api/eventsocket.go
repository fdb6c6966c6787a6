package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/feed"
)

// isSocket tells whether a request asks for a WebSocket.
func isSocket(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// socket tells the events over a WebSocket (RFC 6455), to programs and to pages
// of this server alone: browsers let any page open one, with the cookie of this
// server and from this machine.
func (s *eventStream) socket(w http.ResponseWriter, r *http.Request) {
	if !sameOrigin(r) {
		refuse(http.StatusForbidden, "web pages of other origins may not ask for this").write(w)
		return
	}
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // it has answered
	}
	defer func() { _ = conn.CloseNow() }()
	// The reader has nothing to say but that it lives, or goes. A context that
	// ends cuts the connection off, so that of the stream's life is another.
	there := conn.CloseRead(context.WithoutCancel(r.Context()))
	ctx, cancel := s.api.life(there)
	defer cancel()
	_ = s.tell(ctx, &socket{conn: conn, there: there, patience: s.api.Streams.Patience})
	switch {
	case there.Err() != nil: // the reader went
	case ctx.Err() != nil:
		_ = conn.Close(websocket.StatusServiceRestart, "come again")
	default:
		_ = conn.Close(websocket.StatusTryAgainLater, "come again later")
	}
}

// socket writes events as text messages.
type socket struct {
	conn     *websocket.Conn
	there    context.Context //nolint:containedctx // for as long as the reader is
	patience time.Duration
	message  []byte // of the last one, for its room
}

func (t *socket) stands(at feed.Position) error { return t.write(at, "", nil) }

func (t *socket) beat(at feed.Position) error {
	ctx, cancel := context.WithTimeout(t.there, t.patience)
	defer cancel()
	if err := t.conn.Ping(ctx); err != nil {
		return err
	}
	return t.stands(at)
}

func (t *socket) show(entries []feed.Entry) error {
	for _, e := range entries {
		if err := t.write(e.Position, e.Type, e.JSON()); err != nil {
			return err
		}
	}
	return nil
}

// write sends a message: what a server-sent event has, as a JSON object. Who does
// not take it in time is cut off.
func (t *socket) write(at feed.Position, kind events.Type, data []byte) error {
	m := append(t.message[:0], `{"id":`...)
	m = appendText(m, string(at))
	if kind != "" {
		m = appendText(append(m, `,"event":`...), string(kind))
		m = append(append(m, `,"data":`...), data...)
	}
	t.message = append(m, '}')
	ctx, cancel := context.WithTimeout(t.there, t.patience)
	defer cancel()
	return t.conn.Write(ctx, websocket.MessageText, t.message)
}

func appendText(to []byte, text string) []byte {
	raw, err := json.Marshal(text)
	if err != nil { // a string always encodes
		panic(err)
	}
	return append(to, raw...)
}
