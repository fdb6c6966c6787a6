// Package cesql reads filters in the CloudEvents SQL expression language and
// holds events against them. It is the SDK's parser and evaluator behind what
// these lack: positions of errors, an error for characters that are no part of
// the language, and bounds on what a filter may cost.
package cesql

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/antlr/antlr4/runtime/Go/antlr"
	sql "github.com/cloudevents/sdk-go/sql/v2"
	"github.com/cloudevents/sdk-go/sql/v2/gen"
	"github.com/cloudevents/sdk-go/sql/v2/parser"
	"github.com/cloudevents/sdk-go/sql/v2/utils"
	"github.com/cloudevents/sdk-go/v2/event"
)

// The bounds of a filter.
const (
	MostBytes = 4096
	mostDepth = 32  // of brackets
	mostWords = 512 // tokens
)

// Filter is a filter that was read; the zero one lets everything through. It
// may be used by many at once.
type Filter struct{ expression sql.Expression }

// Error is what is wrong with a filter.
type Error struct {
	// Offset in bytes of where it is wrong.
	Offset  int
	Message string
}

// Error is the message and its column.
func (e *Error) Error() string {
	return fmt.Sprintf("%s (at column %d)", e.Message, e.Offset+1)
}

// Parse reads a filter; an *Error says what is wrong with it.
func Parse(text string) (f Filter, err error) {
	if len(text) > MostBytes {
		return f, &Error{MostBytes, fmt.Sprintf("a filter has at most %d bytes", MostBytes)}
	}
	defer func() {
		// The SDK panics at some of what it does not understand.
		if r := recover(); r != nil {
			f, err = Filter{}, &Error{0, "this is no expression"}
		}
	}()
	words, wrong := lex(text)
	if wrong == nil {
		wrong = measure(words)
	}
	if wrong == nil {
		wrong = check(text)
	}
	if wrong != nil {
		return f, wrong
	}
	e, err := parser.Parse(text)
	if err != nil {
		return f, &Error{0, firstLine(err.Error())}
	}
	return Filter{e}, nil
}

// Matches tells whether an event satisfies the filter: whether it gives true,
// or what counts as true. A filter that cannot be evaluated for this event, such
// as one that reads an attribute which it lacks, is not satisfied; the error
// says why.
func (f Filter) Matches(e event.Event) (ok bool, err error) {
	if f.expression == nil {
		return true, nil
	}
	defer func() {
		if r := recover(); r != nil {
			ok, err = false, fmt.Errorf("cesql: evaluate: %v", r)
		}
	}()
	v, err := f.expression.Evaluate(e)
	if err == nil {
		v, err = utils.Cast(v, sql.BooleanType)
	}
	if err != nil {
		return false, fmt.Errorf("cesql: evaluate: %w", err)
	}
	return v == true, nil
}

// lex gives the tokens.
func lex(text string) ([]antlr.Token, error) {
	l := gen.NewCESQLParserLexer(parser.NewCaseChangingStream(antlr.NewInputStream(text), true))
	heard := &listener{text: text}
	l.RemoveErrorListeners()
	l.AddErrorListener(heard)
	var words []antlr.Token
	for t := l.NextToken(); t.GetTokenType() != antlr.TokenEOF && heard.first == nil; t = l.NextToken() {
		words = append(words, t)
		if len(words) > mostWords {
			return nil, &Error{at(text, t.GetStart()), fmt.Sprintf("a filter has at most %d words", mostWords)}
		}
		switch t.GetTokenType() {
		case gen.CESQLParserLexerSINGLE_QUOTE_SYMB, gen.CESQLParserLexerDOUBLE_QUOTE_SYMB:
			return nil, &Error{at(text, t.GetStart()), "a quote is not closed"}
		case gen.CESQLParserLexerINTEGER_LITERAL:
			if _, err := strconv.ParseInt(t.GetText(), 10, 32); err != nil {
				return nil, &Error{at(text, t.GetStart()), "the number " + t.GetText() + " is out of range"}
			}
		}
	}
	if heard.first != nil {
		return nil, heard.first
	}
	if len(words) == 0 {
		return nil, &Error{0, "it is empty"}
	}
	return words, nil
}

// measure bounds how deep brackets are nested, and how many operators stand
// before one operand: the parser and the evaluator go down once for each.
func measure(words []antlr.Token) error {
	depth, row := 0, 0
	for _, w := range words {
		switch w.GetTokenType() {
		case gen.CESQLParserLexerLR_BRACKET:
			depth++
		case gen.CESQLParserLexerRR_BRACKET:
			depth--
		case gen.CESQLParserLexerNOT, gen.CESQLParserLexerMINUS:
			row++
		default:
			row = 0
		}
		if depth > mostDepth || row > mostDepth {
			return &Error{w.GetStart(), fmt.Sprintf("nested more than %d levels deep", mostDepth)}
		}
	}
	return nil
}

// check parses for the sake of the first error and its place.
func check(text string) error {
	l := gen.NewCESQLParserLexer(parser.NewCaseChangingStream(antlr.NewInputStream(text), true))
	l.RemoveErrorListeners()
	p := gen.NewCESQLParserParser(antlr.NewCommonTokenStream(l, antlr.TokenDefaultChannel))
	heard := &listener{text: text}
	p.RemoveErrorListeners()
	p.AddErrorListener(heard)
	p.Cesql()
	if heard.first != nil {
		return heard.first
	}
	return nil
}

// listener keeps the first error.
type listener struct {
	antlr.DefaultErrorListener
	text  string
	first *Error
}

// SyntaxError is told of errors; line counts from 1, column from 0, in runes.
func (l *listener) SyntaxError(_ antlr.Recognizer, symbol any, line, column int, message string, _ antlr.RecognitionException) {
	if l.first != nil {
		return
	}
	offset := lineOffset(l.text, line, column)
	switch t, ok := symbol.(antlr.Token); {
	case ok && t.GetTokenType() == antlr.TokenEOF:
		message = "it breaks off"
	case ok:
		message = strconv.Quote(t.GetText()) + " does not belong here"
	case strings.HasPrefix(message, "token recognition error"):
		message = "this is no part of the language; text needs quotes"
	}
	l.first = &Error{offset, message}
}

// at gives the byte offset of a rune.
func at(text string, runes int) int {
	for i := range text {
		if runes == 0 {
			return i
		}
		runes--
	}
	return len(text)
}

func lineOffset(text string, line, column int) int {
	begin := 0
	for ; line > 1; line-- {
		i := strings.IndexByte(text[begin:], '\n')
		if i < 0 {
			break
		}
		begin += i + 1
	}
	return begin + at(text[begin:], column)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// Wrong gives the *Error that err is; nil where it is none.
func Wrong(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}
