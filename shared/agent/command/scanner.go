// Package command understands what steps say to the agent: lines of output
// that are commands (::add-mask::…) and the files named by GITHUB_OUTPUT,
// GITHUB_ENV and GITHUB_PATH.
package command

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
)

// maxLine bounds a line that is looked at as a command, in bytes.
const maxLine = 64 << 10

// ErrTooLong: a value that was to be masked is longer than can be looked for.
var ErrTooLong = errors.New("command: the value of ::add-mask:: is too long")

// A Command is a line ::name key=value,key=value::value.
type Command struct {
	Name  string
	Value string
}

// Parse reads a line as a command; ok is false where it is none.
func Parse(line []byte) (c Command, ok bool) {
	line, ok = bytes.CutPrefix(bytes.TrimLeft(line, " \t"), []byte("::"))
	if !ok {
		return Command{}, false
	}
	head, value, ok := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte("::"))
	if !ok {
		return Command{}, false
	}
	name, _, _ := bytes.Cut(head, []byte(" "))
	if len(name) == 0 {
		return Command{}, false
	}
	unescape := strings.NewReplacer("%0D", "\r", "%0A", "\n", "%25", "%")
	return Command{Name: string(name), Value: unescape.Replace(string(value))}, true
}

// Scanner finds commands in a stream of output. It passes every other byte on
// as it comes, but for the start of a line that may become a command: that it
// keeps until it can tell.
type Scanner struct {
	// Mask is told each value of ::add-mask::, before the line that names it
	// is passed on without it.
	Mask func(value string) error
	// Note, where it is set, is told each annotation before its line is passed on.
	Note func(a events.Annotation)
	// Out takes what is to be shown; it must not keep the slice.
	Out func(p []byte)

	within  bool   // in a line that is no command
	swallow bool   // in a line that must not be shown
	pending []byte // the line so far, where it may be a command
	stopped string // commands are off until ::<stopped>::
	err     error
}

// Err is the first error of Mask, or ErrTooLong: something that should be
// masked is not.
func (s *Scanner) Err() error { return s.err }

// Write takes the next piece of output.
func (s *Scanner) Write(p []byte) {
	shown := 0 // up to here p was passed on or is pending
	for at := 0; at < len(p); {
		if !s.within && !s.swallow && len(s.pending) == 0 && !mayBegin(p[at:]) {
			s.within = true
		}
		end := bytes.IndexByte(p[at:], '\n') + 1
		whole := end > 0
		if !whole {
			end = len(p) - at
		}
		next := at + end
		switch {
		case s.within:
			s.within = !whole
		case s.swallow:
			s.out(p[shown:at])
			s.swallow, shown = !whole, next
		default:
			s.out(p[shown:at])
			s.pending, shown = append(s.pending, p[at:next]...), next
			s.look(whole)
		}
		at = next
	}
	s.out(p[shown:])
}

// Flush takes what is pending for a whole line: the stream ended.
func (s *Scanner) Flush() {
	if len(s.pending) > 0 {
		s.look(true)
	}
	s.within, s.swallow, s.stopped = false, false, ""
}

func (s *Scanner) out(p []byte) {
	if len(p) > 0 {
		s.Out(p)
	}
}

// mayBegin tells whether a line that begins with p may be a command.
func mayBegin(p []byte) bool {
	p = bytes.TrimLeft(p, " \t")
	return len(p) == 0 || p[0] == ':' && (len(p) == 1 || p[1] == ':')
}

// look decides about the pending line, of which more may come.
func (s *Scanner) look(whole bool) {
	line := s.pending
	switch {
	case whole:
		s.pending = s.pending[:0]
		s.line(line)
	case !mayBegin(line):
		s.within, s.pending = true, s.pending[:0]
		s.out(line)
	case len(line) > maxLine:
		s.pending = s.pending[:0]
		if c, ok := Parse(line); ok && c.Name == "add-mask" && s.stopped == "" {
			s.fail(ErrTooLong)
			s.swallow = true
			return
		}
		s.within = true
		s.out(line)
	}
}

// line obeys a whole line, or passes it on.
func (s *Scanner) line(line []byte) {
	c, ok := Parse(line)
	if s.stopped != "" {
		if ok && c.Name == s.stopped {
			s.stopped = ""
		}
		s.out(line)
		return
	}
	switch {
	case ok && c.Name == "add-mask":
		if err := s.Mask(c.Value); err != nil {
			s.fail(err)
			return
		}
		s.out([]byte("::add-mask::***\n"))
	case ok && removed[c.Name] != "":
		// The value is not shown: with GitHub it never was.
		s.out(fmt.Appendf(nil, "warning: ::%s:: is ignored, write to the file named by $%s instead\n", c.Name, removed[c.Name]))
	case ok && c.Name == "stop-commands":
		s.stopped = c.Value
		s.out(line)
	case ok && s.Note != nil && execution.AnnotationLevel(c.Name):
		if a, ok := ParseAnnotation(line); ok {
			s.Note(a)
		}
		s.out(line)
	default:
		s.out(line)
	}
}

func (s *Scanner) fail(err error) {
	if s.err == nil {
		s.err = err
	}
	s.out([]byte("error: " + err.Error() + "\n"))
}

// removed are the commands that files took the place of.
var removed = map[string]string{
	"set-output": "GITHUB_OUTPUT", "save-state": "GITHUB_STATE",
	"set-env": "GITHUB_ENV", "add-path": "GITHUB_PATH",
}
