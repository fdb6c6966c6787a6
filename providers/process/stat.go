package process

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// stat is what /proc/<pid>/stat says of a process (proc_pid_stat(5)).
type stat struct {
	pid, parent, session int
	state                byte   // Z: ended, and its parent has not looked yet
	start                uint64 // clock ticks since boot
}

// dead tells that nothing of the process runs any more.
func (s stat) dead() bool { return s.state == 'Z' || s.state == 'X' }

// parseStat reads the line. The second field is the program's name in
// brackets, in which anything may stand: spaces, brackets, line ends.
func parseStat(line []byte) (stat, error) {
	open, shut := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 0 || shut < open {
		return stat{}, errors.New("process: stat: no name in brackets")
	}
	// From here on the fields are those of the manual page less 3.
	rest := bytes.Fields(line[shut+1:])
	if len(rest) < 20 || len(rest[0]) != 1 {
		return stat{}, fmt.Errorf("process: stat: %d fields after the name", len(rest))
	}
	var s stat
	var errs [4]error
	s.state = rest[0][0]
	s.pid, errs[0] = strconv.Atoi(string(bytes.TrimSpace(line[:open])))
	s.parent, errs[1] = strconv.Atoi(string(rest[1]))
	s.session, errs[2] = strconv.Atoi(string(rest[3]))
	s.start, errs[3] = strconv.ParseUint(string(rest[19]), 10, 64)
	if err := errors.Join(errs[:]...); err != nil {
		return stat{}, fmt.Errorf("process: stat: %w", err)
	}
	return s, nil
}

// carries tells whether an environment block holds the variable with just
// this value.
func carries(environ []byte, name, value string) bool {
	want := []byte(name + "=" + value)
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if bytes.Equal(entry, want) {
			return true
		}
	}
	return false
}
