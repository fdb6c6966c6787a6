package deliveryreceived

import (
	"strings"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/workflow"
)

// What the forge is told of a file's mistakes at most, of each, and of all of
// them, in bytes: what is known of a commit is one document, of all its files.
const (
	mostMistakes = 50
	mostMistake  = 1 << 10
	mostOfFile   = 8 << 10
)

// mistakes point at what is wrong with a file, where it is.
func mistakes(errs workflow.Errors) []events.Annotation {
	var list []events.Annotation
	size := 0
	for _, e := range errs[:min(len(errs), mostMistakes)] {
		message := e.Message
		if e.Hint != "" {
			message += " (" + e.Hint + ")"
		}
		if len(message) > mostMistake {
			message = strings.ToValidUTF8(message[:mostMistake], "") + "…"
		}
		if size += len(message) + len(e.File); size > mostOfFile {
			break
		}
		list = append(list, events.Annotation{
			Level: "error", Title: "The pipeline file is refused", Message: message, File: e.File, Line: e.Line, Column: e.Column,
		})
	}
	return list
}
