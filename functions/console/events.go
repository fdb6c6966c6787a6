package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
)

// eventsPage is the relay: who handed what to whom.
type eventsPage struct {
	Run     string
	Context string
	Lanes   []lane
	Rows    []eventRow // newest first
	After   string     // position of the newest
	Letters client.DeadLetters
	NoBox   bool // dead letters cannot be had
}

// lane is a context's.
type lane struct {
	Name, Href string
	On         bool
}

// eventRow is an event in a line.
type eventRow struct {
	ID      string    `json:"id"`
	Cause   string    `json:"cause,omitempty"`
	Lane    int       `json:"lane"`
	Name    string    `json:"name"`
	From    string    `json:"from"`
	Subject string    `json:"subject"`
	Run     string    `json:"run,omitempty"`
	Time    time.Time `json:"time"`
	Clock   string    `json:"clock"`
	Class   string    `json:"class"`
}

// contexts are the lanes, in the order in which a job passes them.
var contexts = []events.Context{events.Triggers, events.Pipeline, events.Scheduler, events.Provider, events.Execution, events.Artifact, events.Telemetry, events.Access}

const recentEvents = 120

// showEvents shows the relay as it stands; the script goes on from there.
func (c *Console) showEvents(r *http.Request) (view, error) {
	q := r.URL.Query()
	p := eventsPage{Run: q.Get("run"), Context: q.Get("context")}
	for _, n := range contexts {
		to := string(n)
		if to == p.Context {
			to = ""
		}
		p.Lanes = append(p.Lanes, lane{string(n), address("/events", "run", p.Run, "context", to), string(n) == p.Context})
	}
	var err error
	if p.Rows, p.After, err = c.recent(r.Context(), client.EventOptions{Run: p.Run, Context: events.Context(p.Context)}); err != nil {
		return view{}, err
	}
	if p.Letters, err = c.api.DeadLetters(r.Context(), 50); err != nil {
		p.NoBox = true // not for this caller, or nobody keeps them
	}
	return view{Page: "events", Title: "Events", Tab: "events", Data: p}, nil
}

// recent gives the newest events that the feed has. It knows that it has them
// all when nothing more comes for a moment.
func (c *Console) recent(ctx context.Context, o client.EventOptions) (rows []eventRow, after string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	o.After = client.Oldest
	news, failed := c.listen(ctx, o)
	still := time.NewTimer(300 * time.Millisecond)
	defer still.Stop()
	for {
		select {
		case e := <-news:
			after = e.Position
			if e.Gap == nil {
				if rows = append(rows, eventLine(e)); len(rows) > 2*recentEvents {
					rows = slices.Clone(rows[recentEvents:])
				}
			}
			still.Reset(60 * time.Millisecond)
		case err := <-failed:
			if ctx.Err() == nil {
				return nil, "", err
			}
		case <-still.C:
			rows = rows[max(0, len(rows)-recentEvents):]
			slices.Reverse(rows)
			return rows, after, nil
		}
	}
}

// listen follows the api's stream until ctx ends.
func (c *Console) listen(ctx context.Context, o client.EventOptions) (<-chan client.Event, <-chan error) {
	news := make(chan client.Event, 64)
	failed := make(chan error, 1)
	go func() {
		for e, err := range c.api.Events(ctx, o) {
			if err != nil {
				failed <- err
				return
			}
			select {
			case news <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	return news, failed
}

// eventLine is what of an event stands in its line.
func eventLine(e client.Event) eventRow {
	name := strings.TrimSuffix(strings.TrimPrefix(string(e.Type), "dev.relevo."), ".v1")
	of, rest, _ := strings.Cut(name, ".")
	row := eventRow{
		ID: e.ID, Cause: e.CauseID, Lane: slices.Index(contexts, events.Context(of)), Name: visible(rest),
		From: visible(strings.TrimPrefix(e.Source, "/relevo/")), Subject: visible(subject(e.Subject)), Run: e.RunID, Time: e.Time,
		Clock: e.Time.UTC().Format("15:04:05.000"), Class: tone(rest),
	}
	row.Lane = max(row.Lane, 0)
	return row
}

var longID = regexp.MustCompile(`^([0-9A-Z]{26}|[0-9a-z]{26})$`)

// subject leaves out what repeats: of a run's id its last characters tell it
// from others. Names stay whole.
func subject(s string) string {
	parts := strings.Split(s, "/")
	for i, p := range parts {
		if longID.MatchString(p) {
			parts[i] = "…" + p[len(p)-6:]
		}
	}
	return strings.Join(parts, " ")
}

// tone is the colour of what an event tells.
func tone(name string) string {
	switch name[strings.LastIndexByte(name, '.')+1:] {
	case "completed", "accepted", "matched", "granted", "published":
		return "ok"
	case "failed", "refused", "expired":
		return "bad"
	case "started", "created", "scheduled":
		return "run"
	case "terminated", "retried":
		return "infra"
	}
	return "off"
}

// relay is the stream of the relay's lines, for the script.
func (c *Console) relay(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	o := client.EventOptions{Run: q.Get("run"), Context: events.Context(q.Get("context")), After: r.Header.Get("Last-Event-ID")}
	if o.After == "" {
		o.After = q.Get("after")
	}
	ctx, cancel := context.WithTimeout(r.Context(), c.Life)
	defer cancel()
	defer context.AfterFunc(c.closing, cancel)()
	news, failed := c.listen(ctx, o)
	s := &liveStream{w: w, control: http.NewResponseController(w)}
	alive := time.NewTicker(beat)
	defer alive.Stop()
	err := s.write(": here\n\n")
	for err == nil {
		select {
		case <-ctx.Done():
			_ = s.write("retry: 500\n\n")
			return
		case <-failed:
			return
		case <-alive.C:
			err = s.write(": alive\n\n")
		case e := <-news:
			err = s.relate(e)
		}
	}
}

func (s *liveStream) relate(e client.Event) error {
	if e.Gap != nil {
		return s.write(fmt.Sprintf("id: %s\nevent: gap\ndata: %d\n\n", e.Position, e.Gap.Missed))
	}
	raw, err := json.Marshal(eventLine(e))
	if err != nil {
		return err
	}
	return s.write(fmt.Sprintf("id: %s\nevent: line\ndata: %s\n\n", e.Position, raw))
}
