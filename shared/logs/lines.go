package logs

import (
	"bytes"
	"context"
	"errors"
	"sort"

	"github.com/relevo-ci/relevo/events"
)

// Every is how many lines stand between two that the index knows.
const Every = 1000

// Lines is a sparse index of a log's lines: where each thousandth begins. It
// makes any line of a million cheap to find. The zero value is that of an empty
// log.
type Lines struct {
	// Offsets of the lines 1, 1001, 2001 …, in bytes.
	Offsets []int64 `json:"offsets"`
	// Count is how many lines there are; the last one may have no end yet.
	Count int64 `json:"count"`
	// Size is how many bytes were looked at.
	Size int64 `json:"size"`

	within bool // the last line has no end yet
}

// Add looks at the bytes that follow.
func (l *Lines) Add(data []byte) {
	for len(data) > 0 {
		if !l.within {
			if l.Count%Every == 0 {
				l.Offsets = append(l.Offsets, l.Size)
			}
			l.Count++
		}
		end := bytes.IndexByte(data, '\n') + 1
		if l.within = end == 0; l.within {
			end = len(data)
		}
		l.Size += int64(end)
		data = data[end:]
	}
}

// Before is the last line that the index knows of those up to a line, from 1, and
// where it begins.
func (l *Lines) Before(line int64) (known, offset int64) {
	i := min((line-1)/Every, int64(len(l.Offsets))-1)
	if i < 0 {
		return 1, 0
	}
	return i*Every + 1, l.Offsets[i]
}

// From is the first line that the index knows of those that begin at an offset or
// behind it; false where there is none.
func (l *Lines) From(offset int64) (known, at int64, ok bool) {
	i := sort.Search(len(l.Offsets), func(i int) bool { return l.Offsets[i] >= offset })
	if i == len(l.Offsets) {
		return 0, 0, false
	}
	return int64(i)*Every + 1, l.Offsets[i], true
}

// Index looks through a log and makes the index of what there is of it. What is
// lost of it counts as one line.
func Index(ctx context.Context, s Store, ref events.AttemptRef) (Lines, error) {
	var l Lines
	err := Each(ctx, s, ref, 0, func(data []byte, lost *Gap) (bool, error) {
		if lost != nil {
			l.Add([]byte{'\n'})
			l.Size = lost.To
		}
		l.Add(data)
		return true, nil
	})
	return l, err
}

// Each gives f what there is of a log from an offset on, piece by piece, until it
// says that it has enough. Of bytes that are lost it is given the gap alone.
func Each(ctx context.Context, s Store, ref events.AttemptRef, offset int64, f func(data []byte, lost *Gap) (more bool, err error)) error {
	buf := make([]byte, 256<<10)
	for {
		n, _, _, err := s.Read(ctx, ref, offset, buf)
		var lost *Gap
		if errors.As(err, &lost) {
			n, err = 0, nil
		}
		if err != nil {
			return err
		}
		if n == 0 && lost == nil {
			return nil
		}
		more, err := f(buf[:n], lost)
		if err != nil || !more {
			return err
		}
		if offset += int64(n); lost != nil {
			offset = max(offset, lost.To)
		}
	}
}
