package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/access"
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
	Context string   `query:"context" enum:"pipeline,scheduler,provider,execution,telemetry,access,artifact" doc:"Only events of this context."`
	After   string   `query:"after" maxLength:"64" doc:"As Last-Event-ID, for those that cannot set it."`
	Last    string   `header:"Last-Event-ID" maxLength:"64" doc:"Id of the last event seen: go on behind it. 0: from the oldest that there is. By default from now on."`
}

func eventsOperation(h huma.API) huma.Operation {
	op := operation(h, "watchEvents", http.MethodGet, "/v1/events", "Watch events as they happen")
	return streaming(op, "text/event-stream", "Server-sent events: id is the place in the stream, event the type, data the CloudEvent as structured JSON. "+
		"An event of the type gap says that some could not be had any more. The stream ends after four minutes at the latest: come again with the last id.", nil)
}

// showEvents streams events.
func (a *API) showEvents(ctx context.Context, in *eventsInput) (*huma.StreamResponse, error) {
	if a.Feed == nil {
		return nil, refuse(http.StatusServiceUnavailable, "this server keeps no feed of events")
	}
	keep, err := parseFilter(in.Run, in.Types, in.Context)
	if err != nil {
		return nil, err
	}
	keep.sees = a.seesEntry(ctx)
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

// eventFilter says which events a reader wants.
type eventFilter struct {
	run     string
	types   map[events.Type]bool // nil: all
	context string               // with the dots around it; empty: all
	sees    func(e feed.Entry) bool
}

// seesEntry tells of events whether the caller may see them: those of a run whom
// its project is visible to, those of access who may read the audit, and others
// that are of no project who may see everything.
func (a *API) seesEntry(ctx context.Context) func(feed.Entry) bool {
	run, whole := a.visibleRun(ctx), a.allowed(callerOf(ctx), access.View, "")
	audit := a.allowed(callerOf(ctx), access.ReadAudit, "")
	return func(e feed.Entry) bool {
		switch {
		case strings.HasPrefix(string(e.Type), typePrefix+string(events.Access)+"."):
			return audit
		case e.RunID == "":
			return whole
		}
		return run(events.RunID(e.RunID))
	}
}

const typePrefix = "dev.relevo."

func parseFilter(run string, types []string, context string) (eventFilter, error) {
	f := eventFilter{run: run}
	if run != "" && !isRunID(run) {
		return f, located("query.run", "this is no id of a run")
	}
	for _, t := range types {
		full := events.Type(t)
		if !strings.HasPrefix(t, typePrefix) {
			full = events.Type(typePrefix + t + ".v1")
		}
		if _, ok := events.Find(full); !ok {
			return f, located("query.type", fmt.Sprintf("there is no event of the type %.80q", t))
		}
		if f.types == nil {
			f.types = map[events.Type]bool{}
		}
		f.types[full] = true
	}
	if context != "" {
		f.context = "." + context + "."
	}
	return f, nil
}

func (f eventFilter) wants(e feed.Entry) bool {
	switch {
	case f.run != "" && e.RunID != f.run,
		f.types != nil && !f.types[e.Type]:
		return false
	}
	rest, ok := strings.CutPrefix(string(e.Type), strings.TrimSuffix(typePrefix, "."))
	return (f.context == "" || ok && strings.HasPrefix(rest, f.context)) && (f.sees == nil || f.sees(e))
}

// eventStream is one reader's stream. It holds a position and nothing else: a
// reader that is slow holds up nobody.
type eventStream struct {
	api  *API
	keep eventFilter
	at   feed.Position
}

// stream writes until the reader goes, is too slow, or the stream's life is
// over.
func (s *eventStream) stream(hc huma.Context) {
	r, w := humago.Unwrap(hc)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // some proxies hold streams back
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	ctx, cancel := s.api.life(r.Context())
	defer cancel()
	out := newPatient(w, s.api.Streams.Patience)
	err := out.write(s.opening())
	for err == nil {
		err = s.next(ctx, out)
	}
	if ctx.Err() != nil && r.Context().Err() == nil {
		_ = out.write(s.opening()) // the end: where to come again, and when
	}
}

// opening tells when to come again, and from where: a message without data
// only moves the reader's last id.
func (s *eventStream) opening() []byte {
	return fmt.Appendf(nil, "retry: %d\nid: %s\n\n", retryAfter.Milliseconds(), s.at)
}

// next writes what is new, or after a while without news a sign of life.
func (s *eventStream) next(ctx context.Context, out *patient) error {
	beat, cancel := context.WithTimeout(ctx, s.api.Streams.Beat)
	defer cancel()
	b, err := s.api.Feed.Next(beat, s.at, batchSize)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return out.write(fmt.Appendf(nil, ": alive\nid: %s\n\n", s.at))
	case err != nil:
		return err
	}
	var frames [][]byte
	if b.Gap {
		frames = append(frames, s.gap(b))
	}
	for _, e := range b.Entries {
		if s.keep.wants(e) {
			frames = append(frames, e.Frame)
		}
	}
	s.at = b.Last()
	if len(frames) == 0 {
		return nil
	}
	return out.write(frames...)
}

// gap tells of events that are gone. Its id is where the reader stood: if what
// follows does not reach it, it hears of the gap again.
func (s *eventStream) gap(b feed.Batch) []byte {
	data, err := json.Marshal(client.Gap{After: string(s.at), Missed: b.Missed})
	if err != nil { // a string and a number always encode
		panic(err)
	}
	return fmt.Appendf(nil, "id: %s\nevent: %s\ndata: %s\n\n", s.at, client.GapEvent, data)
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
