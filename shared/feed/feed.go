// Package feed keeps the newest events for those who watch: the console, the
// event stream of the REST interface, a CLI that follows a run.
//
// It is a window, not the truth: what fell out of it still stands in the
// ledgers. Feed is the port; Memory keeps the window in this process,
// shared/redis keeps one for many. Both pass the suite in feedtest.
package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/relevo-ci/relevo/events"
)

// Position names a place in a feed, right behind one of its entries. It is
// opaque, a line of printable ASCII without blanks, and of use to the feed that
// gave it: another one (that of a process started anew, say) reports a gap.
type Position string

// Oldest is the place before all that a feed still has.
const Oldest Position = "0"

// ErrInvalid marks a position that no feed gives out.
var ErrInvalid = errors.New("feed: invalid position")

// Feed keeps events in the order of their recording. Its methods may be called
// by many at once; none waits for a reader.
type Feed interface {
	// Record keeps an event. One whose id the window holds already is passed
	// over, so recording may be repeated. An event that cannot be shown is
	// refused with events.ErrInvalid.
	Record(ctx context.Context, e events.Envelope) error
	// Last is the position of the newest entry: where those begin that want
	// only what is yet to come.
	Last(ctx context.Context) (Position, error)
	// Next reads up to n entries after a position, oldest first, and waits for
	// the first one. With the context's error nothing was missed: ask again from
	// the same position. ErrInvalid where it is none.
	Next(ctx context.Context, after Position, n int) (Batch, error)
}

// Batch is what Next read.
type Batch struct {
	Entries []Entry // one at least; for reading, they are shared
	// Gap tells that entries between the position asked for and the first one
	// here are gone, or that the position is of another feed. Missed counts
	// them, 0 where the feed cannot tell.
	Gap    bool
	Missed uint64
}

// Last is the position to go on from.
func (b Batch) Last() Position { return b.Entries[len(b.Entries)-1].Position }

// Entry is one event of a feed.
type Entry struct {
	Position Position
	Type     events.Type
	RunID    string // empty where the event is of no run
	// Frame is the event as a server-sent event, encoded once for all who read
	// it: id is the position, event the type, data the structured JSON of
	// CloudEvents.
	Frame []byte
}

// JSON is the event in the structured form of CloudEvents, a part of Frame.
func (e Entry) JSON() []byte {
	head := len(head(e.Position, e.Type))
	return e.Frame[head : len(e.Frame)-2]
}

// Envelope decodes the event.
func (e Entry) Envelope() (events.Envelope, error) {
	var env events.Envelope
	err := json.Unmarshal(e.JSON(), &env)
	return env, err
}

// Encode gives the data of an event's frame: what an implementation keeps.
func Encode(e events.Envelope) ([]byte, error) {
	if strings.ContainsAny(string(e.Type), "\r\n") {
		return nil, fmt.Errorf("%w: type %q", events.ErrInvalid, e.Type)
	}
	raw, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("%w: encode %s: %w", events.ErrInvalid, e.ID, err)
	}
	return raw, nil
}

// NewEntry puts an entry together of what Encode gave.
func NewEntry(p Position, t events.Type, runID string, raw []byte) Entry {
	h := head(p, t)
	frame := make([]byte, 0, len(h)+len(raw)+2)
	frame = append(append(append(frame, h...), raw...), "\n\n"...)
	return Entry{Position: p, Type: t, RunID: runID, Frame: frame}
}

func head(p Position, t events.Type) string {
	return "id: " + string(p) + "\nevent: " + string(t) + "\ndata: "
}

// Place is a position taken apart: the n-th entry of a generation, which is a
// feed's own name for itself. The zero Place is Oldest.
type Place struct {
	Generation string
	N          uint64
}

// Position is the place's name.
func (p Place) Position() Position {
	if p == (Place{}) {
		return Oldest
	}
	return Position(p.Generation + "." + strconv.FormatUint(p.N, 10))
}

// Valid tells whether p has the form of a position.
func (p Position) Valid() bool {
	_, err := p.Place()
	return err == nil
}

// Place takes a position apart: only the one form that Position writes, and
// Oldest; else ErrInvalid.
func (p Position) Place() (Place, error) {
	if p == Oldest {
		return Place{}, nil
	}
	i := strings.LastIndexByte(string(p), '.')
	if i < 1 || len(p) > 64 {
		return Place{}, fmt.Errorf("%w: %.70q", ErrInvalid, p)
	}
	n, err := strconv.ParseUint(string(p[i+1:]), 10, 64)
	at := Place{Generation: string(p[:i]), N: n}
	if err != nil || at.Position() != p || !plain(at.Generation) {
		return Place{}, fmt.Errorf("%w: %.70q", ErrInvalid, p)
	}
	return at, nil
}

func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
