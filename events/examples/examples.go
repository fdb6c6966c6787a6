// Package examples holds one event of each type, called by its type: a whole
// CloudEvent that shows every field that the event can have. They tell of one
// run, in which more goes wrong than in most.
package examples

import "embed"

// Files are the examples.
//
//go:embed *.json
var Files embed.FS
