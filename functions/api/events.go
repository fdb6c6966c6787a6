package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/feed"
)

const (
	// batchSize is how many events are written before the reader is given them.
	batchSize = 256
	// retryAfter is how long readers wait before they come again.
	retryAfter = time.Second
)

type eventsInput struct {
	Run     string   `query:"run" maxLength:"26" doc:"Only events of this run."`
	Types   []string `query:"type,explode" nullable:"false" maxItems:"64" doc:"Only events of these types: dev.relevo.pipeline.job.completed.v1, or pipeline.job.completed for short."`
	Repo    string   `query:"repository" maxLength:"300" doc:"Only events of runs of this repository: owner/name."`
	Context string   `query:"context" enum:"pipeline,scheduler,provider,execution,telemetry,access,artifact" doc:"Only events of this context."`
	After   string   `query:"after" maxLength:"64" doc:"As Last-Event-ID, for those that cannot set it."`
	Last    string   `header:"Last-Event-ID" maxLength:"64" doc:"Id of the last event seen: go on behind it. 0: from the oldest that there is. By default from now on."`
}

func eventsOperation(h huma.API) huma.Operation {
	op := operation(h, "watchEvents", http.MethodGet, "/v1/events", "Watch events as they happen")
	op = streaming(op, "text/event-stream", "Server-sent events: id is the place in the stream, event the type, data the CloudEvent as structured JSON. "+
		"An event of the type gap says that some could not be had any more. The stream ends after four minutes at the latest: come again with the last id.", nil)
	op.Responses["101"] = &huma.Response{Description: "The same as WebSocket, where the request asks for that: each event is a text message, " +
		"a JSON object of id, event and data. One of id alone moves the place on. The close code 1012 says: come again with the last id as after."}
	return op
}

// showEvents streams events.
func (a *API) showEvents(ctx context.Context, in *eventsInput) (*huma.StreamResponse, error) {
	if a.Feed == nil {
		return nil, refuse(http.StatusServiceUnavailable, "this server keeps no feed of events")
	}
	keep, err := parseFilter(in)
	if err != nil {
		return nil, err
	}
	keep.sees, keep.origin = a.seesEntry(ctx), func(run string) (origin, error) { return a.originOfRun(ctx, events.RunID(run)) }
	s := &eventStream{api: a, keep: keep, at: feed.Position(in.Last)}
	if in.Last == "" {
		s.at = feed.Position(in.After)
	}
	if s.at == "" {
		if s.at, err = a.Feed.Last(ctx); err != nil {
			return nil, a.fault(ctx, "look at the feed", err)
		}
	}
	if !s.at.Valid() {
		return nil, located("header.Last-Event-ID", "this is no id of an event")
	}
	return &huma.StreamResponse{Body: s.stream}, nil
}

// eventStream is one reader's stream. It holds a position and nothing else: a
// reader that is slow holds up nobody.
type eventStream struct {
	api  *API
	keep eventFilter
	at   feed.Position
}

// reader takes what a stream tells, in one form or another.
type reader interface {
	// stands tells where the reader stands.
	stands(at feed.Position) error
	// beat is a sign of life.
	beat(at feed.Position) error
	// show hands over events, all of them before it returns.
	show(entries []feed.Entry) error
}

// stream writes until the reader goes, is too slow, or the stream's life is
// over.
func (s *eventStream) stream(hc huma.Context) {
	r, w := humago.Unwrap(hc)
	if isSocket(r) {
		s.socket(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // some proxies hold streams back
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	ctx, cancel := s.api.life(r.Context())
	defer cancel()
	to := sentEvents{newPatient(w, s.api.Streams.Patience)}
	_ = s.tell(ctx, to)
	if ctx.Err() != nil && r.Context().Err() == nil {
		_ = to.stands(s.at) // the end: where to come again, and when
	}
}

// tell goes on until something ends it.
func (s *eventStream) tell(ctx context.Context, to reader) error {
	err := to.stands(s.at)
	for err == nil {
		err = s.next(ctx, to)
	}
	return err
}

// next hands over what is new, or after a while without news a sign of life.
func (s *eventStream) next(ctx context.Context, to reader) error {
	beat, cancel := context.WithTimeout(ctx, s.api.Streams.Beat)
	defer cancel()
	b, err := s.api.Feed.Next(beat, s.at, batchSize)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return to.beat(s.at)
	case err != nil:
		return err
	}
	entries := make([]feed.Entry, 0, len(b.Entries)+1)
	if b.Gap {
		entries = append(entries, s.gap(b))
	}
	for _, e := range b.Entries {
		wanted, err := s.keep.wants(e)
		if err != nil {
			return err // nothing is passed over: the reader comes again for it
		}
		if wanted {
			entries = append(entries, e)
		}
	}
	s.at = b.Last()
	if len(entries) > 0 {
		if err := to.show(entries); err != nil {
			return err
		}
	}
	if len(b.Entries) < batchSize { // else it catches up
		s.gather(ctx)
	}
	return nil
}

// gather lets a burst come together.
func (s *eventStream) gather(ctx context.Context) {
	t := time.NewTimer(s.api.Streams.Gather)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// gap tells of events that are gone. Its id is where the reader stood: if what
// follows does not reach it, it hears of the gap again.
func (s *eventStream) gap(b feed.Batch) feed.Entry {
	data, err := json.Marshal(client.Gap{After: string(s.at), Missed: b.Missed})
	if err != nil { // a string and a number always encode
		panic(err)
	}
	return feed.NewEntry(s.at, client.GapEvent, "", data)
}

// mostJoined bounds the room that is kept for the next.
const mostJoined = 1 << 20

var joined = sync.Pool{New: func() any { return new([]byte) }}

// sentEvents writes server-sent events.
type sentEvents struct{ out *patient }

// stands tells when to come again, and from where: a message without data only
// moves the reader's last id.
func (t sentEvents) stands(at feed.Position) error {
	return t.out.write(fmt.Appendf(nil, "retry: %d\nid: %s\n\n", retryAfter.Milliseconds(), at))
}

func (t sentEvents) beat(at feed.Position) error {
	return t.out.write(fmt.Appendf(nil, ": alive\nid: %s\n\n", at))
}

func (t sentEvents) show(entries []feed.Entry) error {
	if len(entries) == 1 {
		return t.out.write(entries[0].Frame)
	}
	// In one write: each is a chunk of its own, which costs more than the copy.
	room := joined.Get().(*[]byte)
	frames := (*room)[:0]
	for _, e := range entries {
		frames = append(frames, e.Frame...)
	}
	err := t.out.write(frames)
	if *room = frames; cap(frames) <= mostJoined {
		joined.Put(room)
	}
	return err
}

// patient writes to a reader that may be slow, each time for so long only. The
// server's own deadline, which bounds the whole answer, it takes away.
type patient struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
}

func newPatient(w http.ResponseWriter, patience time.Duration) *patient {
	return &patient{w: w, control: http.NewResponseController(w), patience: patience}
}

// write hands pieces to the reader, all of them before it returns.
func (p *patient) write(pieces ...[]byte) error {
	// A writer without deadlines (of a test, a proxy) is as patient as it is. One
	// left standing would hit the end of an answer that was silent for long, and
	// with HTTP/2 the silence itself.
	if err := p.control.SetWriteDeadline(time.Now().Add(p.patience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	defer func() { _ = p.control.SetWriteDeadline(time.Time{}) }()
	for _, piece := range pieces {
		if _, err := p.w.Write(piece); err != nil {
			return err
		}
	}
	return p.control.Flush()
}
