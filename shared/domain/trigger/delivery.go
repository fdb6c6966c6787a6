package trigger

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// DeliveryState is where a delivery stands: received → working → done or
// refused; a replay takes it back to received.
type DeliveryState string

// The states of a delivery.
const (
	Received DeliveryState = "received"
	Working  DeliveryState = "working"
	Done     DeliveryState = "done"
	Refused  DeliveryState = "refused" // nothing can come of it: it was no delivery
)

// Final tells that nobody works on it.
func (s DeliveryState) Final() bool { return s == Done || s == Refused }

// Arrival is a delivery as it comes in at a front door.
type Arrival struct {
	// Source is the front door: a forge's name, cloudevent or schedule.
	Source string `json:"source"`
	// Sender is the id that the sender gave it; empty: its body's hash counts.
	Sender string `json:"sender"`
	// Event, Action, Repository, Ref, SHA and Actor as far as they are known at the door.
	Event      string `json:"event"`
	Action     string `json:"action,omitempty"`
	Repository string `json:"repository,omitempty"`
	Ref        string `json:"ref,omitempty"`
	SHA        string `json:"sha,omitempty"`
	Actor      string `json:"actor,omitempty"`
	// Run whose step emitted the event, and Hops how many runs it is away from
	// what came from outside; nothing for what did.
	Run  events.RunID `json:"run,omitempty"`
	Hops int          `json:"hops,omitempty"`
	// Header of the request, without what is secret.
	Header map[string]string `json:"header,omitempty"`
	// Digest is the SHA-256 of the body, hex.
	Digest string `json:"digest"`
	// Size of the body in bytes, and Stored what is kept for it.
	Size   int   `json:"size"`
	Stored int64 `json:"stored,omitempty"`
}

// MostHops is how many runs may follow one another by events that their steps
// emit: pipelines that start each other in a circle end there.
const MostHops = 8

// TooFar says why a delivery starts no pipeline any more; empty where it may.
func (a Arrival) TooFar() string {
	if a.Hops <= MostHops {
		return ""
	}
	return fmt.Sprintf("%d runs started one another by events that their steps emitted, the last of them %s: do they go in a circle?", a.Hops, a.Run)
}

// ID is derived from the sender's own, so that what is delivered again has it
// again.
func (a Arrival) ID() events.DeliveryID {
	sender := "id/" + a.Sender
	if a.Sender == "" {
		sender = "body/" + a.Digest
	}
	return events.DeliveryID(events.DeriveID("delivery", a.Source, sender))
}

// Delivery is something from outside in the ledger of triggers.
type Delivery struct {
	ID events.DeliveryID `json:"id"`
	Arrival
	State DeliveryState `json:"state"`
	// Reason why it was refused, or why it waits.
	Reason   string    `json:"reason,omitempty"`
	Received time.Time `json:"received"`
	Ended    time.Time `json:"ended,omitzero"`
	// Round counts how often it was asked to be worked on: 1, and one more with
	// each replay.
	Round int `json:"round"`
	// Tries counts how often work on this round began.
	Tries int `json:"tries,omitempty"`
	// NotBefore is when it is to be tried again, zero: at once.
	NotBefore time.Time `json:"notBefore,omitzero"`
	// Outcomes, one a pipeline file, sorted by file.
	Outcomes []Outcome `json:"outcomes,omitempty"`
	// Change is what happened to the pull request that it tells of.
	Change events.Change `json:"change,omitempty"`
	// Repeats counts how often it came again, Altered how often with another
	// body, which was refused.
	Repeats int `json:"repeats,omitempty"`
	Altered int `json:"altered,omitempty"`
	// Asked is who asked for this round, when, and as of which version.
	Asked Asked `json:"asked"`
}

// Asked is where the event that asks for work came from; it is sent again as it
// was.
type Asked struct {
	Function string    `json:"function"`
	At       time.Time `json:"at"`
	Version  uint64    `json:"version"`
	// By is who replayed; empty for the first round.
	By string `json:"by,omitempty"`
}

// Outcome is what came of a delivery for one pipeline file.
type Outcome struct {
	// File of the pipeline; empty for what is about none of them.
	File   string `json:"file"`
	Result Result `json:"result"`
	// Run that was started.
	Run events.RunID `json:"run,omitempty"`
	// Reason, for people: why it was skipped, or file:line:column and what is
	// wrong.
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at,omitzero"`
}

// Result of an outcome.
type Result string

// The results.
const (
	Started  Result = "started"
	Skipped  Result = "skipped"
	Rejected Result = "refused" // the file is wrong
)

// Bounds of what is kept of a delivery.
const (
	mostOutcomes = 256
	mostReason   = 1000 // bytes
)

// NewDelivery takes a delivery in and asks for work on it.
func NewDelivery(em *events.Emitter, a Arrival) *Delivery {
	d := &Delivery{ID: a.ID(), Arrival: a, Received: em.Now}
	d.ask(em, "")
	return d
}

// CauseOf is what the event that asks for a round is derived from.
func CauseOf(id events.DeliveryID, round int) events.Envelope {
	return events.Envelope{ID: "delivery/" + string(id) + "/" + strconv.Itoa(round)}
}

