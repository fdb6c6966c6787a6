package console

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/relevo-ci/relevo/shared/client"
)

const (
	// markEvery is how many lines lie between two places that are known.
	markEvery = 256
	// mostFolds bounds the parts of a log that can be folded.
	mostFolds = 20_000
	// mostIndexes is how many logs are known at a time.
	mostIndexes = 64
	// longestLine bounds what is kept of a line while it is read, in bytes.
	longestLine = 256 << 10
)

// logIndex knows where the lines of a log begin: of every 256th one exactly, so
// that any part of a long log is read without the rest. It grows with the log: the
// api's looks through an open one anew each time, and knows neither of folds nor of
// what style a line begins in.
type logIndex struct {
	mu     sync.Mutex
	offset int64 // up to where it was read
	lines  int   // complete ones, and the last if it has no end yet
	every  int   // lines between two marks; 0: markEvery
	marks  []mark
	folds  []fold
	open   []int // folds that have no end yet
	whole  bool  // it never grows again
	lost   []lostPart

	partial []byte // of the line that has no end yet
	long    bool   // more of it than is kept
	style   style
}

// mark is the beginning of a line.
type mark struct {
	offset int64
	style  style
}

// fold is a part of a log under a heading: a step, or a group within one. Lines
// count from 1; End is the last, 0 while it goes on.
type fold struct {
	Start int    `json:"s"`
	End   int    `json:"e"`
	Title string `json:"t"`
	Step  bool   `json:"p,omitempty"`
}

// indexes are those of the logs that were looked at last.
type indexes struct {
	mu    sync.Mutex
	known map[string]*logIndex
	order []string
}

func (x *indexes) of(key string) *logIndex {
	x.mu.Lock()
	defer x.mu.Unlock()
	if i := x.known[key]; i != nil {
		return i
	}
	if x.known == nil {
		x.known = map[string]*logIndex{}
	}
	if len(x.order) == mostIndexes {
		delete(x.known, x.order[0])
		x.order = x.order[1:]
	}
	i := &logIndex{}
	x.known[key], x.order = i, append(x.order, key)
	return i
}

// grow reads what is new of a log. Where its attempt is over it asks the api
// whether that was all.
func (i *logIndex) grow(ctx context.Context, api *client.Client, job string, attempt int, over bool) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.whole {
		return nil
	}
	var known client.LogIndex
	var err error
	if over {
		if known, err = api.LogIndex(ctx, job, attempt); err != nil {
			return fmt.Errorf("console: read index of log: %w", err)
		}
	}
	if len(known.Gaps) > 0 {
		i.take(known)
		if err := i.locate(ctx, api, job, attempt, known.Gaps); err != nil {
			i.whole = false
			return err
		}
		return nil
	}
	at, err := api.Logs(ctx, job, client.LogOptions{Attempt: attempt, Offset: i.offset}, i)
	if err != nil {
		// What came, came: the index stands where it was read to.
		return fmt.Errorf("console: read log: %w", err)
	}
	i.offset, i.whole = at, known.Closed
	return nil
}

// take makes the api's index this one, of a log that bytes are lost of: the api
// knows how many lines they were. Which parts could be folded nobody knows.
func (i *logIndex) take(x client.LogIndex) {
	i.offset, i.lines, i.every, i.whole = x.Size, int(x.Lines), max(x.Every, 1), true
	i.marks, i.folds, i.open, i.partial = nil, nil, nil, nil
	for _, at := range x.Offsets {
		i.marks = append(i.marks, mark{offset: at})
	}
}

// Write takes the next bytes of the log.
func (i *logIndex) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		piece := p
		if end >= 0 {
			piece = p[:end]
		}
		if len(i.partial) == 0 && !i.long {
			i.begin()
			if end >= 0 { // the usual case needs no copy
				i.finish(piece)
				i.offset += int64(end + 1)
				p = p[end+1:]
				continue
			}
		}
		room := longestLine - len(i.partial)
		i.partial = append(i.partial, piece[:min(len(piece), max(room, 0))]...)
		i.long = i.long || len(piece) > room
		i.offset += int64(len(piece))
		if end < 0 {
			break
		}
		i.offset++
		i.finish(i.partial)
		i.partial, i.long = i.partial[:0], false
		p = p[end+1:]
	}
	return n, nil
}

