package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// canvas is the part of a terminal that is painted over: the lines above the
// cursor's.
type canvas struct {
	w     io.Writer
	lines []string
	cols  int
	err   error // of the first write that failed: nobody looks any more
}

// What a terminal is told (ECMA-48, and DEC's private modes).
const (
	hideCursor = "\x1b[?25l"
	showCursor = "\x1b[?25h"
	noWrap     = "\x1b[?7l" // a glyph wider than thought must not make two rows of a line
	wrap       = "\x1b[?7h"
	clearLine  = "\x1b[K"
	clearBelow = "\x1b[J"
)

func (c *canvas) hide() { c.write(hideCursor) }

// show paints lines over those before, and notices above them for good. Where
// nothing changed it writes nothing.
func (c *canvas) show(lines, notices []string, cols int) {
	if len(notices) == 0 && cols == c.cols && slices.Equal(lines, c.lines) {
		return
	}
	var b strings.Builder
	known := c.lines
	if len(notices) > 0 || cols != c.cols {
		known = nil
	}
	b.WriteString(c.up(cols) + noWrap)
	for _, n := range notices {
		paintLines(&b, pieces(n, cols-1), nil)
	}
	paintLines(&b, lines, known)
	b.WriteString(wrap + clearBelow)
	c.write(b.String())
	c.lines, c.cols = lines, cols
}

// finish paints for the last time, without regard to the terminal's height,
// and puts text below.
func (c *canvas) finish(lines, notices []string, text string, cols int) {
	var b strings.Builder
	b.WriteString(c.up(cols) + noWrap)
	for _, n := range notices {
		paintLines(&b, pieces(n, cols-1), nil)
	}
	paintLines(&b, lines, nil)
	b.WriteString(wrap + clearBelow + strings.ReplaceAll(text, "\n", "\r\n") + showCursor)
	c.write(b.String())
}

// paintLines paints lines where the cursor is and leaves out those that stand
// there already. Each is cleared before it is written: terminals that reflow
// take what is cleared behind a text for a part of it. The screen is not
// cleared from its first cell: some then keep what was on it as history.
func paintLines(b *strings.Builder, lines, known []string) {
	for i, line := range lines {
		if i >= len(known) || known[i] != line {
			b.WriteString(clearLine + line)
		}
		b.WriteString("\r\n")
	}
}

// pieces cuts a text where it would be wider than cols.
func pieces(text string, cols int) []string {
	var out []string
	for cells(text) > cols {
		first := clip(text, cols, "")
		if first == "" {
			break // not even one glyph fits
		}
		out = append(out, first)
		text = text[len(first):]
	}
	return append(out, text)
}

// up goes to the first row of what was painted, in a terminal that has cols
// columns now. Terminals that became narrower put what no longer fits in a row
// into the next.
func (c *canvas) up(cols int) string {
	rows := len(c.lines)
	if cols < c.cols {
		for _, line := range c.lines {
			rows += max(0, cells(string(appendClean(nil, []byte(line), false)))-1) / cols
		}
	}
	if rows == 0 {
		return "\r"
	}
	return fmt.Sprintf("\r\x1b[%dA", rows)
}

func (c *canvas) write(s string) {
	if c.err == nil {
		_, c.err = io.WriteString(c.w, s)
	}
}
