package command

import (
	"bytes"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
)

// ParseAnnotation reads a line
//
//	::error file=…,line=…,endLine=…,col=…,endColumn=…,title=…::message
//
// or ::warning, or ::notice; ok is false where it is none. What it says is not
// bounded yet, nor masked.
func ParseAnnotation(line []byte) (a events.Annotation, ok bool) {
	c, ok := Parse(line)
	if !ok || !execution.AnnotationLevel(c.Name) {
		return a, false
	}
	a.Level, a.Message = c.Name, c.Value
	line, _ = bytes.CutPrefix(bytes.TrimLeft(line, " \t"), []byte("::"))
	head, _, _ := bytes.Cut(line, []byte("::"))
	_, properties, _ := strings.Cut(string(head), " ")
	unescape := strings.NewReplacer("%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",", "%25", "%")
	for property := range strings.SplitSeq(properties, ",") {
		name, value, _ := strings.Cut(property, "=")
		value = unescape.Replace(value)
		number, _ := strconv.Atoi(value)
		switch strings.TrimSpace(name) {
		case "file":
			a.File = value
		case "title":
			a.Title = value
		case "line":
			a.Line = number
		case "endLine":
			a.EndLine = number
		case "col":
			a.Column = number
		case "endColumn":
			a.EndColumn = number
		}
	}
	return a, true
}

// Below gives the path of an annotation's file in the repository, given where in
// the workspace that is: what is in none of those folders stays.
func Below(roots []string, file string) string {
	if slices.Contains(roots, ".") {
		return file
	}
	for _, root := range roots {
		if below, ok := strings.CutPrefix(path.Clean(file), root+"/"); ok {
			return below
		}
	}
	return file
}

// Within gives the path of an annotation's file from a folder, where it is an
// absolute one below that.
func Within(folder, file string) string {
	if !filepath.IsAbs(file) || folder == "" {
		return file
	}
	if below, err := filepath.Rel(folder, file); err == nil && filepath.IsLocal(below) {
		return below
	}
	return file
}
