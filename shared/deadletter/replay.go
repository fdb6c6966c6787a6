package deadletter

import (
	"context"
	"errors"
	"fmt"

	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// Listing is some of the letters.
type Listing struct {
	Letters []Letter // the one that was added last first
	Kept    int      // how many there are in all
	Dropped int      // how many had to go for lack of room, ever
}

// List gives up to n letters.
func (b *Box) List(ctx context.Context, n int) (Listing, error) {
	ids, kept, err := b.Store.Head(ctx, Partition, n)
	if err != nil {
		return Listing{}, fmt.Errorf("deadletter: list: %w", err)
	}
	wanted := make([]protocol.DocID, 0, len(ids)+1)
	for _, id := range ids {
		wanted = append(wanted, docOf(id))
	}
	docs, _, err := b.Store.Load(ctx, Partition, append(wanted, counted)...)
	if err != nil {
		return Listing{}, fmt.Errorf("deadletter: list: %w", err)
	}
	total, err := count(docs[len(ids)])
	list := Listing{Kept: kept, Dropped: total.Dropped}
	for _, d := range docs[:len(ids)] {
		l, wrong := parse(d)
		if l != nil {
			list.Letters = append(list.Letters, *l)
		}
		err = errors.Join(err, wrong)
	}
	if err != nil {
		return Listing{}, fmt.Errorf("deadletter: list: %w", err)
	}
	return list, nil
}

// Letter gives one; fn.NotFound where there is none.
func (b *Box) Letter(ctx context.Context, id string) (Letter, error) {
	l, _, err := b.look(ctx, id)
	if err != nil {
		return Letter{}, fmt.Errorf("deadletter: look at %s: %w", id, err)
	}
	return l, nil
}

// found is how a letter was found.
type found struct {
	doc, counted protocol.Doc
	moment       protocol.Moment
}

func (b *Box) look(ctx context.Context, id string) (Letter, found, error) {
	docs, moment, err := b.Store.Load(ctx, Partition, docOf(id), counted)
	if err != nil {
		return Letter{}, found{}, err
	}
	l, err := parse(docs[0])
	if err != nil {
		return Letter{}, found{}, err
	}
	if l == nil {
		return Letter{}, found{}, fn.Faultf(fn.NotFound, "there is no such letter")
	}
	return *l, found{docs[0], docs[1], moment}, nil
}

// ErrRefused is what Replay returns where the event failed again; the letter
// that it returns says how.
var ErrRefused = errors.New("deadletter: it failed again")

// Replay sends a letter's event again and marks it; one that is marked is left
// alone. fn.NotFound where there is none. An event that comes back as a dead
// letter, meanwhile or later, is open again.
func (b *Box) Replay(ctx context.Context, id string) (Letter, error) {
	l, at, err := b.look(ctx, id)
	if err != nil {
		return Letter{}, fmt.Errorf("deadletter: replay %s: %w", id, err)
	}
	if !l.Replayed.IsZero() {
		return l, nil
	}
	refused := b.Send(ctx, l)
	if refused == nil {
		l.Replayed = at.moment.Now
	} else {
		l.Last, l.Count, l.Code, l.Error = at.moment.Now, l.Count+1, 0, refused.Error()
	}
	c := protocol.Commit{Partition: Partition}
	if err := put(&c, at.doc, l); err != nil {
		return Letter{}, fmt.Errorf("deadletter: replay %s: %w", id, err)
	}
	switch _, err = b.Store.Commit(ctx, c); {
	case errors.Is(err, protocol.ErrConflict):
		// It came back while it was sent, or another replayed it: that stands.
		l, err = b.Letter(ctx, id)
		if err == nil && refused != nil {
			err = fmt.Errorf("%w: %w", ErrRefused, refused)
		}
		return l, err
	case err != nil:
		return Letter{}, fmt.Errorf("deadletter: replay %s: %w", id, errors.Join(refused, err))
	}
	if refused != nil {
		return l, fmt.Errorf("%w: %w", ErrRefused, refused)
	}
	return l, nil
}

// Discard drops a letter for good; fn.NotFound where there is none.
func (b *Box) Discard(ctx context.Context, id string) error {
	err := b.again(ctx, func() error {
		l, at, err := b.look(ctx, id)
		if err != nil {
			return err
		}
		total, err := count(at.counted)
		if err != nil {
			return err
		}
		total.Bytes -= int64(len(l.Event))
		c := protocol.Commit{
			Partition: Partition,
			Puts:      []protocol.Doc{{ID: at.doc.ID, Version: at.doc.Version + 1}},
			Queue:     []protocol.QueueOp{{Member: id, Remove: true}},
		}
		if err := put(&c, at.counted, total); err != nil {
			return err
		}
		_, err = b.Store.Commit(ctx, c)
		return err
	})
	if err != nil {
		return fmt.Errorf("deadletter: discard %s: %w", id, err)
	}
	return nil
}
