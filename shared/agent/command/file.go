package command

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// ErrFormat: a command file says something that cannot be understood. The
// text names the line.
var ErrFormat = errors.New("command: bad line")

// Pair is one value that a step set.
type Pair struct{ Name, Value string }

// ParsePairs reads a file that a step wrote, of outputs or variables: lines of
//
//	name=value
//
// and, for values of several lines,
//
//	name<<delimiter
//	…
//	delimiter
//
// Empty lines are passed over. A later pair wins over an earlier one of its
// name; both are returned. The error wraps ErrFormat.
func ParsePairs(data []byte) ([]Pair, error) {
	var pairs []Pair
	lines := splitLines(data)
	for i := 0; i < len(lines); i++ {
		line, number := lines[i], i+1
		name, value, isPair := strings.Cut(line, "=")
		heredoc, delimiter, isHeredoc := strings.Cut(line, "<<")
		switch {
		case line == "":
			continue
		case isHeredoc && (!isPair || len(heredoc) < len(name)):
			if heredoc == "" || delimiter == "" {
				return nil, fmt.Errorf("%w %d: %s: want name<<delimiter", ErrFormat, number, shown(line))
			}
			from := i + 1
			for i++; i < len(lines) && lines[i] != delimiter; i++ {
			}
			if i == len(lines) {
				return nil, fmt.Errorf("%w %d: no line %s ends the value of %s", ErrFormat, number, shown(delimiter), shown(heredoc))
			}
			name, value = heredoc, strings.Join(lines[from:i], "\n")
		case !isPair || name == "":
			return nil, fmt.Errorf("%w %d: %s: want name=value or name<<delimiter", ErrFormat, number, shown(line))
		}
		if strings.ContainsRune(name+value, 0) {
			return nil, fmt.Errorf("%w %d: the value of %s has a zero byte", ErrFormat, number, shown(name))
		}
		pairs = append(pairs, Pair{name, value})
	}
	return pairs, nil
}

// ParsePaths reads a file of folders for PATH, one a line.
func ParsePaths(data []byte) ([]string, error) {
	var paths []string
	for i, line := range splitLines(data) {
		if strings.ContainsRune(line, 0) {
			return nil, fmt.Errorf("%w %d: %s has a zero byte", ErrFormat, i+1, shown(line))
		}
		if line != "" {
			paths = append(paths, line)
		}
	}
	return paths, nil
}

// splitLines takes LF and CRLF, and the byte order mark that PowerShell writes.
func splitLines(data []byte) []string {
	text := string(bytes.TrimPrefix(data, []byte("\ufeff")))
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSuffix(line, "\r")
	}
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	}
	return lines
}

// shown quotes the start of a text for a message.
func shown(text string) string { return fmt.Sprintf("%.60q", text) }
