package workflow

import (
	"math"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v4"

	"github.com/relevo-ci/relevo/shared/domain/expression"
)

// The YAML 1.2 core schema: yes, no, on and off are text, and so are dates,
// numbers with underscores and those to the base of 60.
var (
	decimal     = regexp.MustCompile(`^[-+]?[0-9]+$`)
	octal       = regexp.MustCompile(`^0o[0-7]+$`)
	hexadecimal = regexp.MustCompile(`^0x[0-9a-fA-F]+$`)
	floating    = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
	notFinite   = regexp.MustCompile(`^([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$`)
)

// plain gives the value of an unquoted scalar: nil, bool, float64 (which may
// be infinite or NaN) or string.
func plain(text string) any {
	switch text {
	case "", "~", "null", "Null", "NULL":
		return nil
	case "true", "True", "TRUE":
		return true
	case "false", "False", "FALSE":
		return false
	}
	var f float64
	switch {
	case decimal.MatchString(text), floating.MatchString(text):
		f, _ = strconv.ParseFloat(text, 64) // out of range gives infinity
	case octal.MatchString(text):
		f = inBase(text[2:], 8)
	case hexadecimal.MatchString(text):
		f = inBase(text[2:], 16)
	case notFinite.MatchString(text):
		f = math.Inf(1)
	default:
		return text
	}
	return f
}

func inBase(digits string, base float64) float64 {
	var f float64
	for _, d := range digits {
		v, _ := strconv.ParseUint(string(d), 16, 8)
		f = f*base + float64(v)
	}
	return f
}

// scalar gives the value of a scalar as plain does, tags and quotes heeded. It
// reports tags that there are not, and numbers that cannot be kept; then ok is
// false.
func (r *reader) scalar(n *yaml.Node) (value any, ok bool) {
	const quoted = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	if n.Style&quoted != 0 {
		value = n.Value
	} else {
		value = plain(n.Value)
	}
	if n.Style&yaml.TaggedStyle != 0 {
		switch n.Tag {
		case "!!str", "!":
			value = n.Value
		case "!!int", "!!float", "!!bool", "!!null":
			value = plain(n.Value)
		default:
			r.fail(n, "write the value without a tag", "the tag %s is not supported", quote(n.Tag))
			return nil, false
		}
	}
	if f, isNumber := value.(float64); isNumber && (math.IsInf(f, 0) || math.IsNaN(f)) {
		r.fail(n, "quote it if it is text", "%s is not a number that can be kept", quote(n.Value))
		return nil, false
	}
	return value, true
}

// textOf is how a scalar's value stands in a text, as in Actions: 1.20 is
// "1.2", which is why version numbers are quoted.
func textOf(value any) string {
	if s, ok := value.(string); ok {
		return s
	}
	return expression.String(value)
}
