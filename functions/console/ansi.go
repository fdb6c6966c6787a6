package console

import (
	"bytes"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// style is how a terminal would show text. Of colours it has the sixteen that
// every terminal names itself: so has this page, and they stay legible on dark
// and light.
type style struct {
	Fore, Back                           uint8 // 1 to 16; 0: as usual
	Bold, Faint, Italic, Under, Out, Inv bool
}

// segment is a piece of a line in one style.
type segment struct {
	Text  string
	Class string // of the stylesheet; empty: plain
}

// class names the style for the stylesheet.
func (s style) class() string {
	fore, back := s.Fore, s.Back
	if s.Inv {
		fore, back = back, fore
	}
	var b strings.Builder
	add := func(on bool, name string) {
		if !on {
			return
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(name)
	}
	add(fore > 0, "f"+strconv.Itoa(int(fore)))
	add(back > 0, "b"+strconv.Itoa(int(back)))
	add(s.Inv && fore == 0 && back == 0, "inv")
	add(s.Bold, "bold")
	add(s.Faint, "faint")
	add(s.Italic, "ital")
	add(s.Under, "und")
	add(s.Out, "out")
	return b.String()
}

const (
	escape = 0x1b
	// mostLine is how much of a line is shown, in characters: the rest is in the
	// file.
	mostLine = 4000
)

// lineWriter makes segments of a line's bytes.
type lineWriter struct {
	style style
	out   []segment
	text  strings.Builder
	count int
	marks int
	cut   bool
}

// paint gives a line in pieces, and the style that the next line begins in.
// Nothing that it gives is more than text: what moves a cursor, names a window
// or is no character is left out, or shown by a sign.
func paint(line []byte, from style) ([]segment, style) {
	w := &lineWriter{style: from}
	line = bytes.TrimRight(line, "\r\n")
	for len(line) > 0 {
		switch line[0] {
		case escape:
			n, sgr, ok := sequence(line)
			if ok {
				w.flush()
				w.style = w.style.apply(sgr)
			}
			line = line[n:]
		case '\r': // a bar that was drawn again and again: the last counts
			w.out, w.count, w.marks, w.cut = nil, 0, 0, false
			w.text.Reset()
			line = line[1:]
		case '\b':
			line = line[1:]
		default:
			r, n := utf8.DecodeRune(line)
			w.put(r)
			line = line[n:]
		}
	}
	w.flush()
	return w.out, w.style
}

func (w *lineWriter) put(r rune) {
	if w.cut {
		return
	}
	if w.count++; w.count > mostLine {
		w.cut = true
		w.text.WriteString(" … the rest of this line is in the file")
		return
	}
	if unicode.In(r, unicode.Mn, unicode.Me) {
		if w.marks++; w.marks > mostMarks {
			return
		}
	} else {
		w.marks = 0
	}
	if r == '\t' {
		w.text.WriteByte('\t')
		return
	}
	w.text.WriteString(seen(r))
}

func (w *lineWriter) flush() {
	if w.text.Len() == 0 {
		return
	}
	w.out = append(w.out, segment{w.text.String(), w.style.class()})
	w.text.Reset()
}

// sequence measures an escape sequence; of those that set a style it gives the
// numbers.
func sequence(b []byte) (n int, sgr string, ok bool) {
	if len(b) < 2 {
		return len(b), "", false
	}
	switch b[1] {
	case '[':
		for i := 2; i < len(b); i++ {
			if c := b[i]; c >= 0x40 && c <= 0x7e {
				return i + 1, string(b[2:i]), c == 'm'
			}
		}
		return len(b), "", false
	case ']', 'P', 'X', '^', '_': // strings for the terminal, up to their end
		for i := 2; i < len(b); i++ {
			if b[i] == 7 {
				return i + 1, "", false
			}
			if b[i] == escape && i+1 < len(b) && b[i+1] == '\\' {
				return i + 2, "", false
			}
		}
		return len(b), "", false
	}
	return 2, "", false
}

// apply takes the numbers of a sequence that sets a style.
func (s style) apply(sgr string) style {
	codes := strings.FieldsFunc(sgr, func(r rune) bool { return r == ';' || r == ':' })
	if len(codes) == 0 {
		return style{}
	}
	for i := 0; i < len(codes); i++ {
		code, err := strconv.Atoi(codes[i])
		if err != nil {
			continue
		}
		if code == 38 || code == 48 {
			colour, used := extended(codes[i+1:])
			i += used
			if code == 38 {
				s.Fore = colour
			} else {
				s.Back = colour
			}
			continue
		}
		s = s.set(code)
	}
	return s
}

func (s style) set(code int) style {
	switch {
	case code == 0:
		return style{}
	case code == 1:
		s.Bold = true
	case code == 2:
		s.Faint = true
	case code == 3:
		s.Italic = true
	case code == 4:
		s.Under = true
	case code == 7:
		s.Inv = true
	case code == 9:
		s.Out = true
	case code == 22:
		s.Bold, s.Faint = false, false
	case code == 23:
		s.Italic = false
	case code == 24:
		s.Under = false
	case code == 27:
		s.Inv = false
	case code == 29:
		s.Out = false
	case code >= 30 && code <= 37:
		s.Fore = uint8(code - 29)
	case code == 39:
		s.Fore = 0
	case code >= 40 && code <= 47:
		s.Back = uint8(code - 39)
	case code == 49:
		s.Back = 0
	case code >= 90 && code <= 97:
		s.Fore = uint8(code - 81)
	case code >= 100 && code <= 107:
		s.Back = uint8(code - 91)
	}
	return s
}

// extended reads a colour of 256, or of all, and gives the nearest of sixteen.
func extended(codes []string) (colour uint8, used int) {
	number := func(i int) int {
		if i >= len(codes) {
			return 0
		}
		n, _ := strconv.Atoi(codes[i]) // what is no number is black
		return min(max(n, 0), 255)
	}
	switch {
	case len(codes) == 0:
		return 0, 0
	case codes[0] == "5":
		n := number(1)
		switch {
		case n < 16:
			colour = uint8(n + 1)
		case n >= 232:
			level := 8 + (n-232)*10
			colour = nearest(level, level, level)
		default:
			n -= 16
			colour = nearest(n/36*51, n/6%6*51, n%6*51)
		}
		return colour, min(2, len(codes))
	case codes[0] == "2":
		return nearest(number(1), number(2), number(3)), min(4, len(codes))
	}
	return 0, 1
}

// nearest is the terminal's colour that is most like another.
func nearest(r, g, b int) uint8 {
	high, low := max(r, g, b), min(r, g, b)
	if high-low < 40 { // grey
		switch {
		case high < 60:
			return 1
		case high < 150:
			return 9
		case high < 230:
			return 8
		}
		return 16
	}
	half := (high + low) / 2
	bits := 0
	for i, v := range []int{r, g, b} {
		if v > half {
			bits |= 1 << i
		}
	}
	colour := uint8(bits + 1)
	if high > 200 {
		colour += 8
	}
	return colour
}

// plain is a line without what styles it, for searching.
func plain(line []byte) []byte {
	if bytes.IndexByte(line, escape) < 0 {
		return line
	}
	out := make([]byte, 0, len(line))
	for len(line) > 0 {
		if line[0] == escape {
			n, _, _ := sequence(line)
			line = line[n:]
			continue
		}
		out = append(out, line[0])
		line = line[1:]
	}
	return out
}

// lastStyle is the style after a line; quicker than paint.
func lastStyle(line []byte, from style) style {
	for {
		i := bytes.IndexByte(line, escape)
		if i < 0 {
			return from
		}
		n, sgr, ok := sequence(line[i:])
		if ok {
			from = from.apply(sgr)
		}
		line = line[i+n:]
	}
}
