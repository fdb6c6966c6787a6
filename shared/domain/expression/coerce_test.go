package expression_test

import (
	"math"
	"testing"

	"github.com/relevo-ci/relevo/shared/domain/expression"
)

func TestTruthy(t *testing.T) {
	for _, v := range []any{nil, false, 0.0, math.Copysign(0, -1), math.NaN(), ""} {
		if expression.Truthy(v) {
			t.Errorf("%#v is true", v)
		}
	}
	for _, v := range []any{true, 1.0, -0.1, math.Inf(1), "false", "0", " ", []any{}, map[string]any{}} {
		if !expression.Truthy(v) {
			t.Errorf("%#v is false", v)
		}
	}
}

func TestString(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string
	}{
		{nil, ""},
		{true, "true"},
		{false, "false"},
		{"a b", "a b"},
		{[]any{1.0}, "Array"},
		{map[string]any{"a": 1.0}, "Object"},
		{0.0, "0"},
		{math.Copysign(0, -1), "0"},
		{711.0, "711"},
		{-9.2, "-9.2"},
		{-2.99e-2, "-0.0299"},
		{0.1, "0.1"},
		{0.000001, "0.000001"},
		{0.0000001, "1e-7"},
		{-1.5e-10, "-1.5e-10"},
		{9007199254740991.0, "9007199254740991"},
		{123456789012345680000.0, "123456789012345680000"},
		{1e21, "1e+21"},
		{-1.25e100, "-1.25e+100"},
		{math.Inf(1), "Infinity"},
		{math.Inf(-1), "-Infinity"},
		{math.NaN(), "NaN"},
	} {
		if got := expression.String(c.v); got != c.want {
			t.Errorf("String(%#v) = %q, want %q", c.v, got, c.want)
		}
	}
}

func TestNumber(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		v    any
		want float64
	}{
		{nil, 0},
		{true, 1},
		{false, 0},
		{7.5, 7.5},
		{"", 0},
		{" \t\n", 0},
		{" 12 ", 12},
		{"-0.5e3", -500},
		{"+5", 5},
		{".5", 0.5},
		{"1.", 1},
		{"0xff", 255},
		{"0XFF", nan},
		{"0o17", 15},
		{"0o8", nan},
		{"-0xff", nan},
		{"0x1p-2", nan},
		{"1_000", nan},
		{"0x1_0", nan},
		{"1e400", math.Inf(1)},
		{"-1e400", math.Inf(-1)},
		{"Infinity", math.Inf(1)},
		{"-Infinity", math.Inf(-1)},
		{"inf", nan},
		{"nan", nan},
		{"e", nan},
		{"1e", nan},
		{"12a", nan},
		{"1 2", nan},
		{[]any{}, nan},
		{map[string]any{}, nan},
	} {
		got := expression.Number(c.v)
		if got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("Number(%#v) = %v, want %v", c.v, got, c.want)
		}
	}
}

// TestComparison goes through every pair of types with all six operators.
func TestComparison(t *testing.T) {
	list, object := []any{1.0}, map[string]any{}
	for _, c := range []struct {
		a, b  any
		holds string // of: = < >
	}{
		{nil, nil, "="},
		{nil, false, "="},
		{nil, true, "<"},
		{nil, 0.0, "="},
		{nil, "", "="},
		{nil, "a", ""},
		{nil, list, ""},
		{true, true, "="},
		{false, true, "<"},
		{true, 1.0, "="},
		{true, "1", "="},
		{true, "true", ""}, // as numbers: 1 and NaN
		{2.0, true, ">"},
		{1.0, " 1.0 ", "="},
		{10.0, "9", ">"},
		{math.NaN(), math.NaN(), ""},
		{math.Inf(1), 1.0, ">"},
		{"10", "9", "<"}, // two texts compare as texts
		{"abc", "ABC", "="},
		{"a", "[", "<"}, // as A: letters come before [
		{"ς", "Σ", "="},
		{"ı", "I", ">"},
		{"i", "İ", "<"},
		{"a", "aa", "<"},
		{list, list, "="},
		{list, []any{1.0}, ""},
		{list, "Array", ""},
		{object, object, "="},
		{object, map[string]any{}, ""},
		{object, 0.0, ""},
		{object, list, ""},
	} {
		is := func(s string) bool { return s == c.holds }
		env := &expression.Env{Contexts: map[string]any{"a": c.a, "b": c.b}}
		for op, want := range map[expression.Op]bool{
			expression.Eq: is("="), expression.Ne: !is("="),
			expression.Lt: is("<"), expression.Gt: is(">"),
			expression.Le: is("=") || is("<"), expression.Ge: is("=") || is(">"),
		} {
			got, err := expression.Eval(node(op, v("a"), v("b")), env)
			if err != nil || got != want {
				t.Errorf("%#v %s %#v = %v, %v", c.a, op, c.b, got, err)
			}
		}
	}
}
