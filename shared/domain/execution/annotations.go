package execution

import (
	"path"
	"strings"

	"github.com/relevo-ci/relevo/events"
)

// The bounds of what a job points people at: annotations travel in events.
const (
	MostAnnotations     = 10       // of a level in a step
	MostJobAnnotations  = 50       // of a job
	MostMessage         = 4 << 10  // bytes
	mostTitle           = 256      // bytes
	mostFile            = 1 << 10  // bytes
	mostAnnotationBytes = 32 << 10 // of a job's, all their texts
	mostLine            = 10_000_000
)

// Annotate holds the annotations of a job's steps within their bounds: of each
// step what is left of the first ones.
type Annotate struct{ count, bytes int }

// Take gives those of a step that fit, one after the other: all that is no
// annotation is left out, and what is too long cut.
func (a *Annotate) Take(list []events.Annotation) []events.Annotation {
	var taken []events.Annotation
	levels := map[string]int{}
	for _, one := range list {
		one = bounded(one)
		size := len(one.Message) + len(one.Title) + len(one.File)
		if one.Message == "" || !AnnotationLevel(one.Level) || levels[one.Level] == MostAnnotations ||
			a.count == MostJobAnnotations || a.bytes+size > mostAnnotationBytes {
			continue
		}
		levels[one.Level]++
		a.count++
		a.bytes += size
		taken = append(taken, one)
	}
	return taken
}

// Bound holds the steps of a job to it.
func Bound(steps []events.StepResult) []events.StepResult {
	var all Annotate
	out := make([]events.StepResult, len(steps))
	for i, s := range steps {
		s.Annotations = all.Take(s.Annotations)
		out[i] = s
	}
	return out
}

// AnnotationLevel tells whether a word is a level.
func AnnotationLevel(word string) bool {
	return word == "error" || word == "warning" || word == "notice"
}

func bounded(a events.Annotation) events.Annotation {
	a.Message, a.Title, a.File = cut(strings.TrimSpace(plain(a.Message)), MostMessage), cut(plain(a.Title), mostTitle), below(a.File)
	for _, n := range []*int{&a.Line, &a.EndLine, &a.Column, &a.EndColumn} {
		if *n < 0 || *n > mostLine {
			*n = 0
		}
	}
	if a.File == "" || a.Line == 0 {
		a.EndLine, a.Column, a.EndColumn = 0, 0, 0
	}
	if a.File == "" {
		a.Line = 0
	}
	return a
}

// plain is a text whose lines end with \n, without what moves a cursor, colours,
// or is no text to a forge.
func plain(text string) string {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	return strings.Map(func(c rune) rune {
		if c < ' ' && c != '\n' && c != '\t' || c == 0x7F {
			return -1
		}
		return c
	}, text)
}

// below gives a path from the root of the repository; none for one that leads
// elsewhere, or is too long.
func below(file string) string {
	if file = strings.TrimSpace(file); file == "" {
		return ""
	}
	clean := path.Clean(file)
	if path.IsAbs(clean) || clean == "." || clean == ".." || strings.HasPrefix(clean, "../") || len(clean) > mostFile ||
		strings.ContainsFunc(clean, func(c rune) bool { return c < ' ' || c == 0x7F }) {
		return ""
	}
	return clean
}

func cut(text string, most int) string {
	text = strings.ToValidUTF8(text, "?")
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len("…")], "") + "…"
}
