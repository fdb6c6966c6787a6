package workflow

import (
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// lines is a file by its lines.
type lines struct {
	src    string
	starts []int // of each line, in bytes
}

func newLines(src []byte) *lines {
	l := &lines{src: string(src), starts: []int{0}}
	for i := range src {
		if src[i] == '\n' || src[i] == '\r' && (i+1 == len(src) || src[i+1] != '\n') {
			l.starts = append(l.starts, i+1)
		}
	}
	return l
}

// count is the number of lines; a line break at the end begins no new one.
func (l *lines) count() int {
	n := len(l.starts)
	if n > 1 && l.starts[n-1] == len(l.src) {
		n--
	}
	return n
}

// end is the offset behind a line (from 1) and its break.
func (l *lines) end(line int) int {
	if line >= len(l.starts) {
		return len(l.src)
	}
	return l.starts[line]
}

// text is a line, from 1, without its break; nothing beyond the last.
func (l *lines) text(line int) string {
	if line < 1 || line > len(l.starts) {
		return ""
	}
	return strings.TrimRight(l.src[l.starts[line-1]:l.end(line)], "\r\n")
}

// indent is how many spaces a line begins with.
func (l *lines) indent(line int) int {
	t := l.text(line)
	return len(t) - len(strings.TrimLeft(t, " "))
}

// find gives the position of the first place that holds s, or the beginning.
func (l *lines) find(s string) (line, column int) {
	i := strings.Index(l.src, s)
	if i < 0 {
		return 1, 1
	}
	line = 1
	for line < len(l.starts) && l.starts[line] <= i {
		line++
	}
	return line, utf8.RuneCountInString(l.src[l.starts[line-1]:i]) + 1
}

// position gives where the byte at offset of a scalar's value stands in the
// file. Where the value is not written as it is (escapes, folded lines), that
// is the scalar's beginning.
func (l *lines) position(n *yaml.Node, offset int) (line, column int) {
	if offset < 0 || offset > len(n.Value) {
		return n.Line, n.Column
	}
	if n.Style&yaml.LiteralStyle != 0 {
		return l.inBlock(n, offset)
	}
	if l.end(n.Line)-l.starts[n.Line-1] > mostInLine {
		return n.Line, n.Column
	}
	begin := n.Column
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		begin++
	}
	text := []rune(l.text(n.Line))
	// An anchor or tag stands before the value: look for what is written.
	before := n.Value[:offset]
	rest := ""
	if begin-1 <= len(text) {
		rest = string(text[begin-1:])
	}
	if i := strings.Index(rest, before); before != "" && i >= 0 && (i == 0 || n.Style&yaml.TaggedStyle != 0 || n.Anchor != "") {
		return n.Line, begin + utf8.RuneCountInString(rest[:i+len(before)])
	}
	return n.Line, n.Column
}

// mostInLine bounds the lines in which positions are looked for.
const mostInLine = 4096

// inBlock is position for the style with |.
func (l *lines) inBlock(n *yaml.Node, offset int) (line, column int) {
	before := n.Value[:offset]
	line = n.Line + 1 + strings.Count(before, "\n")
	inLine := before[strings.LastIndexByte(before, '\n')+1:]
	value, _, _ := strings.Cut(n.Value[offset-len(inLine):], "\n")
	// The line is the value's behind its indentation.
	indent := len(l.text(line)) - len(value)
	if indent < 0 || l.text(line)[indent:] != value {
		return n.Line, n.Column
	}
	return line, indent + 1 + utf8.RuneCountInString(inLine)
}
