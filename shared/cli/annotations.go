package cli

import (
	"fmt"
	"strings"

	"github.com/relevo-ci/relevo/events"
)

// Annotation is one in a line: file:line:column: level: title: message.
func Annotation(a events.Annotation) string {
	var b strings.Builder
	if file := oneLine(a.File); file != "" {
		b.WriteString(file)
		for _, n := range []int{a.Line, a.Column} {
			if n == 0 {
				break
			}
			fmt.Fprintf(&b, ":%d", n)
		}
		b.WriteString(": ")
	}
	b.WriteString(oneLine(a.Level) + ": ")
	if title := oneLine(a.Title); title != "" {
		b.WriteString(title + ": ")
	}
	b.WriteString(oneLine(a.Message))
	return b.String()
}

// Annotations are all of a job's steps.
func Annotations(steps []events.StepResult) []events.Annotation {
	var all []events.Annotation
	for _, s := range steps {
		all = append(all, s.Annotations...)
	}
	return all
}

// mostShown are the annotations of a job that a summary has.
const mostShown = 20

// annotations are what the jobs pointed at.
func (s Summary) annotations() string {
	var b strings.Builder
	for _, j := range s.Jobs {
		for _, a := range j.Annotations[:min(len(j.Annotations), mostShown)] {
			b.WriteString(oneLine(j.Name) + ": " + Annotation(a) + "\n")
		}
		if more := len(j.Annotations) - mostShown; more > 0 {
			fmt.Fprintf(&b, "%s: and %d more\n", oneLine(j.Name), more)
		}
	}
	if b.Len() > 0 {
		b.WriteString("\n")
	}
	return b.String()
}

// annotations are what the job's steps of the last attempt pointed at.
func (j *job) annotations() []events.Annotation {
	var all []events.Annotation
	for _, s := range j.steps {
		all = append(all, s.result.Annotations...)
	}
	return all
}
