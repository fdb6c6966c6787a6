package pipeline

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/relevo-ci/relevo/shared/domain/expression"
)

// mostFilter bounds a filter with its expressions replaced, in bytes.
const mostFilter = 4096

// FilterSample is a filter with each expression replaced as filter does it, by
// some value: whether it can be read does not depend on the value.
func FilterSample(t expression.Template) (string, error) {
	return filter(t, func(*expression.Node) (string, error) { return "x", nil })
}

// filter gives the text of a filter in CESQL with the values of its expressions
// as strings of that language, so that no value becomes a part of the filter
// itself: between quotes they are escaped, elsewhere they are put in quotes. In
// the pattern of a LIKE no value is a wildcard.
func filter(t expression.Template, value func(*expression.Node) (string, error)) (string, error) {
	var b strings.Builder
	var q quoting
	for _, p := range t.Parts {
		if p.Expr == nil {
			q.over(p.Text)
			b.WriteString(p.Text)
			continue
		}
		v, err := value(p.Expr)
		switch {
		case err != nil:
			return "", err
		case q.escaped:
			return "", errors.New("an expression cannot stand behind a backslash")
		case strings.ContainsRune(v, '\\'):
			return "", fmt.Errorf("the value %.100q has a backslash, which a filter cannot hold", v)
		case q.quote == 0:
			v = "'" + quoting{quote: '\'', pattern: q.afterLike()}.escape(v) + "'"
			q.over("''")
		default:
			v = q.escape(v)
		}
		b.WriteString(v)
		if b.Len() > mostFilter {
			return "", fmt.Errorf("with its values it is longer than %d bytes", mostFilter)
		}
	}
	return b.String(), nil
}

// quoting follows whether a place in a filter is between quotes.
type quoting struct {
	quote   rune   // the one that is open; 0: none
	escaped bool   // the next character is
	pattern bool   // the open quotes hold the pattern of a LIKE
	outside string // what stood outside of quotes so far
}

func (q *quoting) over(text string) {
	for _, c := range text {
		switch {
		case q.escaped:
			q.escaped = false
		case q.quote != 0 && c == '\\':
			q.escaped = true
		case q.quote != 0 && c == q.quote:
			q.quote = 0
		case q.quote != 0:
		case c == '\'' || c == '"':
			q.quote, q.pattern = c, q.afterLike()
		default:
			q.outside += string(c)
		}
	}
}

// afterLike tells whether the last word outside of quotes is LIKE.
func (q *quoting) afterLike() bool {
	before := strings.TrimSpace(q.outside)
	word := before[strings.LastIndexFunc(before, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) })+1:]
	return strings.EqualFold(word, "LIKE")
}

func (q quoting) escape(value string) string {
	pairs := []string{string(q.quote), "\\" + string(q.quote)}
	if q.pattern {
		pairs = append(pairs, "%", "\\%", "_", "\\_")
	}
	return strings.NewReplacer(pairs...).Replace(value)
}
