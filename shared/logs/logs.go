// Package logs keeps what attempts wrote: one append-only log per attempt,
// named by run, job, attempt and fence, so that two attempts never mix.
//
// Store is the port. Memory and Files implement it here, shared/redis does for
// an installation of many processes; all pass the suite in logstest.
package logs

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/relevo-ci/relevo/events"
)

// Errors of a Store. Any other one means that the outcome is not known: repeat
// the call.
var (
	// ErrInvalid: the attempt's name, an offset or a size cannot be.
	ErrInvalid = errors.New("logs: invalid")
	// ErrClosed: the bytes lie beyond the size that the log was closed with.
	ErrClosed = errors.New("logs: closed")
	// ErrFull: a bounded store has no room. Remove runs, or raise the bound, then
	// repeat the call.
	ErrFull = errors.New("logs: full")
)

// Present, given to Close, closes a log at the length that it has.
const Present int64 = -1

// Store keeps logs. Every method may be repeated, and called by many at once.
type Store interface {
	// Append keeps data at offset and tells the log's length: what the writer
	// need not send again. Bytes that are there already are passed over, the
	// stored ones win. Where offset lies beyond the length nothing is kept, and
	// the length returned is where to send on from. A piece that reaches beyond
	// the size of a closed log is refused whole, with ErrClosed.
	Append(ctx context.Context, ref events.AttemptRef, offset int64, data []byte) (acknowledged int64, err error)
	// Read copies what is at offset into buf: n is 0 at the log's end and beyond
	// it, and for an attempt that has no log. size is the log's length; closed
	// tells that it will never grow again.
	Read(ctx context.Context, ref events.AttemptRef, offset int64, buf []byte) (n int, size int64, closed bool, err error)
	// Wait returns once the log is longer than offset or will never be, or with
	// the context's error.
	Wait(ctx context.Context, ref events.AttemptRef, offset int64) error
	// Close fixes the log's size: no less than its length, Present for just
	// that. Closing again can only lower it. A log with bytes missing up to its
	// size takes them, and counts as closed when it has them.
	Close(ctx context.Context, ref events.AttemptRef, size int64) error
	// Remove forgets every log of a run. Who waits for one goes on waiting, as
	// for a log that has not begun.
	Remove(ctx context.Context, run events.RunID) error
}

// open marks a log that was not closed.
const open int64 = -1

// Check refuses names that cannot be those of an attempt. They come from the
// network and become paths.
func Check(ref events.AttemptRef) error {
	if err := CheckRun(ref.Run); err != nil {
		return err
	}
	switch {
	case ref.Job == "" || len(ref.Job) > 1024:
		return fmt.Errorf("%w: job key %.40q", ErrInvalid, ref.Job)
	case ref.Attempt < 1:
		return fmt.Errorf("%w: attempt %d", ErrInvalid, ref.Attempt)
	}
	return nil
}

// CheckRun accepts a ULID in the one form that its generator writes.
func CheckRun(run events.RunID) error {
	if len(run) != 26 {
		return fmt.Errorf("%w: run %.40q is not a ULID", ErrInvalid, run)
	}
	for _, c := range string(run) {
		if !strings.ContainsRune("0123456789ABCDEFGHJKMNPQRSTVWXYZ", c) {
			return fmt.Errorf("%w: run %q is not a ULID", ErrInvalid, run)
		}
	}
	return nil
}

// piece finds what of data, at offset, is to be kept by a log of that length
// and limit: nothing where all is there already, and beyond a gap.
func piece(length, limit, offset int64, data []byte) (fresh []byte, err error) {
	end := offset + int64(len(data))
	switch {
	case offset < 0 || end < offset:
		return nil, fmt.Errorf("%w: offset %d", ErrInvalid, offset)
	case limit != open && end > limit:
		return nil, fmt.Errorf("%w: at %d bytes, refused up to %d", ErrClosed, limit, end)
	case offset > length || end <= length:
		return nil, nil
	}
	return data[length-offset:], nil
}

// closing is the limit of a log of that length and limit after a Close.
func closing(length, limit, size int64) (int64, error) {
	if size < Present {
		return 0, fmt.Errorf("%w: size %d", ErrInvalid, size)
	}
	size = max(size, length)
	if limit != open {
		size = min(size, limit)
	}
	return size, nil
}
