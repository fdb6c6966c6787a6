package cli

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// vt is as much of a terminal as the tree needs: rows of cells, a cursor, what
// scrolled off the top. Anything that it does not know it remembers as a fault.
type vt struct {
	mu         sync.Mutex
	cols, rows int
	lines      [][]string // from the oldest scrolled off to the last of the screen
	top        int        // index of the screen's first row
	x, y       int        // y counts from top
	hidden     bool
	wrap       bool
	wrapped    map[int]bool // rows that go on in the next
	styles     map[string]int
	writes     int
	bytes      int
	faults     []string
}

func newVT(cols, rows int) *vt {
	v := &vt{cols: cols, rows: rows, wrap: true, wrapped: map[int]bool{}, styles: map[string]int{}}
	v.grow()
	return v
}

func (v *vt) size() (cols, rows int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.cols, v.rows
}

func (v *vt) grow() {
	for len(v.lines) < v.top+v.rows {
		v.lines = append(v.lines, nil)
	}
}

func (v *vt) fault(format string, args ...any) {
	v.faults = append(v.faults, fmt.Sprintf(format, args...))
}

func (v *vt) Write(p []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.writes++
	v.bytes += len(p)
	for s := string(p); s != ""; {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == esc:
			n = v.escape(s)
		case r == '\r':
			v.x = 0
		case r == '\n':
			v.down()
		case r == utf8.RuneError && n == 1 || r < ' ' || r == 0x7f:
			v.fault("control character %q", s[:n])
		default:
			v.put(s[:n], widths.RuneWidth(r))
		}
		s = s[n:]
	}
	return len(p), nil
}

func (v *vt) down() {
	v.y++
	if v.y == v.rows {
		v.y--
		v.top++
		v.grow()
	}
}

func (v *vt) put(s string, wide int) {
	if wide == 0 {
		if row := v.lines[v.top+v.y]; v.x > 0 && v.x <= len(row) {
			row[v.x-1] += s
		}
		return
	}
	if v.x+wide > v.cols {
		if v.wrap {
			v.wrapped[v.top+v.y] = true
			v.x = 0
			v.down()
		} else {
			v.fault("a line is too wide: %q at its end", s)
			v.x = v.cols - wide
		}
	}
	row := v.lines[v.top+v.y]
	for len(row) < v.x+wide {
		row = append(row, " ")
	}
	row[v.x] = s
	for i := 1; i < wide; i++ {
		row[v.x+i] = ""
	}
	v.lines[v.top+v.y] = row
	v.x += wide
}

// escape obeys a sequence and tells its length.
func (v *vt) escape(s string) int {
	end := 2
	for end < len(s) && (s[end] < 0x40 || s[end] > 0x7e) {
		end++
	}
	if len(s) < 3 || s[1] != '[' || end == len(s) {
		v.fault("escape sequence %q", s[:min(len(s), 8)])
		return 1
	}
	arg, final := s[2:end], s[end]
	switch {
	case final == 'A':
		n, err := strconv.Atoi(arg)
		if err != nil {
			v.fault("up by %q", arg)
		}
		v.y = max(0, v.y-n)
	case final == 'K' && arg == "":
		// As in tmux, what is cleared behind a text still counts as a part of it.
		row := v.lines[v.top+v.y]
		for i := v.x; i < len(row); i++ {
			row[i] = " "
		}
		if v.x == 0 {
			v.lines[v.top+v.y] = nil
		}
	case final == 'J' && arg == "":
		if v.x == 0 && v.y == 0 {
			v.fault("the whole screen is cleared: tmux makes history of it")
		}
		v.lines[v.top+v.y] = v.lines[v.top+v.y][:min(v.x, len(v.lines[v.top+v.y]))]
		for i := v.top + v.y + 1; i < len(v.lines); i++ {
			v.lines[i] = nil
		}
	case final == 'm':
		v.styles[arg]++
	case arg == "?25" && (final == 'l' || final == 'h'):
		v.hidden = final == 'l'
	case arg == "?7" && (final == 'l' || final == 'h'):
		v.wrap = final == 'h'
	default:
		v.fault("control sequence %q", s[:end+1])
	}
	return end + 1
}

// resize changes the size as terminals with reflow do: rows that no longer fit
// are continued in the next.
func (v *vt) resize(cols, rows int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	at := v.top + v.y
	var lines [][]string
	for i, row := range v.lines[:at] {
		for len(row) > cols {
			lines = append(lines, row[:cols:cols])
			row = row[cols:]
		}
		lines = append(lines, row)
		if v.wrapped[i] {
			v.fault("a wrapped row: joining rows is beyond this terminal")
		}
	}
	v.cols, v.rows = cols, rows
	v.lines = append(lines, v.lines[at])
	v.top = max(0, len(v.lines)-rows)
	v.y = len(v.lines) - 1 - v.top
	v.grow()
}

// screen is what is to be seen, without the blank rows at the end.
func (v *vt) screen() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return text(v.lines[v.top:])
}

// all is the screen with what scrolled off above.
func (v *vt) all() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return text(v.lines)
}

func text(lines [][]string) string {
	var b strings.Builder
	for _, row := range lines {
		b.WriteString(strings.TrimRight(strings.Join(row, ""), " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}
