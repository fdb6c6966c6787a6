package cli

import (
	"bytes"
	"unicode/utf8"
)

// maxLine bounds what is kept of a line that does not end, in bytes: a longer
// one is cut into several.
const maxLine = 64 << 10

// splitter cuts an attempt's log into lines. A carriage return ends a line
// too: the next one would have been written over it.
type splitter struct {
	// line takes a line without its end, valid during the call. over tells that
	// it takes the place of the one before.
	line func(b []byte, over bool)

	part []byte // a line that has not ended
	over bool
}

func (s *splitter) write(p []byte) {
	for len(p) > 0 {
		n := bytes.IndexByte(p, '\n')
		switch {
		case n < 0:
			s.hold(p)
			return
		case len(s.part) > 0:
			s.hold(p[:n])
			s.end(s.part)
			s.part = s.part[:0]
		default:
			s.end(s.long(p[:n]))
		}
		p = p[n+1:]
	}
}

// flush ends a line that has no end.
func (s *splitter) flush() {
	if len(s.part) > 0 {
		s.end(s.part)
	}
	s.part = nil
}

// hold keeps a piece of a line until the rest comes. What it says before a
// carriage return is over already; but one at the end may belong to a newline
// that is yet to come.
func (s *splitter) hold(p []byte) {
	from := len(bytes.TrimRight(s.part, "\r")) // before it there is no return
	for len(p) > 0 {
		n := min(len(p), maxLine+1-len(s.part))
		s.part = append(s.part, p[:n]...)
		p = p[n:]
		if len(s.part) > maxLine {
			left := s.long(s.part)
			s.part = s.part[:copy(s.part, left)]
			from = 0
		}
	}
	text := bytes.TrimRight(s.part, "\r")
	if len(s.part) > len(text) {
		s.part = s.part[:len(text)+1] // many returns say what one says
	}
	if from >= len(text) {
		return
	}
	if i := bytes.LastIndexByte(text[from:], '\r'); i >= 0 {
		i += from
		s.returns(s.part[:i+1])
		s.part = s.part[:copy(s.part, s.part[i+1:])]
	}
}

// end passes on a line that ended with a newline.
func (s *splitter) end(b []byte) {
	b = bytes.TrimRight(b, "\r")
	if i := bytes.LastIndexByte(b, '\r'); i >= 0 {
		s.returns(b[:i+1])
		b = b[i+1:]
	}
	s.line(b, s.over)
	s.over = false
}

// returns passes on lines that ended with a carriage return each; empty ones
// say nothing.
func (s *splitter) returns(b []byte) {
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\r')
		if i > 0 {
			s.line(b[:i], s.over)
			s.over = true
		}
		b = b[i+1:]
	}
}

// long passes on all but the last piece of an overlong line.
func (s *splitter) long(b []byte) []byte {
	for len(b) > maxLine {
		n := boundary(b[:maxLine])
		s.end(b[:n])
		b = b[n:]
	}
	return b
}

// boundary is where to cut b, at most its length: not within a rune or an
// escape sequence.
func boundary(b []byte) int {
	const longest = 64 // escape sequences for colours are shorter
	n := len(b)
	if i := bytes.LastIndexByte(b[n-longest:], esc); i >= 0 {
		i += n - longest
		if size, _ := escape(b[i:]); i+size == n {
			return i
		}
	}
	for back := 1; back <= utf8.UTFMax; back++ {
		if utf8.RuneStart(b[n-back]) {
			if !utf8.FullRune(b[n-back:]) {
				return n - back
			}
			break
		}
	}
	return n
}
