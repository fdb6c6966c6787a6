// Package fn is the shape of a function: a name, the event it handles and a
// handler that knows no transport. Hosts (the in-process bus, the Knative
// host, the root package for func) run the same values.
package fn

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/relevo-ci/relevo/events"
)

// Handler takes one delivery of an event and returns what it emits. A
// delivery may come twice, late or before its predecessor. An error is
// classed by fault.KindOf; Transient and Early ask for another delivery.
type Handler func(ctx context.Context, e events.Envelope) ([]events.Envelope, error)

// Function is one row of the functions' table.
type Function struct {
	// Name is the folder, the Knative service and the tail of the event type.
	Name string
	// Context owns it.
	Context events.Context
	// On is the event type that triggers it; empty for an HTTP function, "*" for
	// one that hears every event.
	On events.Type
	// Also are further types that trigger it: events of other systems, which
	// have names of their own.
	Also []events.Type
	// Under begins the further types of another language, all of which trigger it,
	// where a broker brings them; empty: none.
	Under string
	// Doc says in a line what it does.
	Doc string
	// Handle is set for event functions.
	Handle Handler
	// HTTP is set for HTTP functions.
	HTTP http.Handler
	// Way marks those on the way of a job: what a run that begins needs until its
	// first step runs. They are woken together.
	Way bool
	// Launches marks the functions that talk to a provider.
	Launches bool
}

// Everything is the On of a function that hears every event.
const Everything events.Type = "*"

// Takes tells whether an event of type t triggers the function.
func (f Function) Takes(t events.Type) bool {
	return f.Handle != nil && (f.On == t || f.On == Everything || slices.Contains(f.Also, t) || f.Under != "" && strings.HasPrefix(string(t), f.Under))
}

// Kind classes an error once, for the broker and for HTTP alike.
type Kind int

// The kinds.
const (
	Transient Kind = iota // the store, a provider or the network: deliver again
	Early                 // its predecessor has not come yet: deliver again
	Invalid               // malformed: never again; a dead letter
	Conflict
	NotFound
	Denied
	Exhausted
	Stale // of an epoch that is over: dropped, the clock tells again what stands
)

// Fault is an error with its kind.
type Fault struct {
	Kind Kind
	Err  error
}

// Error is the wrapped error's text.
func (f *Fault) Error() string { return f.Err.Error() }

// Unwrap gives the wrapped error.
func (f *Fault) Unwrap() error { return f.Err }

// Faultf makes an error of a kind.
func Faultf(k Kind, format string, args ...any) error {
	return &Fault{Kind: k, Err: fmt.Errorf(format, args...)}
}

// KindOf classes an error; what nobody classed is Transient, except an
// undecodable event.
func KindOf(err error) Kind {
	var f *Fault
	if errors.As(err, &f) {
		return f.Kind
	}
	if errors.Is(err, events.ErrInvalid) {
		return Invalid
	}
	return Transient
}

// Retry tells whether the same delivery may go better later.
func (k Kind) Retry() bool { return k == Transient || k == Early || k == Exhausted }
