package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// EventOptions say which events.
type EventOptions struct {
	Run     string         // of this run only
	Types   []events.Type  // of these types only
	Context events.Context // of this context only
	// Repository whose runs they are of: owner/name.
	Repository string
	// After is where to go on from: the Position of the last event seen, Oldest
	// for all that the server still has; empty: what is yet to come.
	After string
}

// Oldest is the position before all that the server still has.
const Oldest = "0"

// Event is one event of the stream, or a gap in it.
type Event struct {
	events.Envelope
	// Position is where to go on from.
	Position string
	// Gap is set instead of an envelope where events were missed.
	Gap *Gap
}

// Gap says that the server no longer had the events after a position.
type Gap struct {
	After  string `json:"after" doc:"The position asked for."`
	Missed uint64 `json:"missed,omitempty" doc:"How many events were missed; absent where that is not known."`
}

// GapEvent is the type of a gap in the stream; it is no CloudEvent.
const GapEvent = "gap"

const (
	// streamTries is how often in a row a stream is taken up again in vain.
	streamTries = 8
	// streamPause is between two connections, where the server asks for nothing
	// else; it doubles with each one in vain, up to longestPause.
	streamPause  = 250 * time.Millisecond
	longestPause = 5 * time.Second
)

func wait(failed int) time.Duration {
	return min(streamPause<<min(failed, 10), longestPause)
}

// Events follows the stream of events until ctx ends, across broken
// connections: each event comes once and in order, and what could not be had
// any more is a Gap. An error is the last thing that it yields.
func (c *Client) Events(ctx context.Context, o EventOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for failed := 0; ; {
			end := c.events(ctx, &o, yield)
			switch {
			case end.enough:
				return
			case end.alive:
				failed = 0
			default:
				failed++
			}
			if ctx.Err() != nil || failed == streamTries || (end.err != nil && !passing(end.err)) {
				yield(Event{}, cmp.Or(ctx.Err(), end.err))
				return
			}
			if err := c.pause(ctx, max(min(end.retry, longestPause), wait(failed))); err != nil {
				yield(Event{}, err)
				return
			}
		}
	}
}

// ending is how a connection to the stream ended.
type ending struct {
	enough bool          // the caller wants no more
	alive  bool          // the server had begun to answer
	retry  time.Duration // how long it asks to wait before coming again
	err    error         // nil where the server ended it
}

// events reads one connection and moves o.After on.
func (c *Client) events(ctx context.Context, o *EventOptions, yield func(Event, error) bool) ending {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.BaseURL+"/v1/events?"+o.query().Encode(), nil)
	if err != nil {
		return ending{err: fmt.Errorf("client: make request: %w", err)}
	}
	r.Header.Set("Accept", "text/event-stream")
	if o.After != "" {
		r.Header.Set("Last-Event-ID", o.After)
	}
	res, err := c.do(r)
	if err != nil {
		return ending{err: err}
	}
	defer res.Body.Close()
	stream := newStream(res.Body, o.After)
	for {
		m, err := stream.next()
		o.After = stream.last // also of messages that carry nothing else
		end := ending{alive: true, retry: stream.retry}
		if errors.Is(err, io.EOF) {
			return end
		}
		if err != nil {
			end.err = &brokenError{fmt.Errorf("client: read events: %w", err)}
			return end
		}
		e, err := m.event()
		if err != nil {
			end.err = err
			return end
		}
		if !yield(e, nil) {
			end.enough = true
			return end
		}
	}
}

func (o *EventOptions) query() url.Values {
	q := url.Values{}
	if o.Run != "" {
		q.Set("run", o.Run)
	}
	for _, t := range o.Types {
		q.Add("type", string(t))
	}
	if o.Repository != "" {
		q.Set("repository", o.Repository)
	}
	if o.Context != "" {
		q.Set("context", string(o.Context))
	}
	return q
}

// event decodes a message of the stream.
func (m message) event() (Event, error) {
	e := Event{Position: m.id}
	if m.kind == GapEvent {
		e.Gap = &Gap{}
		if err := json.Unmarshal(m.data, e.Gap); err != nil {
			return e, fmt.Errorf("client: read gap %s: %w", strconv.Quote(m.id), err)
		}
		return e, nil
	}
	if err := json.Unmarshal(m.data, &e.Envelope); err != nil {
		return e, fmt.Errorf("client: read event %s: %w", strconv.Quote(m.id), err)
	}
	return e, nil
}
