// Package deadletter keeps the events that could not be delivered, for people
// and for sending again: the truth stands in the ledgers, and what a run waits
// for the clock sends again by itself.
//
// A Box is a partition of the store, so that it is the same for a Knative
// broker's dead-letter sink and for the bus of a single process.
package deadletter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// Letter is an event that one destination did not take.
type Letter struct {
	// ID follows from the event's source and id, and the destination.
	ID string `json:"id"`
	// Event as structured JSON, with whatever extensions and payload it has.
	Event json.RawMessage `json:"event"`
	// Destination is the address or the name of what did not take it; empty where
	// that is not known.
	Destination string `json:"destination,omitempty"`
	// Code is the HTTP status that it answered with, 0 for none.
	Code int `json:"code,omitempty"`
	// Error is what it said, or why it could not be asked.
	Error string `json:"error,omitempty"`
	// First and Last are when it became a dead letter, Count how often.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	Count int       `json:"count"`
	// Replayed is when it was sent again; zero where it is yet to be, or failed
	// again since.
	Replayed time.Time `json:"replayed,omitzero"`
}

// Attributes are what a list shows of a letter's event.
type Attributes struct {
	ID      string      `json:"id"`
	Source  string      `json:"source"`
	Type    events.Type `json:"type"`
	Subject string      `json:"subject"`
	RunID   string      `json:"runid"`
}

// Attributes reads those of the event; what cannot be read is empty.
func (l Letter) Attributes() Attributes {
	var a Attributes
	_ = json.Unmarshal(l.Event, &a) // Add looked at it
	return a
}

// Box keeps letters. The zero values of its bounds mean the defaults. It may be
// used by many at once, and by many processes.
type Box struct {
	Store protocol.Store
	// Most letters that it keeps; the one that was added longest ago goes first:
	// 1,000.
	Most int
	// Bytes that their events may have together; the newest is kept whatever its
	// size: 64 MiB.
	Bytes int64
	// Send delivers a letter's event again: to its destination, or to all that
	// subscribe to it where that is not known. It returns when it was taken.
	Send func(ctx context.Context, l Letter) error
}

// Partition is the box's own. The colon tells that it is no runs'.
const Partition protocol.Partition = "dead:letters"

const (
	kind    = "letter/"
	counted = protocol.DocID("index/letters")
	tries   = 16 // of a commit that others conflict with
)

func docOf(id string) protocol.DocID { return protocol.DocID(kind + id) }

// tally is what is known of all letters together.
type tally struct {
	Bytes   int64 `json:"bytes"`
	Dropped int   `json:"dropped"`
}

// Add keeps a letter, once: added again it counts, and is open again if it had
// been replayed. ID, First, Last, Count and Replayed are set here. fn.Invalid
// where the event has no id, source and type.
func (b *Box) Add(ctx context.Context, l Letter) (Letter, error) {
	a := l.Attributes()
	if a.ID == "" || a.Source == "" || a.Type == "" {
		return Letter{}, fn.Faultf(fn.Invalid, "deadletter: add: %w: an event needs id, source and type", events.ErrInvalid)
	}
	l.ID = events.DeriveID("deadletter", a.Source, a.ID, l.Destination)
	err := b.again(ctx, func() error { return b.add(ctx, &l) })
	if err != nil {
		return Letter{}, fmt.Errorf("deadletter: add %s: %w", a.ID, err)
	}
	return l, nil
}

// again decides once more after a conflict.
func (b *Box) again(ctx context.Context, once func() error) error {
	for try := 1; ; try++ {
		err := once()
		if err == nil || !errors.Is(err, protocol.ErrConflict) || try == tries || ctx.Err() != nil {
			return err
		}
	}
}

func (b *Box) add(ctx context.Context, l *Letter) error {
	docs, moment, err := b.Store.Load(ctx, Partition, docOf(l.ID), counted)
	if err != nil {
		return err
	}
	known, err := parse(docs[0])
	if err != nil {
		return err
	}
	total, err := count(docs[1])
	if err != nil {
		return err
	}
	l.First, l.Last, l.Count, l.Replayed = moment.Now, moment.Now, 1, time.Time{}
	if known != nil {
		l.First, l.Count = known.First, known.Count+1
		total.Bytes -= int64(len(known.Event))
	}
	total.Bytes += int64(len(l.Event))
	c := protocol.Commit{Partition: Partition, Epoch: moment.Epoch}
	c.Queue = []protocol.QueueOp{{Member: l.ID, Score: -float64(l.Last.UnixMilli())}}
	if err := b.drop(ctx, &c, &total, l.ID); err != nil {
		return err
	}
	if err := put(&c, docs[0], l); err != nil {
		return err
	}
	if err := put(&c, docs[1], total); err != nil {
		return err
	}
	_, err = b.Store.Commit(ctx, c)
	return err
}

// drop lets the oldest letters go that there is no room for beside a new one.
func (b *Box) drop(ctx context.Context, c *protocol.Commit, total *tally, adding string) error {
	most, bytes := cmp.Or(b.Most, 1000), cmp.Or(b.Bytes, 64<<20)
	ids, length, err := b.Store.Head(ctx, Partition, most+16) // newest first
	if err == nil && length > len(ids) {
		ids, _, err = b.Store.Head(ctx, Partition, length) // it may hold less than it did
	}
	if err != nil {
		return err
	}
	others := 0
	for _, id := range ids {
		if id != adding {
			others++
		}
	}
	for i := len(ids) - 1; i >= 0 && (others+1 > most || total.Bytes > bytes); i-- {
		if ids[i] == adding {
			continue
		}
		docs, _, err := b.Store.Load(ctx, Partition, docOf(ids[i]))
		if err != nil {
			return err
		}
		old, err := parse(docs[0])
		if err != nil {
			return err
		}
		c.Queue = append(c.Queue, protocol.QueueOp{Member: ids[i], Remove: true})
		others--
		total.Dropped++
		if old != nil {
			total.Bytes -= int64(len(old.Event))
			c.Puts = append(c.Puts, protocol.Doc{ID: docs[0].ID, Version: docs[0].Version + 1})
		}
	}
	return nil
}

func put(c *protocol.Commit, over protocol.Doc, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	c.Puts = append(c.Puts, protocol.Doc{ID: over.ID, Version: over.Version + 1, Body: raw})
	return nil
}

// parse reads a letter; nil where there is none.
func parse(d protocol.Doc) (*Letter, error) {
	if d.Version == 0 {
		return nil, nil
	}
	l := &Letter{}
	if err := json.Unmarshal(d.Body, l); err != nil {
		return nil, fmt.Errorf("decode %s: %w", d.ID, err)
	}
	return l, nil
}

func count(d protocol.Doc) (tally, error) {
	var t tally
	if d.Version == 0 {
		return t, nil
	}
	if err := json.Unmarshal(d.Body, &t); err != nil {
		return t, fmt.Errorf("decode %s: %w", d.ID, err)
	}
	return t, nil
}
