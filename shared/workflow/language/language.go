// Package language is the vocabulary of pipeline files as a table: which key
// may stand where, what its value looks like, which keys are known but refused.
// The reader in shared/workflow, the JSON Schemas for editors and the reference
// in docs/language.md all follow this one table.
package language

import "strings"

//go:generate go run ./generate

// Support says how Relevo stands to a key.
type Support int

// The kinds of support.
const (
	// Actions: a word of GitHub Actions that is implemented.
	Actions Support = iota
	// Own: Relevo's own word; GitHub refuses it, so for files in
	// .github/workflows it stands in the overlay.
	Own
	// Refused: known but not implemented; Doc says what to do instead.
	Refused
)

// Key is one key of a mapping.
type Key struct {
	Name     string
	Support  Support
	Required bool
	Doc      string // one phrase, for people; of a refused key the way round it
	Value    Shape  // nothing for a refused key
}

// Place is a mapping whose keys are known.
type Place struct {
	ID   string // in the schemas: job
	Name string // in messages: "a job"
	Keys []Key
	// OneOf are keys of which exactly one has to be there; none: nothing is asked.
	OneOf []string
}

// Find gives the key of that name.
func (p *Place) Find(name string) (Key, bool) {
	for _, k := range p.Keys {
		if k.Name == name {
			return k, true
		}
	}
	return Key{}, false
}

// Names lists the keys that are implemented, in the table's order.
func (p *Place) Names() []string {
	var names []string
	for _, k := range p.Keys {
		if k.Support != Refused {
			names = append(names, k.Name)
		}
	}
	return names
}

// only keeps the keys with that support.
func only(s Support, keys []Key) []Key {
	var kept []Key
	for _, k := range keys {
		if k.Support == s {
			kept = append(kept, k)
		}
	}
	return kept
}

// Nearest gives the candidate that name is most likely a slip of, or nothing
// where none is close.
func Nearest(name string, candidates []string) string {
	const longest = 64 // no candidate is longer, and the distance is quadratic
	if name == "" || len(name) > longest {
		return ""
	}
	best, bound := "", min(1+len(name)/3, len(name)-1)
	for _, c := range candidates[:min(len(candidates), 300)] {
		if d := distance(strings.ToLower(name), strings.ToLower(c)); d <= bound {
			best, bound = c, d-1
		}
	}
	return best
}

// distance counts the letters to insert, remove, change or swap with their
// neighbour to make b of a (optimal string alignment).
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	row := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
