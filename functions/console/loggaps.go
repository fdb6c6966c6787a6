package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/relevo-ci/relevo/shared/client"
)

// lostPart is where bytes of a log are lost: from within (or the beginning of) one
// line to within another. The lines between are not there.
type lostPart struct {
	from, to    int64
	first, last int // lines
}

// Says tells people how much it is.
func (l lostPart) Says() string {
	return fmt.Sprintf(" [%s of this log is missing: bytes %d to %d]", size(l.to-l.from), l.from, l.to)
}

// locate finds the lines of the gaps of a log. Each is counted from the nearest place
// before and after it whose line is known.
func (i *logIndex) locate(ctx context.Context, api *client.Client, job string, attempt int, gaps []client.LogGap) error {
	count := func(from, to int64) (int, error) {
		n := newlines{left: to - from}
		_, err := api.Logs(ctx, job, client.LogOptions{Attempt: attempt, Offset: from}, &n)
		if err != nil && !errors.Is(err, errEnough) {
			return 0, fmt.Errorf("console: count lines of log: %w", err)
		}
		return n.count, nil
	}
	i.lost = nil
	for k, g := range gaps {
		offset, line := i.before(g.From)
		n, err := count(offset, g.From)
		if err != nil {
			return err
		}
		part := lostPart{from: g.From, to: g.To, first: line + n}
		end := i.offset
		if k+1 < len(gaps) {
			end = gaps[k+1].From
		}
		if part.last, err = i.after(part, end, count); err != nil {
			return err
		}
		i.lost = append(i.lost, part)
		if part.last-part.first > 2 {
			i.folds = append(i.folds, fold{Start: part.first + 1, End: part.last - 1, Title: "lost"})
		}
	}
	return nil
}

// before is the last place up to an offset whose line is known and that is there.
func (i *logIndex) before(offset int64) (at int64, line int) {
	at, line = 0, 1
	for n, m := range i.marks {
		if m.offset <= offset && !i.missing(m.offset) {
			at, line = m.offset, n*i.every+1
		}
	}
	if n := len(i.lost); n > 0 && i.lost[n-1].to > at {
		at, line = i.lost[n-1].to, i.lost[n-1].last
	}
	return at, line
}

// after is the line that goes on behind a gap; end is where what is there ends.
func (i *logIndex) after(part lostPart, end int64, count func(from, to int64) (int, error)) (int, error) {
	if part.to >= i.offset {
		return i.lines + 1, nil
	}
	for n, m := range i.marks {
		if m.offset >= part.to && m.offset <= end {
			k, err := count(part.to, m.offset)
			return n*i.every + 1 - k, err
		}
	}
	if end < i.offset { // between two gaps, and no line known: it is what follows
		return part.first + 1, nil
	}
	k, err := count(part.to, end-1) // the last line's end is no line of its own
	return i.lines - k, err
}

func (i *logIndex) missing(offset int64) bool {
	for _, l := range i.lost {
		if offset >= l.from && offset < l.to {
			return true
		}
	}
	return false
}

// newlines counts those of the next so many bytes.
type newlines struct {
	left  int64
	count int
}

func (n *newlines) Write(p []byte) (int, error) {
	part := p[:min(int64(len(p)), n.left)]
	n.count += bytes.Count(part, []byte("\n"))
	if n.left -= int64(len(part)); n.left == 0 {
		return 0, errEnough
	}
	return len(p), nil
}

// linesAround reads some lines of a log that has gaps: each line has its own number
// still, and those that are lost stand there empty.
func (c *Console) linesAround(ctx context.Context, i *logIndex, job string, attempt, from, count int) ([]logLine, error) {
	var out []logLine
	n, end := from, min(from+count-1, i.lines)
	for n <= end {
		if l, ok := i.within(n); ok {
			for ; n <= end && n < l.last; n++ {
				out = append(out, logLine{N: n, Kind: "lost"})
			}
			continue
		}
		offset, line := i.near(n)
		stop, gap := i.next(n)
		until := min(end, stop)
		style := style{}
		err := readLines(ctx, c.api, job, attempt, offset, func(text []byte) bool {
			if line >= n {
				l := logLine{N: line}
				var rest string
				if l.Kind, rest = kind(text); l.Kind != "" {
					text = []byte(rest)
				}
				l.Parts, style = paint(text, style)
				out = append(out, l)
			}
			line++
			return line <= until
		})
		if err != nil {
			return nil, err
		}
		if line <= n { // nothing was there
			return out, nil
		}
		if n = line; gap != nil && line > gap.first && len(out) > 0 {
			last := &out[len(out)-1]
			last.Kind, last.Parts = "gap", append(last.Parts, segment{Text: gap.Says()})
			if gap.last == gap.first {
				n = gap.last + 1
			}
		}
	}
	return out, nil
}

// within tells whether a line is lost, and where.
func (i *logIndex) within(line int) (lostPart, bool) {
	for _, l := range i.lost {
		if line > l.first && line < l.last {
			return l, true
		}
	}
	return lostPart{}, false
}

// near is the last place at or before a line that is there.
func (i *logIndex) near(line int) (offset int64, at int) {
	at = 1
	for n, m := range i.marks {
		if first := n*i.every + 1; first <= line && first >= at && !i.missing(m.offset) {
			offset, at = m.offset, first
		}
	}
	for _, l := range i.lost {
		if l.last >= at && (l.last < line || l.last == line && l.last > l.first) {
			offset, at = l.to, l.last
		}
	}
	return offset, at
}

// next is the line up to which text follows a line, and the gap that ends it.
func (i *logIndex) next(line int) (int, *lostPart) {
	for k := range i.lost {
		if i.lost[k].first >= line {
			return i.lost[k].first, &i.lost[k]
		}
	}
	return i.lines, nil
}
