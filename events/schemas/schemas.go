// Package schemas holds the generated schemas of the published language, for
// programs that hand them out: a JSON Schema for each event's payload, called
// by its type, the envelope's, the bundle that validates any whole event, and
// the AsyncAPI document. Package schema validates with them.
package schemas

import "embed"

// Files are the generated files.
//
//go:embed *.json
var Files embed.FS
