package deliveryreceived

import (
	"strings"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/workflow"
)

// What the forge is told of a file's mistakes at most, and of each, in bytes.
const (
	mostMistakes = 50
	mostMistake  = 1 << 10
)

// mistakes point at what is wrong with a file, where it is.
func mistakes(errs workflow.Errors) []events.Annotation {
	var list []events.Annotation
	for _, e := range errs[:min(len(errs), mostMistakes)] {
		message := e.Message
		if e.Hint != "" {
			message += " (" + e.Hint + ")"
		}
		if len(message) > mostMistake {
			message = strings.ToValidUTF8(message[:mostMistake], "") + "…"
		}
		list = append(list, events.Annotation{
			Level: "error", Title: "The pipeline file is refused", Message: message, File: e.File, Line: e.Line, Column: e.Column,
		})
	}
	return list
}
