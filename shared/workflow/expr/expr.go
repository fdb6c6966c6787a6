// Package expr compiles the ${{ }} expressions of pipeline files to the trees
// that shared/domain/expression evaluates, and checks them against what is
// available at their place in the file.
//
// The lexer and the table of what is available where are actionlint's. The
// parser is not: actionlint's is made for linting, lowers the names of
// properties (two variables may differ in case alone), groups comparisons from
// the right (GitHub from the left) and refuses integers above 31 bits. A test
// holds that both accept the same.
package expr

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rhysd/actionlint"

	"github.com/relevo-ci/relevo/shared/domain/expression"
)

// MaxSource is the longest expression, in bytes; GitHub has the same bound.
const MaxSource = 21_000

// maxErrors in one expression, or in a template, are told: a text full of
// mistakes is not gone through again and again.
const maxErrors = 10

// Error says what is wrong with an expression, and where in the text that was
// handed in.
type Error struct {
	Message string
	Offset  int // in bytes, from 0
	Line    int // from 1
	Column  int // in characters, from 1
}

func (e *Error) Error() string {
	return fmt.Sprintf("expr: %d:%d: %s", e.Line, e.Column, e.Message)
}

// place makes an Error of an offset in src.
func place(src string, offset int, message string) *Error {
	offset = min(max(offset, 0), len(src))
	before := src[:offset]
	line := before[strings.LastIndexByte(before, '\n')+1:]
	return &Error{
		Message: message,
		Offset:  offset,
		Line:    strings.Count(before, "\n") + 1,
		Column:  utf8.RuneCountInString(line) + 1,
	}
}

// Compile compiles an expression written without ${{ }}.
func Compile(src string) (*expression.Node, *Error) {
	return first(compile(src, nil))
}

// CompileTemplate compiles a text with ${{ }} in it. With errors, as many as
// were found come in the order of the text, and the template is empty.
func CompileTemplate(src string) (expression.Template, []*Error) {
	return compileTemplate(src, nil)
}

// CompileCondition compiles an `if`, written with or without ${{ }}. An empty
// one gives nil, which stands for success().
func CompileCondition(src string) (*expression.Node, *Error) {
	return first(compileCondition(src, nil))
}

// Compile is Compile, and what Check finds, with positions.
func (s Scope) Compile(src string) (*expression.Node, []*Error) {
	return compile(src, &s)
}

// CompileTemplate is CompileTemplate, and what Check finds, with positions.
func (s Scope) CompileTemplate(src string) (expression.Template, []*Error) {
	return compileTemplate(src, &s)
}

// CompileCondition is CompileCondition, and what Check finds, with positions.
func (s Scope) CompileCondition(src string) (*expression.Node, []*Error) {
	return compileCondition(src, &s)
}

func first(n *expression.Node, errs []*Error) (*expression.Node, *Error) {
	if len(errs) > 0 {
		return nil, errs[0]
	}
	return n, nil
}

func compile(src string, in *Scope) (*expression.Node, []*Error) {
	f := invalid(src)
	var tokens []*actionlint.Token
	if f == nil {
		tokens, f = lex(src)
	}
	var t tree
	if f == nil {
		t, f = parse(tokens)
	}
	if f != nil {
		return nil, placeAll(src, 0, []fault{*f})
	}
	if errs := placeAll(src, 0, t.check(in)); len(errs) > 0 {
		return nil, errs
	}
	return t.root, nil
}

func compileCondition(src string, in *Scope) (*expression.Node, []*Error) {
	open := strings.Index(src, "${{")
	if open < 0 {
		if strings.TrimSpace(src) == "" {
			return nil, nil
		}
		return compile(src, in)
	}
	t, errs := compileTemplate(src, in)
	if len(errs) > 0 {
		return nil, errs
	}
	var found *expression.Node
	for _, p := range t.Parts {
		if strings.TrimSpace(p.Text) != "" || found != nil && p.Expr != nil {
			// GitHub joins the parts to a text, which is true whatever it says.
			return nil, []*Error{place(src, open, "a condition is one expression: put all of it into one ${{ }}, or leave ${{ }} out")}
		}
		if p.Expr != nil {
			found = p.Expr
		}
	}
	return found, nil
}

func compileTemplate(src string, in *Scope) (expression.Template, []*Error) {
	if f := invalid(src); f != nil {
		return expression.Template{}, placeAll(src, 0, []fault{*f})
	}
	var parts []expression.Part
	var errs []*Error
	for rest := src; rest != "" && len(errs) < maxErrors; {
		text, behind, open := strings.Cut(rest, "${{")
		if text != "" {
			parts = append(parts, expression.Part{Text: text})
		}
		if !open {
			break
		}
		n, end, faults := compileEmbedded(behind, in)
		parts = append(parts, expression.Part{Expr: n})
		errs = append(errs, placeAll(src, len(src)-len(behind), faults)...)
		rest = behind[end:]
	}
	if len(errs) > 0 {
		return expression.Template{}, errs
	}
	if len(parts) == 0 {
		return expression.Text(""), nil
	}
	return expression.Template{Parts: parts}, nil
}

// compileEmbedded compiles the expression that src begins with and tells where
// its }} ends.
func compileEmbedded(src string, in *Scope) (*expression.Node, int, []fault) {
	tokens, end, f := lexEmbedded(src)
	var t tree
	if f == nil {
		t, f = parse(tokens)
	}
	if f != nil {
		return nil, end, []fault{*f}
	}
	return t.root, end, t.check(in)
}

func placeAll(src string, base int, faults []fault) []*Error {
	errs := make([]*Error, 0, len(faults))
	for _, f := range faults {
		errs = append(errs, place(src, base+f.offset, f.message))
	}
	return errs
}
