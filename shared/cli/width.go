package cli

import (
	"strings"

	"github.com/mattn/go-runewidth"
)

// widths counts cells. The locale is left out: a terminal that shows some
// glyph wider than that clips the line, for it is painted without wrapping.
var widths = &runewidth.Condition{StrictEmojiNeutral: true}

// cells is how many columns a text takes.
func cells(s string) int {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return widths.StringWidth(s)
		}
	}
	return len(s)
}

// clip shortens a text to a number of columns.
func clip(s string, most int, ellipsis string) string {
	switch {
	case cells(s) <= most:
		return s
	case most <= cells(ellipsis):
		return widths.Truncate(s, max(most, 0), "")
	}
	return widths.Truncate(s, most, ellipsis)
}

// pad fills a text up to a number of columns.
func pad(s string, to int) string {
	return s + strings.Repeat(" ", max(0, to-cells(s)))
}

// padLeft is pad for numbers.
func padLeft(s string, to int) string {
	return strings.Repeat(" ", max(0, to-cells(s))) + s
}