func (d *Delivery) ask(em *events.Emitter, by string) {
	d.Round++
	d.State, d.Reason, d.Tries, d.Ended, d.NotBefore = Received, "", 0, time.Time{}, time.Time{}
	d.Asked = Asked{Function: em.Function, At: em.Now, Version: em.Version, By: by}
	em.Cause = d.cause()
	em.Emit(d.event())
}

func (d *Delivery) event() events.DeliveryReceived {
	return events.DeliveryReceived{
		DeliveryRef: events.DeliveryRef{Delivery: d.ID}, Source: d.Source, Event: d.Event,
		Repository: d.Repository, Round: d.Round,
	}
}

// Again is the event that asks for the work on this round, as it was made.
func (d *Delivery) Again(epoch uint32) events.Envelope {
	em := &events.Emitter{
		Function: d.Asked.Function, Cause: d.cause(), Now: d.Asked.At,
		Owner: d.event().DeliveryRef.Subject(), Version: d.Asked.Version, Epoch: epoch,
	}
	return em.Emit(d.event())
}

// Repeat notes that it came again. It tells whether the body is the same: with
// another one the delivery is refused, for an id names one thing.
func (d *Delivery) Repeat(a Arrival) bool {
	if a.Digest != d.Digest {
		d.Altered++
		return false
	}
	d.Repeats++
	return true
}

// Work notes that work on a round begins. It tells false where that round is
// over, or not to be worked on yet.
func (d *Delivery) Work(round int, now time.Time) bool {
	if d.State.Final() || round != d.Round || now.Before(d.NotBefore) {
		return false
	}
	d.State, d.NotBefore = Working, time.Time{}
	d.Tries++
	return true
}

// Ending is what came of the work on a delivery.
type Ending struct {
	// Refused: it was none that anything can come of, as Reason says. Else Reason
	// says what concerns all files, e.g. that there are none.
	Refused  bool
	Reason   string
	Outcomes []Outcome
	// Change, where it told of a pull request, is published.
	Change *events.ChangeReceived
	// Facts that the door did not know, where they are set.
	Event, Action, Repository, Ref, SHA, Actor string
}

// End notes what came of a round. It tells false where that round is over.
func (d *Delivery) End(round int, e Ending, now time.Time) bool {
	if d.State.Final() || round != d.Round {
		return false
	}
	d.State, d.Reason, d.Ended, d.NotBefore = Done, bounded(e.Reason, mostReason), now, time.Time{}
	if e.Refused {
		d.State = Refused
	}
	for _, o := range e.Outcomes {
		o.At, o.Reason = now, bounded(o.Reason, mostReason)
		d.note(o)
	}
	if e.Change != nil {
		d.Change = e.Change.Change
	}
	set := func(field *string, value string) { *field = cmp.Or(value, *field) }
	set(&d.Event, e.Event)
	set(&d.Action, e.Action)
	set(&d.Repository, e.Repository)
	set(&d.Ref, e.Ref)
	set(&d.SHA, e.SHA)
	set(&d.Actor, e.Actor)
	return true
}

// note keeps the newest outcome of each file; a run that was started stays
// named.
func (d *Delivery) note(o Outcome) {
	i, known := slices.BinarySearchFunc(d.Outcomes, o.File, func(a Outcome, file string) int { return cmp.Compare(a.File, file) })
	switch {
	case known:
		if o.Run == "" && d.Outcomes[i].Run != "" {
			return
		}
		d.Outcomes[i] = o
	case len(d.Outcomes) < mostOutcomes:
		d.Outcomes = slices.Insert(d.Outcomes, i, o)
	}
}

// Defer puts the work off: the forge could not be asked, say. It tells false
// where that round is over.
func (d *Delivery) Defer(round int, until time.Time, reason string) bool {
	if d.State.Final() || round != d.Round {
		return false
	}
	d.State, d.NotBefore, d.Reason = Received, until, bounded(reason, mostReason)
	return true
}

// Replay asks for another round. What is under way goes on as it is, and it
// tells false.
func (d *Delivery) Replay(em *events.Emitter, by string) bool {
	if !d.State.Final() {
		return false
	}
	d.ask(em, by)
	return true
}

// Due is when a delivery must be looked at, zero for one that is final. The
// longer it waits already the less often it is told of.
func (d *Delivery) Due(nudge time.Duration, now time.Time) time.Time {
	if d.State.Final() {
		return time.Time{}
	}
	if d.NotBefore.After(now) {
		return d.NotBefore
	}
	return now.Add(Nudge(nudge, now.Sub(d.Asked.At)))
}

// Nudge is how long what waits for so long already waits until it is told again:
// least at first, later less often.
func Nudge(least, waited time.Duration) time.Duration {
	return min(max(least, waited/4), 10*time.Minute)
}

// bounded cuts a text at a character, and says so.
func bounded(s string, most int) string {
	if len(s) <= most {
		return s
	}
	cut := most - len("…")
	for cut > 0 && s[cut]&0xC0 == 0x80 {
		cut--
	}
	return s[:cut] + "…"
}
