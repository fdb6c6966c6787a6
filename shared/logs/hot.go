package logs

import (
	"context"
	"errors"
	"fmt"

	"github.com/relevo-ci/relevo/events"
)

// ErrMoved: the store knows how long a closed log is, and no longer has its bytes.
var ErrMoved = errors.New("logs: moved")

// Hot is a store whose closed logs can be moved to where there is more room. It
// goes on knowing how long they are, so that late repeats of a writer are
// answered as before.
type Hot interface {
	Store
	// Closed names up to limit logs that will never grow again and whose bytes are
	// here, about in the order of their ends.
	Closed(ctx context.Context, limit int) ([]events.AttemptRef, error)
	// Drop forgets the bytes of a closed log; Read gives ErrMoved where they are
	// asked for. Of a log that is open it is refused with ErrInvalid.
	Drop(ctx context.Context, ref events.AttemptRef) error
	// Room tells how many bytes are kept, and how many may be; 0: any number.
	Room(ctx context.Context) (used, most int64, err error)
}

// Gap is an error of Read: the bytes at the offset, up to To, are lost. What
// follows may be there: read on from To.
type Gap struct {
	// From is the first byte that is lost, To the first one after.
	From, To int64
}

// Error says it for people.
func (g *Gap) Error() string { return fmt.Sprintf("logs: bytes %d to %d are missing", g.From, g.To) }

// Mark is what stands in the place of the bytes, without the line's end.
func (g *Gap) Mark() string { return fmt.Sprintf("[relevo: bytes %d–%d are missing]", g.From, g.To) }

// Inspector tells more of logs than a Store does.
type Inspector interface {
	// Gaps are what is lost of a log, in order, those that touch joined.
	Gaps(ctx context.Context, ref events.AttemptRef) ([]Gap, error)
	// Lines is the index of a log's lines; of an open log of those that are there.
	Lines(ctx context.Context, ref events.AttemptRef) (Lines, error)
}
