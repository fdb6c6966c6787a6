package expression

import (
	"errors"
	"fmt"
)

// The bounds of one evaluation. Pipeline files and the payloads that they read
// come from strangers: beyond a bound the answer is an error, not a process
// without memory.
const (
	// MaxDepth is how deep a tree, and JSON for fromJSON and toJSON, may nest.
	MaxDepth = 200
	// MaxNodes is how many nodes one expression may visit.
	MaxNodes = 20_000
	// MaxText is the longest text that an expression or template may give, in
	// bytes.
	MaxText = 1 << 20
	// MaxWork bounds a whole template or expression: bytes compared and written,
	// values looked at.
	MaxWork = 32 << 20
)

// ErrLimit is in every error that says that a bound is passed.
var ErrLimit = errors.New("limit passed")

// ErrMalformed is in every error that says that a tree is not one that the
// compiler makes, or that a context holds a value of no known type.
var ErrMalformed = errors.New("malformed")

var (
	errDepth = fmt.Errorf("expression: %w: nested deeper than %d", ErrLimit, MaxDepth)
	errNodes = fmt.Errorf("expression: %w: more than %d operations", ErrLimit, MaxNodes)
	errText  = fmt.Errorf("expression: %w: text longer than %d bytes", ErrLimit, MaxText)
	errWork  = fmt.Errorf("expression: %w: too much data to go through", ErrLimit)
)

// run is one evaluation and what it has used up so far.
type run struct {
	env   *Env
	nodes int
	work  int
}

func newRun(env *Env) *run {
	if env == nil {
		env = &Env{}
	}
	return &run{env: env}
}

func (r *run) spend(n int) error {
	if r.work += n; r.work > MaxWork {
		return errWork
	}
	return nil
}