// begin counts a line.
func (i *logIndex) begin() {
	if i.lines%markEvery == 0 {
		i.marks = append(i.marks, mark{i.offset, i.style})
	}
	i.lines++
}

// finish looks at a complete line.
func (i *logIndex) finish(line []byte) {
	if len(line) > 1 && (line[0] == '=' || line[0] == ':') {
		i.fold(line)
	}
	i.style = lastStyle(line, i.style)
}

var (
	stepLine  = []byte("==> ")
	groupLine = []byte("::group::")
	groupEnd  = []byte("::endgroup::")
)

// fold begins and ends the parts that can be folded. A step ends with the next,
// a group by what says so, or with its step.
func (i *logIndex) fold(line []byte) {
	switch {
	case bytes.HasPrefix(line, stepLine):
		i.end(i.lines-1, true)
		i.heading(visible(string(line[len(stepLine):])), true)
	case bytes.HasPrefix(line, groupLine):
		i.end(i.lines-1, false)
		i.heading(visible(string(line[len(groupLine):])), false)
	case bytes.HasPrefix(line, groupEnd):
		i.end(i.lines, false)
	}
}

func (i *logIndex) heading(title string, step bool) {
	if len(i.folds) < mostFolds {
		i.open = append(i.open, len(i.folds))
		i.folds = append(i.folds, fold{Start: i.lines, Title: title, Step: step})
	}
}

// end closes the open group, and with it the step where asked to.
func (i *logIndex) end(line int, step bool) {
	for n := len(i.open) - 1; n >= 0; n-- {
		f := &i.folds[i.open[n]]
		if f.Step && !step {
			return
		}
		f.End = line
		i.open = i.open[:n]
	}
}

// errEnough ends the reading of a log before its end.
var errEnough = errors.New("console: enough read")

// from gives the place to read from for a line, with the line that stands there.
func (i *logIndex) from(line int) (at mark, first int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.marks) == 0 {
		return mark{}, 1
	}
	every := cmp.Or(i.every, markEvery)
	n := min(max(line-1, 0)/every, len(i.marks)-1)
	return i.marks[n], n*every + 1
}

// eachLine calls f for each line that is written to it, without its end, until f
// gives false. What is longer than bearable comes cut.
type eachLine struct {
	f    func(line []byte) bool
	rest []byte
	done bool
}

// Write takes the next bytes of the log.
func (e *eachLine) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			room := max(longestLine-len(e.rest), 0)
			e.rest = append(e.rest, p[:min(len(p), room)]...)
			return n, nil
		}
		line := p[:end]
		if len(e.rest) > 0 {
			e.rest = append(e.rest, line[:min(len(line), max(longestLine-len(e.rest), 0))]...)
			line = e.rest
		}
		if !e.f(line) {
			e.done = true
			return 0, errEnough
		}
		e.rest, p = e.rest[:0], p[end+1:]
	}
	return n, nil
}

// last gives what has no end yet.
func (e *eachLine) last() {
	if len(e.rest) > 0 && !e.done {
		e.f(e.rest)
	}
}

// readLines calls f for each line of a log from an offset on.
func readLines(ctx context.Context, api *client.Client, job string, attempt int, offset int64, f func([]byte) bool) error {
	e := &eachLine{f: f}
	_, err := api.Logs(ctx, job, client.LogOptions{Attempt: attempt, Offset: offset}, e)
	if err != nil && !errors.Is(err, errEnough) {
		return fmt.Errorf("console: read log: %w", err)
	}
	e.last()
	return nil
}

// kind says what a line is besides text: a step's or a group's heading, or a
// command to the runner.
func kind(line []byte) (kind, rest string) {
	if len(line) < 2 || line[0] != '=' && line[0] != ':' {
		return "", ""
	}
	s := string(line[:min(len(line), longestLine)])
	for prefix, k := range map[string]string{"==> ": "step", "::group::": "group", "::endgroup::": "end"} {
		if rest, ok := strings.CutPrefix(s, prefix); ok {
			return k, rest
		}
	}
	for _, level := range []string{"error", "warning", "notice", "debug"} {
		if head, ok := strings.CutPrefix(s, "::"+level); ok && (strings.HasPrefix(head, "::") || strings.HasPrefix(head, " ")) {
			if _, text, ok := strings.Cut(head, "::"); ok {
				return level, text
			}
		}
	}
	return "", ""
}
