package logs

import (
	"bytes"
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/relevo-ci/relevo/events"
)

// Match is a line of a log in which a text stands.
type Match struct {
	// Line is its number, from 1; 0 where it is not known: bytes before it are lost.
	Line int64
	// Offset of the line, and Column of the text in it, in bytes, both from 0.
	Offset int64
	Column int
	// Text is the line, without its end; of a long one what stands around.
	Text string
}

// Place is where a search goes on: at the start of a line.
type Place struct {
	Line   int64
	Offset int64
}

// Search is one pass over a log. It gives matches in order.
type Search struct {
	// Text that is looked for, as it stands; it has no end of line.
	Text string
	// Fold: upper and lower case are the same.
	Fold bool
	// Limit is the most matches, Bytes the most bytes that are looked at.
	Limit int
	Bytes int64
}

const (
	// mostLine bounds how much of a line is looked at as one: a text that stands
	// across that is not found.
	mostLine = 64 << 10
	// around is how much of a long line is shown on each side of the text.
	around = 200
)

// Run looks through a log from a place on. Next is where it goes on; done tells
// that the log has no more, for now.
//
// Index is asked for where bytes are lost, since only it tells which line follows.
func (q Search) Run(ctx context.Context, s Store, index func() (Lines, error), ref events.AttemptRef, from Place) (found []Match, next Place, done bool, err error) {
	p := pass{Search: q, at: from, left: q.Bytes}
	if q.Fold {
		p.Text = fold(q.Text)
	}
	if from.Line == 0 {
		if p.lines, err = index(); err != nil {
			return nil, from, false, err
		}
	}
	err = Each(ctx, s, ref, from.Offset, func(data []byte, lost *Gap) (bool, error) {
		if lost == nil {
			return p.take(data), nil
		}
		p.line(p.rest)
		if p.full {
			return false, nil
		}
		p.rest = nil
		p.lines, err = index()
		p.begin(Place{Offset: lost.To})
		return err == nil, err
	})
	if err != nil {
		return nil, from, false, err
	}
	if !p.full {
		p.line(p.rest)
	}
	return p.found, p.at, !p.full, nil
}

// pass is a search under way; at is the start of the line that rest begins.
type pass struct {
	Search
	lines Lines // where a line's number is not known
	at    Place
	rest  []byte
	left  int64
	found []Match
	full  bool
}

// take looks at what follows; false where it is enough.
func (p *pass) take(data []byte) bool {
	p.left -= int64(len(data))
	for len(data) > 0 && !p.full {
		end := bytes.IndexByte(data, '\n') + 1
		if end == 0 && len(p.rest)+len(data) < mostLine {
			p.rest = append(p.rest, data...)
			return p.left > 0 || p.stop()
		}
		whole := end > 0
		if !whole {
			end = len(data)
		}
		line := data[:end]
		if len(p.rest) > 0 {
			line = append(p.rest, line...)
		}
		p.line(line)
		if p.full {
			return false
		}
		next := Place{Line: p.at.Line, Offset: p.at.Offset + int64(len(line))}
		if whole && next.Line > 0 {
			next.Line++
		}
		p.begin(next)
		p.rest = p.rest[:0]
		data = data[end:]
	}
	return !p.full && (p.left > 0 || p.stop())
}

// stop ends the pass at the start of the line that it is in.
func (p *pass) stop() bool {
	p.full = true
	return false
}

// begin goes on at a place, whose line the index may know.
func (p *pass) begin(at Place) {
	p.at = at
	if at.Line > 0 {
		return
	}
	if known, offset, ok := p.lines.From(at.Offset); ok && offset == at.Offset {
		p.at.Line = known
	}
}

// line looks at one line. Where there is no more room the pass ends before it.
func (p *pass) line(line []byte) {
	line = bytes.TrimRight(line, "\r\n")
	text := string(line)
	in := text
	if p.Fold {
		in = fold(text)
	}
	column := strings.Index(in, p.Text)
	if column < 0 || len(line) == 0 {
		return
	}
	if len(p.found) == p.Limit {
		p.full = true
		return
	}
	p.found = append(p.found, Match{Line: p.at.Line, Offset: p.at.Offset, Column: column, Text: short(text, column, len(p.Text))})
}

// short is what stands around the text in a long line.
func short(line string, column, length int) string {
	from, to := max(0, column-around), min(len(line), column+length+around)
	if to-from+2*around >= len(line) {
		from, to = 0, len(line)
	}
	return strings.ToValidUTF8(line[from:to], "\uFFFD")
}

// fold makes upper and lower case the same without moving a byte: what is no
// character, and a letter whose small form is longer or shorter, stays.
func fold(s string) string {
	out := []byte(s)
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if low := unicode.ToLower(r); low != r && utf8.RuneLen(low) == n {
			utf8.EncodeRune(out[i:i+n], low)
		}
		i += n
	}
	return string(out)
}
