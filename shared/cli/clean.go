package cli

import (
	"strings"
	"unicode/utf8"
)

const (
	esc   = 0x1b
	reset = "\x1b[0m"
)

// harmless are the bytes that mean no more than themselves.
var harmless = func() (t [256]bool) {
	for c := ' '; c <= '~'; c++ {
		t[c] = true
	}
	t['\t'] = true
	return t
}()

// appendClean appends a line (without its end) and leaves out what could do
// more than show it: control characters, escape sequences, and with colour
// false those for colours too. Bytes that are not UTF-8 become U+FFFD.
func appendClean(dst, line []byte, colour bool) []byte {
	coloured := false
	for i := 0; i < len(line); {
		start := i
		for i < len(line) && harmless[line[i]] {
			i++
		}
		dst = append(dst, line[start:i]...)
		switch {
		case i == len(line):
		case line[i] == esc:
			n, sgr := escape(line[i:])
			if sgr && colour {
				dst = append(dst, line[i:i+n]...)
				coloured = true
			}
			i += n
		case line[i] < utf8.RuneSelf:
			i++
		default:
			r, n := utf8.DecodeRune(line[i:])
			if !hidden(r) {
				dst = utf8.AppendRune(dst, r)
			}
			i += n
		}
	}
	if coloured {
		dst = append(dst, reset...) // the next line is another job's
	}
	return dst
}

// hidden are the runes that control a terminal (C1), end a line or turn the
// direction of what follows.
func hidden(r rune) bool {
	switch {
	case r < 0xa0:
		return true
	case r < 0x61c:
		return false
	case r == 0x61c, r == 0xfeff:
		return true
	}
	return 0x2028 <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 || 0xfff9 <= r && r <= 0xfffb
}

// escape measures the escape sequence that b begins with (ECMA-48, section 5)
// and tells whether it sets colours. A string (OSC, DCS …) that does not end is
// only its introducer: the rest is text that somebody may want to read.
func escape(b []byte) (n int, sgr bool) {
	if len(b) < 2 {
		return 1, false
	}
	switch c := b[1]; {
	case c == '[':
		return control(b)
	case c == ']', c == 'P', c == 'X', c == '^', c == '_':
		return 2 + stringEnd(b[2:], c == ']'), false
	case 0x20 <= c && c <= 0x2f:
		i := span(b, 1, 0x20, 0x2f)
		if i < len(b) && 0x30 <= b[i] && b[i] <= 0x7e {
			i++
		}
		return i, false
	case 0x30 <= c && c <= 0x7e:
		return 2, false
	}
	return 1, false
}

// control measures a control sequence, ESC [ parameters intermediates final.
func control(b []byte) (n int, sgr bool) {
	params := span(b, 2, 0x30, 0x3f)
	i := span(b, params, 0x20, 0x2f)
	if i == len(b) || b[i] < 0x40 || b[i] > 0x7e {
		return i, false
	}
	// Private parameters, < = > ?, make it something else.
	return i + 1, b[i] == 'm' && i == params && span(b, 2, '0', ';') == params
}

// span is the end of the bytes from i on that lie between lo and hi.
func span(b []byte, i int, lo, hi byte) int {
	for i < len(b) && lo <= b[i] && b[i] <= hi {
		i++
	}
	return i
}

// stringEnd is where a control string ends, behind its terminator; 0 where it
// has none.
func stringEnd(b []byte, bell bool) int {
	for i, c := range b {
		switch {
		case c == 0x07 && bell:
			return i + 1
		case c == esc && i+1 < len(b) && b[i+1] == '\\':
			return i + 2
		case c == esc:
			return 0
		}
	}
	return 0
}

// oneLine makes a name or a reason fit to be part of a line.
func oneLine(s string) string {
	plain := true
	for i := range len(s) {
		plain = plain && harmless[s[i]] && s[i] != '\t'
	}
	if plain {
		return s
	}
	return strings.TrimSpace(string(appendClean(nil, []byte(blanks.Replace(s)), false)))
}

var blanks = strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ", "\t", " ")
