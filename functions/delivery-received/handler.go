// Package deliveryreceived answers trigger.delivery.received: it does the work
// that a front door has no time for. It asks the forge for the pipeline files,
// compiles them, holds what happened against each, decides on trust, and starts
// the runs. What came of it, file by file and why, stands in the delivery.
//
// A run's id is derived from the delivery and the file: whatever comes twice, or
// is replayed, starts it once. What the forge cannot answer now is tried again
// later; nothing is lost over it.
package deliveryreceived

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/forge"
	"github.com/relevo-ci/relevo/shared/state"
)

const name = "delivery-received"

// Work is what the function is made of.
type Work struct {
	Front *state.Front
	Runs  *state.Runs
	// Forges that are served.
	Forges []forge.Forge
	// Where tells whether a CloudEvent, in its structured form, satisfies an
	// expression of CESQL. Nil: none is satisfied.
	Where func(expression string, event []byte) (bool, error)
	// Awaits wakes the jobs that wait for a CloudEvent, once each, and tells how
	// many. Nil: nobody waits.
	Awaits func(ctx context.Context, cause events.Envelope, d trigger.Delivery, event []byte) (int, []events.Envelope, error)
	// Public is the address that links for people begin with; empty: there are
	// none.
	Public string
	// Wake is called where a run is about to be started, and returns at once; may
	// be nil.
	Wake func()
	// Log hears of what is tried again; nil: slog.Default.
	Log *slog.Logger
}

const (
	// soon is the pause after the first try that a forge did not answer; it
	// doubles up to seldom.
	soon, seldom = 2 * time.Second, 10 * time.Minute
	// mostMissing is how often a commit, a branch or a pull request is looked for
	// that is not there: what was just pushed may not be everywhere yet.
	mostMissing = 5
)

// errHopeless is about what no further try changes.
var errHopeless = errors.New("deliveryreceived: hopeless")

// askedError is a forge's answer to what it was asked.
type askedError struct {
	what string
	err  error
}

// Error says what was asked, and the answer.
func (e *askedError) Error() string { return e.what + ": " + e.err.Error() }

// Unwrap gives the answer.
func (e *askedError) Unwrap() error { return e.err }

// asking tells what a forge was asked for that it did not do.
func asking(err error, what string, args ...any) error {
	return &askedError{fmt.Sprintf(what, args...), err}
}

// New makes the function.
func New(w *Work) fn.Function {
	if w.Log == nil {
		w.Log = slog.Default()
	}
	return fn.On(name, events.Triggers, "starts the pipelines that a delivery is for, or says why not", w.handle)
}

func (w *Work) handle(ctx context.Context, e events.Event[events.DeliveryReceived]) ([]events.Envelope, error) {
	d, body, ok, err := w.Front.Work(ctx, e.Envelope, e.Data.Delivery, e.Data.Round)
	if fn.KindOf(err) == fn.NotFound && err != nil {
		w.Log.Warn("delivery-received: gone before it was worked on", "delivery", e.Data.Delivery)
		return nil, nil //nolint:nilerr // there is nothing left to do
	}
	if err != nil || !ok {
		return nil, err
	}
	t := &task{Work: w, delivery: d, body: body, cause: e.Envelope}
	err = t.work(ctx)
	var asked *askedError
	switch {
	case err == nil:
	case passing(d, err):
		return t.emitted, w.later(ctx, e.Envelope, d, err)
	case errors.Is(err, forge.ErrBody):
		t.ending = trigger.Ending{Refused: true, Reason: "it cannot be read any more"}
	case errors.Is(err, errHopeless), errors.As(err, &asked) && ctx.Err() == nil:
		t.says(err.Error())
	default:
		return t.emitted, err // the store, or this process: deliver again
	}
	res, err := w.Front.Finish(ctx, e.Envelope, d.ID, d.Round, t.ending)
	return append(t.emitted, res.Emitted...), err
}

// passing tells that a forge may answer otherwise later.
func passing(d trigger.Delivery, err error) bool {
	return errors.Is(err, forge.ErrLater) || errors.Is(err, forge.ErrNotFound) && d.Tries < mostMissing
}

// later puts the work off: as long as the forge asks for, at least a growing
// while.
func (w *Work) later(ctx context.Context, cause events.Envelope, d trigger.Delivery, why error) error {
	after := min(soon<<min(max(d.Tries-1, 0), 16), seldom)
	var l *forge.Later
	if errors.As(why, &l) {
		after = max(after, l.After)
	}
	w.Log.Info("delivery-received: later", "delivery", d.ID, "source", d.Source, "after", after, "error", why)
	return w.Front.Defer(ctx, cause, d.ID, d.Round, after, why.Error())
}

// forge finds a forge by name.
func (w *Work) forge(name string) (forge.Forge, error) {
	for _, f := range w.Forges {
		if f.Name() == name {
			return f, nil
		}
	}
	return nil, fmt.Errorf("%w: no forge %s is served", errHopeless, name)
}
