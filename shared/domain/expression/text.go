package expression

import (
	"fmt"
	"strconv"
	"strings"
)

// text collects a result within its bounds. After an error it collects no
// more; result tells.
type text struct {
	run *run
	b   strings.Builder
	err error
}

func (t *text) add(s string) {
	if t.err != nil {
		return
	}
	if t.b.Len()+len(s) > MaxText {
		t.err = errText
		return
	}
	// One more for the call: an endless row of empty texts ends too.
	if t.err = t.run.spend(len(s) + 1); t.err == nil {
		t.b.WriteString(s)
	}
}

func (t *text) check(err error) {
	if t.err == nil {
		t.err = err
	}
}

func (t *text) result() (any, error) {
	if t.err != nil {
		return nil, t.err
	}
	return t.b.String(), nil
}

// format replaces {0}, {1} …; {{ and }} stand for braces.
func (r *run) format(pattern string, args []any) (any, error) {
	out := text{run: r}
	for out.err == nil {
		brace := strings.IndexAny(pattern, "{}")
		if brace < 0 {
			out.add(pattern)
			break
		}
		out.add(pattern[:brace])
		pattern = pattern[brace:]
		if len(pattern) > 1 && pattern[0] == pattern[1] {
			out.add(pattern[:1])
			pattern = pattern[2:]
			continue
		}
		index, rest, closed := strings.Cut(pattern[1:], "}")
		n, err := strconv.ParseUint(index, 10, 8)
		switch {
		case pattern[0] == '}' || !closed || err != nil:
			return nil, fmt.Errorf("expression: format: a brace stands alone; write {{ or }} for a brace, {0} for the first value")
		case int(n) >= len(args):
			return nil, fmt.Errorf("expression: format: {%d} has no value, only %d are given", n, len(args))
		}
		out.add(String(args[n]))
		pattern = rest
	}
	return out.result()
}
