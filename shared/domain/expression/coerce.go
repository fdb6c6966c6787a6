package expression

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Truthy is how a condition reads a value: null, false, 0, NaN and "" are
// false, everything else is true.
func Truthy(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case float64:
		return v != 0 && !math.IsNaN(v)
	case string:
		return v != ""
	}
	return true
}

// String is how a value stands in a text: null is empty, a list is "Array", an
// object "Object". A number is written as JavaScript does: in decimals, from
// 1e21 and below 1e-6 with an exponent, and with as many digits as it takes to
// read the same number back.
func String(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return formatNumber(v)
	case string:
		return v
	case []any, filtered:
		return "Array"
	}
	return "Object"
}

func formatNumber(f float64) string {
	switch abs := math.Abs(f); {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 0):
		return strings.Repeat("-", boolToInt(f < 0)) + "Infinity"
	case f == 0: // -0 too
		return "0"
	case abs < 1e-6 || abs >= 1e21:
		s := strconv.FormatFloat(f, 'e', -1, 64)
		mantissa, exponent, _ := strings.Cut(s, "e")
		return mantissa + "e" + exponent[:1] + strings.TrimLeft(exponent[1:], "0")
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Number is how a value compares with a number: null is 0, true is 1, a text
// is read as a number (in decimals, as 0xff or 0o17, with white space around
// it; an empty text is 0). Lists, objects and other texts are NaN.
func Number(v any) float64 {
	switch v := v.(type) {
	case nil:
		return 0
	case bool:
		return float64(boolToInt(v))
	case float64:
		return v
	case string:
		return parseNumber(strings.TrimSpace(v))
	}
	return math.NaN()
}

func parseNumber(s string) float64 {
	switch {
	case s == "":
		return 0
	case s == "Infinity", s == "+Infinity":
		return math.Inf(1)
	case s == "-Infinity":
		return math.Inf(-1)
	case len(s) > 2 && (s[:2] == "0x" || s[:2] == "0o"):
		base := map[byte]int{'x': 16, 'o': 8}[s[1]]
		n, err := strconv.ParseUint(s[2:], base, 64)
		if err != nil {
			return math.NaN()
		}
		return float64(n)
	// ParseFloat also knows "inf", "nan", "0x1p-2" and "1_000".
	case strings.Trim(s, "0123456789+-.eE") != "":
		return math.NaN()
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) { // out of range is infinite, as in JavaScript
		return math.NaN()
	}
	return f
}

// fold makes texts that differ in case alone the same. A letter outside ASCII
// never becomes one inside (the dotless i is no i).
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if upper := unicode.ToUpper(r); r < utf8.RuneSelf || upper >= utf8.RuneSelf {
			return upper
		}
		return r
	}, s)
}

// equal is ==: values of different types are compared as numbers, texts
// without case. A list or an object equals itself alone, and what a filter gives
// is always a new list; of other empty lists there is no telling, they are one.
func equal(a, b any) bool {
	switch a := a.(type) {
	case nil:
		if b == nil {
			return true
		}
	case bool:
		if b, ok := b.(bool); ok {
			return a == b
		}
	case string:
		if b, ok := b.(string); ok {
			return a == b || fold(a) == fold(b)
		}
	case []any:
		b, ok := b.([]any)
		return ok && len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && fmt.Sprintf("%p", a) == fmt.Sprintf("%p", b)
	}
	return Number(a) == Number(b) // NaN equals nothing
}

// An ordering of two values, or that they have none: lists, objects, and
// texts that are no number against numbers.
type ordering int

const (
	unordered ordering = iota
	less
	same
	greater
)

func order(a, b any) ordering {
	if a, ok := a.(string); ok {
		if b, ok := b.(string); ok {
			return ordering(strings.Compare(fold(a), fold(b))) + same
		}
	}
	switch a, b := Number(a), Number(b); {
	case a < b:
		return less
	case a > b:
		return greater
	case a == b:
		return same
	}
	return unordered
}

func textLen(v any) int {
	s, _ := v.(string)
	return len(s)
}
