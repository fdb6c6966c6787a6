package execution_test

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
)

func TestAnnotationsOne(t *testing.T) {
	for name, c := range map[string]struct{ given, want events.Annotation }{
		"as it is": {
			events.Annotation{Level: "error", Message: "m", Title: "t", File: "a/b.go", Line: 1, EndLine: 2, Column: 3, EndColumn: 4},
			events.Annotation{Level: "error", Message: "m", Title: "t", File: "a/b.go", Line: 1, EndLine: 2, Column: 3, EndColumn: 4},
		},
		"no level":          {events.Annotation{Level: "debug", Message: "m"}, events.Annotation{}},
		"no message":        {events.Annotation{Level: "error", Message: " \n"}, events.Annotation{}},
		"a path to clean":   {events.Annotation{Level: "error", Message: "m", File: "./a//b/../c"}, events.Annotation{Level: "error", Message: "m", File: "a/c"}},
		"a path that leads": {events.Annotation{Level: "error", Message: "m", File: "../x", Line: 3}, events.Annotation{Level: "error", Message: "m"}},
		"an absolute one":   {events.Annotation{Level: "error", Message: "m", File: "/etc/passwd"}, events.Annotation{Level: "error", Message: "m"}},
		"a line break":      {events.Annotation{Level: "error", Message: "m", File: "a\nb"}, events.Annotation{Level: "error", Message: "m"}},
		"numbers": {
			events.Annotation{Level: "error", Message: "m", File: "a", Line: 1, EndLine: -1, Column: 1 << 40},
			events.Annotation{Level: "error", Message: "m", File: "a", Line: 1},
		},
		"controls": {
			events.Annotation{Level: "error", Message: "a\r\nb\rc\x00\x1b[31m\td", Title: "t\x07"},
			events.Annotation{Level: "error", Message: "a\nb\nc[31m\td", Title: "t"},
		},
		"no line": {events.Annotation{Level: "error", Message: "m", File: "a", Column: 4}, events.Annotation{Level: "error", Message: "m", File: "a"}},
	} {
		got := new(execution.Annotate).Take([]events.Annotation{c.given})
		if c.want.Level == "" {
			if len(got) > 0 {
				t.Errorf("%s: %+v", name, got)
			}
		} else if len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	long := new(execution.Annotate).Take([]events.Annotation{{Level: "error", Message: strings.Repeat("é", execution.MostMessage)}})[0].Message
	if len(long) > execution.MostMessage || len(long) < execution.MostMessage-8 || !utf8.ValidString(long) {
		t.Errorf("%d bytes", len(long))
	}
}

// TestAnnotationsAreBounded: ten of a level in a step, fifty of a job, and so many
// bytes.
func TestAnnotationsAreBounded(t *testing.T) {
	var many []events.Annotation
	for i := range 30 {
		for _, level := range []string{"error", "warning", "notice"} {
			many = append(many, events.Annotation{Level: level, Message: strconv.Itoa(i)})
		}
	}
	steps := execution.Bound([]events.StepResult{{ID: "a", Annotations: many}, {ID: "b", Annotations: many}, {ID: "c"}})
	if len(steps[0].Annotations) != 30 || len(steps[1].Annotations) != 20 || steps[0].Annotations[29].Message != "9" || steps[2].Annotations != nil {
		t.Errorf("%d and %d", len(steps[0].Annotations), len(steps[1].Annotations))
	}
	if again := execution.Bound(steps); !reflect.DeepEqual(again, steps) {
		t.Error("what is within bounds changes")
	}
	for i := range many {
		many[i].Message = strings.Repeat("x", execution.MostMessage)
	}
	size := 0
	for _, a := range execution.Bound([]events.StepResult{{Annotations: many}})[0].Annotations {
		size += len(a.Message)
	}
	if size != 32<<10 {
		t.Errorf("%d bytes", size)
	}
}
