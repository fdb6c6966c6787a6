package workflow

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// parserMessages are the messages of the YAML library's parser. Its errors
// count lines from 0, those of the scanner, which makes the tokens, from 1.
var parserMessages = []string{
	"did not find expected <stream-start>", "did not find expected <document start>",
	"did not find expected node content", "did not find expected '-' indicator",
	"did not find expected key", "did not find expected ',' or ']'", "did not find expected ',' or '}'",
	"found undefined tag handle", "found duplicate %YAML directive",
	"found incompatible YAML document", "found duplicate %TAG directive",
}

var unknownAnchor = regexp.MustCompile(`unknown anchor '(.+)' referenced`)

// syntax reports an error of the YAML library with its position.
func syntax(src []byte, err error, r *report) {
	lines := r.lines
	if errors.Is(err, io.EOF) {
		r.add(1, 1, "", "the file is empty")
		return
	}
	if m := unknownAnchor.FindStringSubmatch(err.Error()); m != nil {
		line, column := lines.find("*" + m[1])
		r.add(line, column, "an anchor, &"+m[1]+", has to stand before its alias", "the alias *%s has no anchor", m[1])
		return
	}
	var parse *yaml.ParserError
	if !errors.As(err, &parse) {
		r.add(1, 1, "", "not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
		return
	}
	line, column := parse.Line, parse.Column+1
	if slices.Contains(parserMessages, parse.Message) {
		line++
	}
	switch parse.Message {
	case "did not find expected key", "did not find expected '-' indicator", "did not find expected <document start>":
		// What it tells is where the mapping or list began.
		line = offender(src, lines, parse, max(line, 1))
		column = lines.indent(line) + 1
	}
	line = min(max(line, 1), lines.count())
	column = min(column, len([]rune(lines.text(line)))+1)
	if strings.HasPrefix(parse.Message, "exceeded max depth") {
		r.add(line, column, "", "nested more than %d levels deep", mostDepth)
		return
	}
	r.add(line, column, adviceOn(parse.Message, lines.text(line), column), "not YAML: %s", parse.Message)
}

// offender finds the line at which the parser stopped. It reads from left to
// right, so that it says the same of a file cut off behind that line, and
// something else of one cut off before.
func offender(src []byte, lines *lines, want *yaml.ParserError, least int) int {
	const most = 64 << 10 // reading a longer file a dozen times takes too long
	if len(src) > most {
		return least
	}
	same := func(line int) bool {
		decoder := yaml.NewDecoder(bytes.NewReader(src[:lines.end(line)]))
		for {
			var n yaml.Node
			if err := decoder.Decode(&n); err != nil {
				var got *yaml.ParserError
				return errors.As(err, &got) && *got == *want
			}
		}
	}
	low, high := least, lines.count()
	for low < high {
		middle := (low + high) / 2
		if same(middle) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low
}

// adviceOn says what most often is behind a message.
func adviceOn(message, line string, column int) string {
	at := []rune(line)
	var c rune
	if column-1 < len(at) {
		c = at[max(column-1, 0)]
	}
	switch message {
	case "found character that cannot start any token":
		if c == '\t' || strings.HasPrefix(line, "\t") {
			return "indent with spaces, not with tabs"
		}
		if c != 0 {
			return "text that begins with " + string(c) + " needs quotes"
		}
	case "mapping values are not allowed in this context":
		return "text with a colon and a space in it needs quotes; else check the indentation"
	case "did not find expected key", "did not find expected '-' indicator":
		return "check the indentation: it does not line up with what stands above"
	case "found unexpected end of stream":
		return "a quote is not closed"
	case "did not find expected ',' or ']'":
		return "a [ is not closed, or a comma is missing"
	case "did not find expected ',' or '}'":
		return "a { is not closed, or a comma is missing"
	}
	return ""
}
