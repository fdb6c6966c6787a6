package workflow

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Error is one thing that is wrong with a file.
type Error struct {
	File    string `json:"file"`
	Line    int    `json:"line"`   // from 1
	Column  int    `json:"column"` // from 1, in characters
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"` // what to do about it
}

// Error gives file:line:column: message (hint).
func (e Error) Error() string {
	s := fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Errors is everything that is wrong, ordered by file and position.
type Errors []Error

// Error gives one error a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Err is e as an error: nil where there is none.
func (e Errors) Err() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

// Sort orders by file, line, column, and then message; what is said twice of
// one place is said once.
func (e Errors) Sort() Errors {
	slices.SortFunc(e, func(a, b Error) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message), cmp.Compare(a.Hint, b.Hint))
	})
	return slices.Compact(e)
}

const (
	// mostErrors are told of one file.
	mostErrors = 100
	// mostKept are collected before sorting; then reading ends, so that a large
	// file of nonsense costs little.
	mostKept = 1000
)

// report collects the errors of one file.
type report struct {
	file  string
	lines *lines // where known, no error stands outside of them
	errs  Errors
}

// enough is what add panics with to end the reading.
type enough struct{}

// during reads until the end, or until there are enough errors.
func (r *report) during(read func()) {
	defer func() {
		if e := recover(); e != nil && e != (enough{}) {
			panic(e)
		}
	}()
	read()
}

// add is only called during reading.
func (r *report) add(line, column int, hint, format string, args ...any) {
	if len(r.errs) == mostKept {
		panic(enough{})
	}
	if r.lines != nil && line > r.lines.count() { // a value that is not there, at the end
		line = r.lines.count()
		column = len([]rune(r.lines.text(line))) + 1
	}
	r.errs = append(r.errs, Error{
		File: r.file, Line: max(line, 1), Column: max(column, 1),
		Message: fmt.Sprintf(format, args...), Hint: hint,
	})
}

// sorted gives what was collected, cut to mostErrors with a note.
func (r *report) sorted() Errors {
	all := r.errs.Sort()
	if len(all) <= mostErrors {
		return all
	}
	last := all[mostErrors-1]
	note := fmt.Sprintf("and %d more errors below", len(all)-mostErrors)
	if len(r.errs) == mostKept {
		note = "and many more errors below"
	}
	return append(all[:mostErrors:mostErrors], Error{
		File: r.file, Line: last.Line, Column: last.Column, Message: note,
	})
}

// quote shows a name of a file in a message: quoted, and cut where it is long.
func quote(s string) string {
	const most = 60
	count := 0
	for i := range s {
		if count++; count > most {
			return fmt.Sprintf("%q", s[:i]+"…")
		}
	}
	return fmt.Sprintf("%q", s)
}
