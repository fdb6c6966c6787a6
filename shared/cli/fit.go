package cli

import (
	"fmt"
	"slices"
	"strings"
)

// Columns of the tree.
const (
	nameLeast = 8
	nameMost  = 40
	tookCells = 6
)

// fit leaves out lines until no more than rows are left: first those of logs,
// then the jobs that matter least; a last line says how many there are.
func (f *frame) fit(items []item, rows int) []item {
	for most := logRows - 1; len(items) > rows && most >= 0; most-- {
		items = slices.DeleteFunc(items, func(it item) bool { return it.log > most })
	}
	if len(items) <= rows {
		return items
	}
	var hidden []item
	for len(items) > 1 && len(items)+1 > rows {
		i := least(items)
		hidden = append(hidden, items[i])
		items = slices.Delete(items, i, i+1)
	}
	if len(items) < rows {
		items = append(items, item{head: true, dim: true, name: f.glyphs.ellipsis + " " + strings.Join(more(hidden), ", ")})
	}
	return items
}

// least is the line that matters least: of those that are done the first, of
// others the last.
func least(items []item) int {
	best := len(items) - 1
	for i := len(items) - 1; i > 0; i-- {
		if items[i].keep < items[best].keep || items[i].keep == items[best].keep && items[i].keep == 0 {
			best = i
		}
	}
	return best
}

// more says what jobs have no line.
func more(hidden []item) []string {
	var done, wait, other int
	counted := map[*job]bool{} // a matrix may be hidden, and a job of it too
	for _, it := range hidden {
		for _, j := range it.jobs {
			switch {
			case counted[j]:
			case j.phase.final():
				done++
			case j.phase <= queued:
				wait++
			default:
				other++
			}
			counted[j] = true
		}
	}
	var parts []string
	for _, c := range []struct {
		n    int
		what string
	}{{done, "done"}, {wait, "waiting"}, {other, "under way"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	parts[0] = strings.Replace(parts[0], " ", " more ", 1)
	return parts
}

// paint makes text of lines, none wider than there are columns.
func (f *frame) paint(items []item) []string {
	wide := f.nameWidth(items)
	lines := make([]string, 0, len(items))
	for _, it := range items {
		b := brush{left: f.cols, colour: f.colour, ellipsis: f.glyphs.ellipsis}
		switch {
		case it.head && it.dim:
			b.add(dim, it.name)
		case it.head:
			b.add(bold, it.name)
		case it.log > 0:
			b.add(plain, strings.Repeat(" ", 2*it.indent+cells(f.glyphs.ok)+1))
			b.add(dim, f.glyphs.log+it.detail)
		default:
			f.columns(&b, it, wide)
		}
		lines = append(lines, b.String())
	}
	return lines
}

func (f *frame) columns(b *brush, it item, wide int) {
	b.add(plain, strings.Repeat(" ", 2*it.indent))
	b.add(it.style, it.glyph)
	name := max(nameLeast, wide-2*it.indent)
	b.add(plain, " "+pad(clip(it.name, name, f.glyphs.ellipsis), name))
	if b.left > tookCells {
		b.add(plain, " "+padLeft(it.took, tookCells))
	}
	const gap, worth = 2, 6 // below it a detail says nothing
	if it.detail == "" || b.left < gap+worth {
		return
	}
	style := plain
	if it.dim {
		style = dim
	}
	b.add(style, strings.Repeat(" ", gap)+it.detail)
}

// nameWidth is how wide the column of names is, for these lines.
func (f *frame) nameWidth(items []item) int {
	wide := nameLeast
	for _, it := range items {
		if !it.head && it.log == 0 {
			wide = max(wide, cells(it.name)+2*it.indent)
		}
	}
	return min(wide, nameMost, max(nameLeast, f.cols*2/5))
}

// brush puts a line together, as far as there is room.
type brush struct {
	strings.Builder
	left     int
	colour   bool
	ellipsis string
}

func (b *brush) add(style, text string) {
	text = clip(text, b.left, b.ellipsis)
	b.left -= cells(text)
	if style == plain || !b.colour || text == "" {
		b.WriteString(text)
		return
	}
	b.WriteString("\x1b[" + style + "m" + text + reset)
}
