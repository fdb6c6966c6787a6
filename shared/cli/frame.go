package cli

import (
	"fmt"
	"strings"
	"time"
)

// foldAbove is how many jobs of a matrix stand in the tree one by one.
const foldAbove = 4

// logRows is how many of its last lines a running job shows at most.
const logRows = 3

// frame composes one picture of a run.
type frame struct {
	run    *run
	glyphs *marksOf
	cols   int
	colour bool
}

// marksOf are the signs of the states, all as wide.
type marksOf struct {
	waiting, queued, starting, retry, ok, failed, cancelled, skipped string
	spinner                                                          []string
	log, ellipsis, dot                                               string
}

var glyphs = marksOf{
	waiting: "·", queued: "○", starting: "◌", retry: "↻",
	ok: "✓", failed: "✗", cancelled: "⊘", skipped: "–",
	spinner: []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"},
	log:     "│ ", ellipsis: "…", dot: " · ",
}

var letters = marksOf{
	waiting: "wait", queued: "wait", starting: "new ", retry: "redo",
	ok: "ok  ", failed: "FAIL", cancelled: "stop", skipped: "skip",
	spinner: []string{"run|", "run/", "run-", "run\\"},
	log:     "| ", ellipsis: "...", dot: ", ",
}

// Styles, as parameters of SGR.
const (
	plain  = ""
	dim    = "2"
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

// item is one line of the picture, before it is known whether there is room.
type item struct {
	glyph, name, took, detail string
	style                     string // of the glyph
	dim                       bool   // the detail is
	head                      bool   // the first line: no columns
	indent                    int

	jobs []*job // those that it stands for
	log  int    // n-th last line of a job's log; 0: none
	keep int    // lower ones make room first
}

// compose gives all lines that there are.
func (f *frame) compose(now time.Time) []item {
	items := []item{f.header(now)}
	for i := 0; i < len(f.run.jobs); {
		matrix := f.run.byID[f.run.jobs[i].id]
		i += len(matrix)
		if len(matrix) <= foldAbove {
			for _, j := range matrix {
				items = append(items, f.job(j, 0, now)...)
			}
			continue
		}
		items = append(items, f.fold(matrix, now))
		for _, j := range matrix {
			switch j.phase {
			case running, ended, backingOff, failed, lost:
				items = append(items, f.job(j, 1, now)...)
			}
		}
	}
	return items
}

func (f *frame) header(now time.Time) item {
	r := f.run
	parts := []string{r.Pipeline}
	if took := r.took(now); took > 0 || r.over {
		text := elapsed(took)
		if r.over {
			text = Duration(took)
		}
		parts = append(parts, text)
	}
	switch {
	case r.over:
		parts = append(parts, oneLine(string(r.verdict)))
	case r.cancelling != "":
		parts = append(parts, "cancelling: "+r.cancelling)
	case r.requested && !r.started:
		parts = append(parts, "waiting to start")
	}
	parts = append(parts, tally(r.jobs)...)
	if r.Run != "" {
		parts = append(parts, string(r.Run))
	}
	return item{head: true, name: strings.Join(parts, f.glyphs.dot), keep: 9}
}

// tally counts jobs by how they stand.
func tally(jobs []*job) []string {
	var done, bad, live, queue int
	for _, j := range jobs {
		switch {
		case j.phase == failed, j.phase == lost:
			bad++
		case j.phase.final():
			done++
		case j.phase >= scheduled:
			live++
		case j.phase >= asked:
			queue++
		}
	}
	if len(jobs) == 0 {
		return nil
	}
	parts := []string{fmt.Sprintf("%d/%d done", done+bad, len(jobs))}
	for _, c := range []struct {
		n    int
		what string
	}{{live, "running"}, {queue, "queued"}, {bad, "failed"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	return parts
}

// fold is one line for all jobs of a matrix.
func (f *frame) fold(matrix []*job, now time.Time) item {
	worst, from, to := matrix[0], time.Time{}, time.Time{}
	for _, j := range matrix {
		if look(j.phase).weight > look(worst.phase).weight {
			worst = j
		}
		if !j.begun.IsZero() && (from.IsZero() || j.begun.Before(from)) {
			from = j.begun
		}
		if !j.phase.final() {
			to = now
		} else if j.ended.After(to) {
			to = j.ended
		}
	}
	it := f.line(worst, 0, now)
	it.name, it.detail, it.took = oneLine(matrix[0].id), strings.Join(tally(matrix), ", "), ""
	it.dim, it.jobs, it.keep = false, matrix, 8
	if !from.IsZero() {
		it.took = spent(to.Sub(from), worst.phase.final())
	}
	return it
}

func spent(d time.Duration, final bool) string {
	if final {
		return Duration(d)
	}
	return elapsed(d)
}

// job gives a job's line, and the last ones of its log while it runs.
func (f *frame) job(j *job, indent int, now time.Time) []item {
	items := []item{f.line(j, indent, now)}
	if j.phase != running {
		return items
	}
	l, ok := j.logs[j.attempt]
	if !ok {
		return items
	}
	lines := l.recent(logRows)
	for i, text := range lines {
		items = append(items, item{detail: text, log: len(lines) - i, indent: indent})
	}
	return items
}

// line is a job's line.
func (f *frame) line(j *job, indent int, now time.Time) item {
	l := look(j.phase)
	it := item{
		glyph: l.glyph(f.glyphs), style: l.style, name: j.Name, detail: f.run.detail(j, now),
		dim: l.dim, keep: l.keep, indent: indent, jobs: []*job{j},
	}
	if j.phase == running || j.phase == ended {
		n := now.UnixMilli() / frameTime.Milliseconds()
		it.glyph = f.glyphs.spinner[int(n)%len(f.glyphs.spinner)]
	}
	if took := j.took(now); took > 0 {
		it.took = spent(took, j.phase.final())
	}
	return it
}

// looks say how a phase looks: which of many stands for them all (the
// heaviest), and which makes room first (the least to keep).
type looks struct {
	glyph        func(*marksOf) string
	style        string
	dim          bool
	weight, keep int
}

func look(p phase) looks {
	switch p {
	case waiting:
		return looks{func(m *marksOf) string { return m.waiting }, dim, true, 3, 1}
	case asked, queued:
		return looks{func(m *marksOf) string { return m.queued }, yellow, true, 4, 2}
	case scheduled, preparing, launched:
		return looks{func(m *marksOf) string { return m.starting }, cyan, true, 6, 4}
	case running, ended:
		return looks{func(m *marksOf) string { return m.spinner[0] }, cyan, false, 7, 5}
	case backingOff:
		return looks{func(m *marksOf) string { return m.retry }, yellow, false, 5, 4}
	case succeeded:
		return looks{func(m *marksOf) string { return m.ok }, green, true, 0, 0}
	case skipped:
		return looks{func(m *marksOf) string { return m.skipped }, dim, true, -1, 0}
	case cancelled:
		return looks{func(m *marksOf) string { return m.cancelled }, yellow, true, 1, 3}
	}
	return looks{func(m *marksOf) string { return m.failed }, red, false, 2, 6}
}
