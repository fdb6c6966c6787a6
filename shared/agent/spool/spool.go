// Package spool keeps the part of a log that nobody has acknowledged yet: a
// few megabytes in memory, the rest in a file. It is bounded: who appends to a
// full spool waits.
package spool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// memoryMax bounds what is kept in memory, in bytes.
const memoryMax = 4 << 20

// ErrClosed: nothing will ever be read from the spool again.
var ErrClosed = errors.New("spool: closed")

// Spool holds the bytes of a log from base, up to which it is acknowledged, to
// end. Memory and file are rings, so that a spool that never runs dry does not
// grow either. All methods may be called by many goroutines.
type Spool struct {
	dir   string
	max   int64
	grown chan struct{}

	mu     sync.Mutex
	room   sync.Cond
	closed bool
	base   int64
	// [base, split) is in memory, [split, end) in the file. Memory is used
	// again once the file is read empty.
	split   int64
	end     int64
	memory  []byte
	file    *os.File
	trouble error // of the file, while it lasts
}

// New makes a spool of at most max bytes whose file, when one is needed, lies
// in dir. The file has no name: it ends with the process.
func New(dir string, limit int64) *Spool {
	limit = max(limit, 1)
	s := &Spool{dir: dir, max: limit, grown: make(chan struct{}, 1), memory: make([]byte, min(limit, memoryMax))}
	s.room.L = &s.mu
	return s
}

// Append adds p, waiting for room. Where the file cannot be written it waits
// for memory instead. ErrClosed after Close; then part of p may be kept.
func (s *Spool) Append(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(p) > 0 {
		if s.closed {
			return ErrClosed
		}
		n := s.put(p)
		if n == 0 {
			s.room.Wait()
			continue
		}
		p = p[n:]
		s.end += int64(n)
		select {
		case s.grown <- struct{}{}:
		default:
		}
	}
	return nil
}

// put stores as much of p as has room in one piece.
func (s *Spool) put(p []byte) int {
	if s.split == s.end {
		if n := writeRing(s.memory, s.end, p, int64(len(s.memory))-(s.end-s.base)); n > 0 {
			s.split += int64(n)
			return n
		}
	}
	if s.max <= int64(len(s.memory)) {
		return 0
	}
	at := s.end % s.max
	n := min(int64(len(p)), s.max-(s.end-s.base), s.max-at)
	if n == 0 {
		return 0
	}
	if s.trouble = s.write(p[:n], at); s.trouble != nil {
		return 0
	}
	return int(n)
}

func (s *Spool) write(p []byte, at int64) error {
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, "spool-*")
		if err != nil {
			return fmt.Errorf("spool: make file: %w", err)
		}
		_ = os.Remove(f.Name())
		s.file = f
	}
	if _, err := s.file.WriteAt(p, at); err != nil {
		return fmt.Errorf("spool: write: %w", err)
	}
	return nil
}

// writeRing copies at most room bytes of p into a ring, at a log's offset.
func writeRing(ring []byte, offset int64, p []byte, room int64) int {
	p = p[:min(int64(len(p)), room)]
	at := offset % int64(len(ring))
	n := copy(ring[at:], p)
	return n + copy(ring, p[n:])
}

// ReadAt copies what is at offset into p, less at the end of the spool. What
// was acknowledged, or cannot be read back, is replaced by a remark of the
// same length: offsets are never wrong.
func (s *Spool) ReadAt(p []byte, offset int64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	p = p[:max(0, min(int64(len(p)), s.end-offset))]
	for done := 0; done < len(p); {
		done += s.get(p[done:], offset+int64(done))
	}
	return len(p)
}

// get reads one piece, up to where the storage changes.
func (s *Spool) get(p []byte, offset int64) int {
	switch {
	case offset < s.base:
		n := int(min(int64(len(p)), s.base-offset))
		remark(p[:n])
		return n
	case offset < s.split:
		at := offset % int64(len(s.memory))
		return copy(p[:min(int64(len(p)), s.split-offset)], s.memory[at:])
	}
	at := offset % s.max
	p = p[:min(int64(len(p)), s.max-at)]
	if n, err := s.file.ReadAt(p, at); n < len(p) && err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		remark(p[n:])
	}
	return len(p)
}

// remark fills a hole in the log.
func remark(p []byte) {
	for i := range p {
		p[i] = '.'
	}
	copy(p, "\n(this part of the log was lost) ")
	if len(p) > 0 {
		p[len(p)-1] = '\n'
	}
}

// Acknowledge drops everything before offset.
func (s *Spool) Acknowledge(offset int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	offset = min(offset, s.end)
	if offset <= s.base {
		return
	}
	s.base = offset
	s.split = max(s.split, s.base)
	if s.base == s.end && s.file != nil {
		// Give the disk back; the next use grows the file anew.
		_ = s.file.Truncate(0)
	}
	s.room.Broadcast()
}

// Bounds tells up to where the log was acknowledged, and its length.
func (s *Spool) Bounds() (base, end int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.base, s.end
}

// Max is how much the spool holds.
func (s *Spool) Max() int64 { return s.max }

// Trouble is why the file cannot be written, while that is so.
func (s *Spool) Trouble() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trouble
}

// Grown receives after appends, once for several.
func (s *Spool) Grown() <-chan struct{} { return s.grown }

// Close lets go of everything and ends the waiting of whoever appends.
func (s *Spool) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	if s.file != nil {
		_ = s.file.Close()
	}
	s.room.Broadcast()
}
