package cli

import (
	"io"
	"slices"
	"strings"
)

const (
	columnGap   = 2
	columnLeast = 8 // columns are narrowed to this before the line is cut
)

// Table writes rows below a header, in columns. Lines longer than cols cells
// are shortened, the widest column first; cols 0: none are.
func Table(w io.Writer, cols int, header []string, rows [][]string) error {
	_, err := io.WriteString(w, table(cols, header, rows))
	return err
}

func table(cols int, header []string, rows [][]string) string {
	all := [][]string{}
	var wide []int
	for _, row := range append([][]string{header}, rows...) {
		clean := make([]string, len(row))
		for i, cell := range row {
			clean[i] = oneLine(cell)
			if i == len(wide) {
				wide = append(wide, 0)
			}
			wide[i] = max(wide[i], cells(clean[i]))
		}
		all = append(all, clean)
	}
	narrow(wide, cols)
	var b strings.Builder
	for _, row := range all {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(pad(clip(cell, wide[i], "…"), wide[i]+columnGap))
		}
		text := strings.TrimRight(line.String(), " ")
		if cols > 0 {
			text = clip(text, cols, "…")
		}
		b.WriteString(text + "\n")
	}
	return b.String()
}

// narrow takes cells from the widest columns until a line fits.
func narrow(wide []int, cols int) {
	if cols <= 0 || len(wide) == 0 {
		return
	}
	total := (len(wide) - 1) * columnGap
	for _, n := range wide {
		total += n
	}
	for total > cols {
		i := slices.Index(wide, slices.Max(wide))
		if wide[i] <= columnLeast {
			return
		}
		wide[i]--
		total--
	}
}
