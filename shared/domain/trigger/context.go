package trigger

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

const (
	// mostContext is what the narrowest forge takes for a status's name, in
	// characters, and mostFile what of that a file's path may have.
	mostContext = 100
	mostFile    = 60
)

// Named is a pipeline: its file and its name.
type Named struct{ File, Name string }

// Context names the status of a pipeline. The run of a pull request has one of
// its own beside that of the push of the same commit: they may end differently.
func Context(name string, pull bool) string { return context(name, "", pull) }

// Contexts names the statuses of all pipelines of a commit, by file. Two of one
// name would take each other's: the first in order has the plain one, every
// further one says its file too.
func Contexts(pipelines []Named, pull bool) map[string]string {
	contexts, taken := map[string]string{}, map[string]bool{}
	for _, p := range pipelines {
		c := Context(p.Name, pull)
		if taken[c] {
			c = context(p.Name, p.File, pull)
		}
		for n := 2; taken[c]; n++ { // somebody's name is made to look like another's file
			c = context(p.Name, fmt.Sprintf("%s %d", p.File, n), pull)
		}
		contexts[p.File], taken[c] = c, true
	}
	return contexts
}

func context(name, file string, pull bool) string {
	c, behind := "relevo/"+strings.Join(strings.Fields(name), " "), ""
	switch {
	case len([]rune(file)) > mostFile:
		behind = fmt.Sprintf(" (#%.4x)", sha256.Sum256([]byte(file)))
	case file != "":
		behind = " (" + file + ")"
	}
	if pull {
		behind += " (pull_request)"
	}
	if runes, most := []rune(c), mostContext-len([]rune(behind)); len(runes) > most {
		c = string(runes[:most])
	}
	return c + behind
}
