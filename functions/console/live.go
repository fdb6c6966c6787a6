package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
)

// live is the stream that pages follow: one message "changed" for however much
// happened in a moment. What is new the page then asks for itself, so a message
// lost or told twice does no harm, and the page is never ahead of the truth. Its
// ids are those of the api's stream: a browser resumes where it was.
func (c *Console) live(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	o := client.EventOptions{Run: q.Get("run"), Context: events.Context(q.Get("context")), After: r.Header.Get("Last-Event-ID")}
	if o.After == "" {
		o.After = q.Get("after")
	}
	fresh := o.After == ""
	ctx, cancel := context.WithTimeout(r.Context(), c.Life)
	defer cancel()
	defer context.AfterFunc(c.closing, cancel)()
	s := &liveStream{w: w, control: http.NewResponseController(w)}
	if fresh {
		s.pending = "changed" // since the page was made
	}
	news, failed := c.listen(ctx, o)
	c.follow(ctx, s, news, failed)
}

// liveStream is what is told to one browser.
type liveStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool
	id      string
	pending string
}

const (
	beat     = 15 * time.Second
	patience = 10 * time.Second
)

// follow tells of news until the stream's life is over.
func (c *Console) follow(ctx context.Context, s *liveStream, news <-chan client.Event, failed <-chan error) {
	gather := time.NewTimer(c.Quiet)
	defer gather.Stop()
	alive := time.NewTicker(beat)
	defer alive.Stop()
	var err error
	for err == nil {
		select {
		case <-ctx.Done():
			_ = s.write("retry: 500\n\n")
			return
		case err = <-failed:
			if !s.begun && ctx.Err() == nil {
				c.refuseLive(s.w, err)
			}
			return
		case e := <-news:
			if s.pending == "" {
				gather.Reset(c.Quiet)
			}
			s.id, s.pending = e.Position, "changed"
		case <-gather.C:
			if s.pending != "" {
				err = s.tell()
			}
		case <-alive.C:
			err = s.write(": alive\n\n")
		}
	}
}

// tell writes one message.
func (s *liveStream) tell() error {
	var b strings.Builder
	if s.id != "" {
		fmt.Fprintf(&b, "id: %s\n", s.id)
	}
	fmt.Fprintf(&b, "event: %s\ndata: 1\n\n", s.pending)
	s.pending = ""
	return s.write(b.String())
}

func (s *liveStream) write(text string) error {
	if !s.begun {
		s.begun = true
		s.w.Header().Set("Content-Type", "text/event-stream")
		s.w.Header().Set("X-Accel-Buffering", "no")
		s.w.WriteHeader(http.StatusOK)
	}
	if err := s.control.SetWriteDeadline(time.Now().Add(patience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	defer func() { _ = s.control.SetWriteDeadline(time.Time{}) }()
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.control.Flush()
}

// refuseLive tells a browser that there is nothing to follow.
func (c *Console) refuseLive(w http.ResponseWriter, err error) {
	status := http.StatusBadGateway
	var p *client.Problem
	if errors.As(err, &p) {
		status = p.Status
	}
	http.Error(w, http.StatusText(status), status)
}
