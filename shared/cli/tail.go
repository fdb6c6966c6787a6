package cli

import (
	"bytes"
	"fmt"
	"strings"
)

// What is kept of an attempt's log.
const (
	tailLines = 20      // of a step
	tailBytes = 2 << 10 // of a line
	maxMarks  = 32      // headers of steps, and lines that look like one
)

// header is what the agent's line before a step's output begins with. Other
// programs print such lines too: whether one is a step's header shows once the
// step's name is known.
const header = "==> "

// attemptLog is what is known of the log of one attempt: the last lines behind
// each header.
type attemptLog struct {
	splitter
	marks []*mark
	got   int64          // bytes that came
	want  int64          // the log's length; 0 while it is not known
	quiet bool           // nobody will ask for its lines
	also  func(b []byte) // takes each line too, where set
	// known tells whether a step goes by that name.
	known func(name string) bool
}

// mark is a header and the lines up to the next.
type mark struct {
	name string // empty: the lines before the first header
	ring
}

func newAttemptLog(known func(string) bool) *attemptLog {
	l := &attemptLog{known: known, marks: []*mark{{}}}
	l.line = l.keep
	return l
}

// expect sets the length that the log will have; 0 where it is not known.
func (l *attemptLog) expect(bytes int64) {
	l.want = bytes
	l.settle()
}

// settle ends the last line of a log that is whole.
func (l *attemptLog) settle() {
	if l.want > 0 && l.got >= l.want {
		l.flush()
	}
}

// keep keeps a line, as long as it is among the last.
func (l *attemptLog) keep(b []byte, over bool) {
	if l.also != nil {
		l.also(b)
	}
	if l.quiet {
		return
	}
	if len(b) > len(header) && string(b[:len(header)]) == header {
		if len(l.marks) == maxMarks {
			l.fold()
		}
		l.marks = append(l.marks, &mark{name: headerName(string(b[len(header):]))})
	}
	l.marks[len(l.marks)-1].push(b, over)
}

// fold makes room for a mark: the first that is no step's becomes part of the
// one before; where all are steps' the oldest goes.
func (l *attemptLog) fold() {
	for i := 1; i < len(l.marks); i++ {
		if l.known(l.marks[i].name) {
			continue
		}
		for _, b := range l.marks[i].last(tailLines) {
			l.marks[i-1].push(b, false)
		}
		l.marks = append(l.marks[:i], l.marks[i+1:]...)
		return
	}
	l.marks = append(l.marks[:0], l.marks[1:]...)
}

// forget gives back the memory of a log that nobody will ask for.
func (l *attemptLog) forget() { l.quiet, l.marks = true, nil }

// tail gives the last lines of a step, raw: the one at place among the steps
// with these names, in the order in which they began. Of a step without a
// header, and for a negative place, it gives the last of all lines.
func (l *attemptLog) tail(steps []string, place int) [][]byte {
	from, to := 0, len(l.marks)
	for i, next := 0, 0; i < len(steps); i++ {
		at := next
		for at < len(l.marks) && l.marks[at].name != headerName(steps[i]) {
			at++
		}
		if at == len(l.marks) {
			continue
		}
		next = at + 1
		if i == place {
			from, to = at, len(l.marks)
		} else if place >= 0 && i > place {
			to = at
			break
		}
	}
	var lines [][]byte
	for i := from; i < to; i++ {
		more := l.marks[i].last(tailLines)
		if i == from && l.marks[i].headed() {
			more = more[1:]
		}
		lines = append(lines, more...)
	}
	return lines[max(0, len(lines)-tailLines):]
}

// recent gives the last lines of the step that runs, clean and without the
// blank ones, at most n.
func (l *attemptLog) recent(n int) []string {
	if l.quiet || n == 0 {
		return nil
	}
	m := l.marks[len(l.marks)-1]
	lines := m.last(tailLines)
	if m.headed() {
		lines = lines[1:]
	}
	if len(l.part) > 0 {
		if l.over && len(lines) > 0 {
			lines = lines[:len(lines)-1]
		}
		lines = append(lines, bytes.TrimRight(l.part[:min(len(l.part), tailBytes)], "\r"))
	}
	var out []string
	for i := len(lines) - 1; i >= 0 && len(out) < n; i-- {
		text := shown(lines[i], false)
		if strings.TrimSpace(text) != "" {
			out = append([]string{text}, out...)
		}
	}
	return out
}

// shown makes a line of a log fit for a terminal.
func shown(b []byte, colour bool) string {
	return strings.ReplaceAll(string(appendClean(nil, b, colour)), "\t", "    ")
}

// headerName is what a header shows of a name: its first line, which is all
// that can be compared.
func headerName(name string) string {
	name, _, _ = strings.Cut(strings.ToValidUTF8(name, "?"), "\n")
	return name[:min(len(name), tailBytes)]
}

// headed tells whether the mark's own header is still among its lines.
func (m *mark) headed() bool { return m.name != "" && m.total <= tailLines }

// ring keeps the last lines that were pushed.
type ring struct {
	lines [][]byte
	first int // index of the oldest
	total int // how many were pushed
}

// push keeps a copy of b; over lets it take the place of the newest line.
func (r *ring) push(b []byte, over bool) {
	switch {
	case over && r.total > 0:
		r.set((r.first+len(r.lines)-1)%len(r.lines), b)
		return
	case len(r.lines) < tailLines:
		r.lines = append(r.lines, nil)
		r.set(len(r.lines)-1, b)
	default:
		r.set(r.first, b)
		r.first = (r.first + 1) % len(r.lines)
	}
	r.total++
}

func (r *ring) set(i int, b []byte) {
	if len(b) <= tailBytes {
		r.lines[i] = append(r.lines[i][:0], b...)
		return
	}
	r.lines[i] = append(r.lines[i][:0], b[:boundary(b[:tailBytes])]...)
	r.lines[i] = fmt.Appendf(r.lines[i], " … %d bytes more", len(b)-tailBytes)
}

// last gives at most n lines, the oldest first.
func (r *ring) last(n int) [][]byte {
	out := make([][]byte, 0, min(n, len(r.lines))+1)
	for i := max(0, len(r.lines)-n); i < len(r.lines); i++ {
		out = append(out, r.lines[(r.first+i)%len(r.lines)])
	}
	return out
}
