package execution

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// Checkout are the inputs of a checkout, with what Actions has where they are not
// set.
type Checkout struct {
	Repository string // owner/name; empty: the run's own
	Ref        string
	Path       string // below the workspace
	Depth      int    // commits; 0: all
	Tags       bool
	Submodules Submodules
	Clean      bool
	Sparse     []string
	SparseCone bool
}

// Submodules says which submodules are checked out.
type Submodules int

// The kinds.
const (
	NoSubmodules Submodules = iota
	OwnSubmodules
	AllSubmodules // theirs too
)

// ErrInput: an input of a checkout makes no sense.
var ErrInput = errors.New("execution: bad input of a checkout")

// ReadCheckout makes inputs of their texts by name. One that is empty counts as not
// set; names that are none are passed over.
func ReadCheckout(text map[string]string) (Checkout, error) {
	in := Checkout{Depth: 1, Clean: true, SparseCone: true}
	for _, name := range []string{"repository", "ref", "path", "fetch-depth", "fetch-tags", "submodules", "clean", "sparse-checkout", "sparse-checkout-cone-mode"} {
		value := strings.TrimSpace(text[name])
		if value == "" {
			continue
		}
		if wrong := in.set(name, value); wrong != "" {
			return in, fmt.Errorf("%w: %s: %s", ErrInput, name, wrong)
		}
	}
	return in, nil
}

// WrongInput says what is wrong with the text of an input; empty where nothing is.
func WrongInput(name, value string) string {
	if value = strings.TrimSpace(value); value == "" {
		return ""
	}
	return (&Checkout{}).set(name, value)
}

var repository = regexp.MustCompile(`^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.~-]+)+$`)

func (in *Checkout) set(name, value string) (wrong string) {
	switch name {
	case "repository":
		in.Repository = value
		if !repository.MatchString(value) || strings.Contains("/"+value+"/", "/../") || strings.Contains("/"+value+"/", "/./") {
			return fmt.Sprintf("%q is not owner/name", value)
		}
	case "ref":
		in.Ref = value
		return wrongRef(value)
	case "path":
		in.Path = path.Clean(value)
		if strings.HasPrefix(value, "/") || in.Path == ".." || strings.HasPrefix(in.Path, "../") {
			return fmt.Sprintf("%q is not below the workspace", value)
		}
	case "fetch-depth":
		n, err := strconv.Atoi(value)
		if in.Depth = n; err != nil || n < 0 {
			return fmt.Sprintf("%q is no number of commits, with 0 for all", value)
		}
	case "submodules":
		return in.setSubmodules(value)
	case "sparse-checkout":
		for line := range strings.Lines(value) {
			if line = strings.TrimSpace(line); line != "" {
				in.Sparse = append(in.Sparse, line)
			}
		}
	case "fetch-tags":
		return truth(&in.Tags, value)
	case "clean":
		return truth(&in.Clean, value)
	case "sparse-checkout-cone-mode":
		return truth(&in.SparseCone, value)
	}
	return ""
}

func (in *Checkout) setSubmodules(value string) (wrong string) {
	switch strings.ToLower(value) {
	case "true":
		in.Submodules = OwnSubmodules
	case "recursive":
		in.Submodules = AllSubmodules
	case "false":
		in.Submodules = NoSubmodules
	default:
		return fmt.Sprintf("%q is neither true, false nor recursive", value)
	}
	return ""
}

func truth(into *bool, value string) (wrong string) {
	switch strings.ToLower(value) {
	case "true":
		*into = true
	case "false":
		*into = false
	default:
		return fmt.Sprintf("%q is neither true nor false", value)
	}
	return ""
}

// wrongRef refuses what git would take for an option or for several refs: see
// git-check-ref-format(1).
func wrongRef(ref string) string {
	if strings.HasPrefix(ref, "-") || strings.Contains(ref, "..") || strings.Contains(ref, "@{") ||
		strings.ContainsAny(ref, " ~^:?*[\\\x7f") || strings.ContainsFunc(ref, func(c rune) bool { return c < ' ' }) {
		return fmt.Sprintf("%q is no branch, tag or commit", ref)
	}
	return ""
}
