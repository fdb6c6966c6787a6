package workflow

import (
	"reflect"
	"testing"

	"go.yaml.in/yaml/v4"
)

// TestPlain is the YAML 1.2 core schema.
func TestPlain(t *testing.T) {
	for text, want := range map[string]any{
		"": nil, "~": nil, "null": nil, "Null": nil, "nil": "nil",
		"true": true, "True": true, "FALSE": false, "tRue": "tRue",
		"yes": "yes", "no": "no", "on": "on", "off": "off", "y": "y",
		"0": 0.0, "-12": -12.0, "+7": 7.0, "010": 10.0, "0o10": 8.0, "0xfF": 255.0, "0b1": "0b1",
		"1.20": 1.2, ".5": 0.5, "5.": 5.0, "1e3": 1000.0, "-1.5E-1": -0.15, ".": ".", "1e": "1e",
		"1_000": "1_000", "1:30": "1:30", "2020-01-01": "2020-01-01", "1.2.3": "1.2.3", "0o8": "0o8",
	} {
		if got := plain(text); got != want {
			t.Errorf("%q is %v (%T), want %v", text, got, got, want)
		}
	}
}

// matrixOf unfolds a matrix written in YAML.
func matrixOf(t *testing.T, src string) []combination {
	t.Helper()
	r := &reader{report: &report{file: "m", lines: newLines([]byte(src))}}
	all, ok := r.matrix(document([]byte(src), r.report))
	if !ok || len(r.errs) > 0 {
		t.Fatal(r.errs)
	}
	return all
}

func TestUnfold(t *testing.T) {
	type object = map[string]any
	for _, c := range []struct {
		name, src string
		want      []map[string]any
	}{
		{"order", "a: [1, 2]\nb: [x, y]", []map[string]any{{"a": 1.0, "b": "x"}, {"a": 1.0, "b": "y"}, {"a": 2.0, "b": "x"}, {"a": 2.0, "b": "y"}}},
		{"include alone", "include: [{a: 1}, {a: 1, b: 2}]", []map[string]any{{"a": 1.0}, {"a": 1.0, "b": 2.0}}},
		// The example of GitHub's documentation.
		{"fruit", `
fruit: [apple, pear]
animal: [cat, dog]
include:
  - color: green
  - color: pink
    animal: cat
  - fruit: apple
    shape: circle
  - fruit: banana
  - fruit: banana
    animal: cat`, []map[string]any{
			{"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"},
			{"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"},
			{"fruit": "pear", "animal": "cat", "color": "pink"},
			{"fruit": "pear", "animal": "dog", "color": "green"},
			{"fruit": "banana"},
			{"fruit": "banana", "animal": "cat"},
		}},
		{"exclude in part", "a: [1, 2]\nb: [x, y]\nexclude: [{a: 1}, {a: 2, b: y}]", []map[string]any{{"a": 2.0, "b": "x"}}},
		{"exclude comes before include", "a: [1, 2]\nexclude: [{a: 1}]\ninclude: [{a: 1, b: x}]", []map[string]any{{"a": 2.0}, {"a": 1.0, "b": "x"}}},
		{"an empty exclude takes nothing", "a: [1]\nexclude: [{}]", []map[string]any{{"a": 1.0}}},
		{"exclude by part of an object", "a: [{x: 1, y: 2}, {x: 3}]\nexclude: [{a: {x: 1}}]", []map[string]any{{"a": object{"x": 3.0}}}},
		{"types differ", "a: [1, '1', true, null]\nexclude: [{a: '1'}]", []map[string]any{{"a": 1.0}, {"a": true}, {"a": nil}}},
		{"lists as values", "a: [[x, y], [z]]", []map[string]any{{"a": []any{"x", "y"}}, {"a": []any{"z"}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []map[string]any
			for _, one := range matrixOf(t, c.src) {
				got = append(got, one.values)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %v\nwant %v", got, c.want)
			}
		})
	}
}

func TestSuffix(t *testing.T) {
	for src, want := range map[string]string{
		"os: [linux]\nversion: [1.20]":      " (linux, 1.2)",
		"a: [{y: 1, x: [2, true]}]":         " (2, true, 1)",
		"a: ['']\nb: [null]":                "",
		"b: [1]\na: [2]\ninclude: [{c: 3}]": " (1, 2, 3)",
	} {
		if got := matrixOf(t, src)[0].suffix(); got != want {
			t.Errorf("%q gives %q, want %q", src, got, want)
		}
	}
	if got := len([]rune(shortened("ä" + string(make([]byte, 200))))); got != 100 {
		t.Errorf("a long name keeps %d characters", got)
	}
}

// TestPosition finds bytes of a scalar's value in the file.
func TestPosition(t *testing.T) {
	const src = `plain: some tëxt X
single: 'some text X'
double: "some text X"
escaped: "some\ttext X"
literal: |
  first

    tëxt X
keep: |+2
    text X
folded: >
  some
  text X
anchored: &a text X
tagged: !!str text X
flow: {a: text X}
crlf: |
  one` + "\r\n  two X\r\n"
	lines := newLines([]byte(src))
	r := &report{lines: lines}
	root := document([]byte(src), r)
	if root == nil {
		t.Fatal(r.errs)
	}
	beginning := map[string]bool{"escaped": true, "folded": true}
	for i := 0; i < len(root.Content); i += 2 {
		name, n := root.Content[i].Value, root.Content[i+1]
		if n.Kind == yaml.MappingNode {
			n = n.Content[1]
		}
		at := len(n.Value) - 1
		for n.Value[at] != 'X' {
			at--
		}
		line, column := lines.position(n, at)
		if beginning[name] {
			if line != n.Line || column != n.Column {
				t.Errorf("%s: %d:%d is not its beginning", name, line, column)
			}
			continue
		}
		if text := []rune(lines.text(line)); column > len(text) || text[column-1] != 'X' {
			t.Errorf("%s: %d:%d of %q is not X", name, line, column, lines.text(line))
		}
	}
}
