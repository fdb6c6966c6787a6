package expr

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rhysd/actionlint"
)

// A fault is an error before its place in the whole text is known.
type fault struct {
	offset  int // in the expression
	message string
}

const closing = "}}"

// lex gives the tokens of an expression, the last of which is its end.
func lex(src string) ([]*actionlint.Token, *fault) {
	if len(src) > MaxSource {
		return nil, &fault{0, tooLong}
	}
	tokens, _, err := actionlint.LexExpression(src + closing)
	if err != nil {
		if err.Offset >= len(src) { // the end was taken into a string
			return nil, &fault{strings.LastIndexByte(src, '\''), "the string is not closed: ' is missing"}
		}
		return nil, &fault{err.Offset, readable(err.Message)}
	}
	if end := tokens[len(tokens)-1]; end.Offset < len(src) {
		return nil, &fault{end.Offset, "}} within an expression"}
	}
	return tokens, nil
}

// lexEmbedded gives the tokens of the expression that src begins with, and the
// offset behind its }}; after a fault, where to look for the next one.
func lexEmbedded(src string) (tokens []*actionlint.Token, end int, _ *fault) {
	text := src
	if n := MaxSource + len(closing); len(text) > n {
		for !utf8.RuneStart(text[n]) {
			n--
		}
		text = text[:n]
	}
	tokens, end, err := actionlint.LexExpression(text)
	if err == nil {
		return tokens, end, nil
	}
	end = len(src)
	if i := strings.Index(src, closing); i >= 0 {
		end = i + len(closing)
	}
	switch {
	case err.Offset < len(text):
		return nil, end, &fault{err.Offset, readable(err.Message)}
	case len(text) < len(src):
		return nil, end, &fault{0, tooLong}
	}
	return nil, end, &fault{0, "the expression is not closed: }} is missing, or the ' of a string"}
}

// readable leaves out the list of every character that an expression may have.
func readable(message string) string {
	before, list, ok := strings.Cut(message, ", expecting 'a'..'z'")
	if _, note, more := strings.Cut(list, ". do you mean "); ok && more {
		return before + "; do you mean " + note
	}
	return before
}

var tooLong = fmt.Sprintf("the expression is longer than %d bytes", MaxSource)

// invalid finds the first byte that is not UTF-8. JSON would not carry it.
func invalid(src string) *fault {
	for i, r := range src {
		if r == utf8.RuneError && !strings.HasPrefix(src[i:], string(utf8.RuneError)) {
			return &fault{i, "the text is not UTF-8"}
		}
	}
	return nil
}
