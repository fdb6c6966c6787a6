// Package mask replaces secrets in a stream of bytes by three asterisks, also
// where a secret comes in pieces. Of the bytes that came it keeps back only
// those that may yet turn out to be the start of a secret.
package mask

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// Stars stand for a secret; for several that overlap or touch, once.
const Stars = "***"

// maxPatterns bounds the bytes of all patterns; an automaton takes some 24
// times as much memory.
const maxPatterns = 1 << 20

// ErrTooMuch: the secrets are too large to be looked for.
var ErrTooMuch = errors.New("mask: secrets too large")

// Set is what is to be masked. The zero value is empty; it may be used by many
// goroutines at once, and grow while its streams run.
type Set struct {
	mu   sync.Mutex
	size int
	now  atomic.Pointer[automaton]
}

// Add masks more values from now on, and the forms that they are likely to
// take in a log (see patterns). ErrTooMuch when that is more than can be
// looked for: then none of them is masked.
func (s *Set) Add(values ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var more []string
	size := s.size
	for _, v := range values {
		for _, p := range patterns(v) {
			more = append(more, p)
			size += len(p)
		}
	}
	if size > maxPatterns {
		return fmt.Errorf("%w: %d bytes with their encoded forms, at most %d", ErrTooMuch, size, maxPatterns)
	}
	if len(more) == 0 {
		return nil
	}
	s.size = size
	s.now.Store(s.now.Load().with(more))
	return nil
}

// Text masks a whole text.
func (s *Set) Text(text string) string {
	if s.now.Load() == nil {
		return text
	}
	stream := s.Stream()
	return string(stream.Flush(stream.Write(nil, []byte(text))))
}

// Stream begins a stream that is masked with what the set holds at each time.
func (s *Set) Stream() *Stream { return &Stream{set: s} }

// Stream masks what is written to it piece by piece. It belongs to one
// goroutine.
type Stream struct {
	set   *Set
	using *automaton
	state int32

	// held are the bytes from base on that may begin a secret: just what state
	// stands for.
	held []byte
	base int64
	// spans of secrets that end in held or right before it, in order, neither
	// overlapping nor touching. starred: the first one's asterisks are out.
	spans   []span
	starred bool
}

type span struct{ from, to int64 }

// Write masks p and appends to dst what can no longer be part of a secret.
func (s *Stream) Write(dst, p []byte) []byte {
	if now := s.set.now.Load(); now != s.using {
		s.using = now
		dst = s.readAgain(dst)
	}
	if s.using == nil {
		return append(dst, p...)
	}
	for len(p) > 0 {
		if s.state == 0 {
			if n := s.using.skip(p); n > 0 {
				dst = append(dst, p[:n]...)
				s.base += int64(n)
				s.spans, s.starred = s.spans[:0], false
				if p = p[n:]; len(p) == 0 {
					break
				}
			}
		}
		s.held = append(s.held, p[0])
		dst = s.advance(dst, p[0], s.base+int64(len(s.held)))
		p = p[1:]
	}
	return dst
}

// Flush ends the stream: what was kept back goes out.
func (s *Stream) Flush(dst []byte) []byte {
	dst = s.release(dst, len(s.held))
	s.state, s.spans, s.starred = 0, s.spans[:0], false
	return dst
}

// readAgain follows the held bytes through a new automaton. It finds again
// what the old one found, but for a secret that is partly out.
func (s *Stream) readAgain(dst []byte) []byte {
	s.state = 0
	if len(s.spans) > 0 {
		keep := 0
		if s.spans[0].from < s.base {
			keep = 1
		}
		s.spans = s.spans[:keep]
	}
	from, held := s.base, s.held
	s.held = append([]byte(nil), held...)
	for i, b := range held {
		dst = s.advance(dst, b, from+int64(i)+1)
	}
	return dst
}

// advance takes the next letter, which ends at the position given, and lets go
// of what no pattern can reach any more.
func (s *Stream) advance(dst []byte, letter byte, end int64) []byte {
	s.state = s.using.step(s.state, letter)
	n := &s.using.nodes[s.state]
	if n.match > 0 {
		s.add(span{end - int64(n.match), end})
	}
	return s.release(dst, int(end-int64(n.depth)-s.base))
}

// add joins a span with those that it overlaps or touches.
func (s *Stream) add(found span) {
	for len(s.spans) > 0 {
		last := s.spans[len(s.spans)-1]
		if last.to < found.from {
			break
		}
		found = span{min(found.from, last.from), max(found.to, last.to)}
		s.spans = s.spans[:len(s.spans)-1]
	}
	s.spans = append(s.spans, found)
}

// release lets go of the first n held bytes.
func (s *Stream) release(dst []byte, n int) []byte {
	if n == 0 {
		return dst
	}
	upTo := s.base + int64(n)
	for at := s.base; at < upTo; {
		next := upTo
		switch {
		case len(s.spans) == 0 || s.spans[0].from >= upTo:
			dst = append(dst, s.held[at-s.base:n]...)
		case at < s.spans[0].from:
			next = s.spans[0].from
			dst = append(dst, s.held[at-s.base:next-s.base]...)
		case at < s.spans[0].to:
			if !s.starred {
				dst = append(dst, Stars...)
				s.starred = true
			}
			next = min(upTo, s.spans[0].to)
		default: // past the span, and what touches it would be part of it
			s.spans = append(s.spans[:0], s.spans[1:]...)
			s.starred = false
			next = at
		}
		at = next
	}
	s.held = append(s.held[:0], s.held[n:]...)
	s.base = upTo
	return dst
}
