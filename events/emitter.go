package events

import (
	"strconv"
	"strings"
	"time"
)

// Emitter makes the events of one decision: ids derived from the cause, the
// function and the event's place, sequences that rise with the version of the
// document that the decision writes.
type Emitter struct {
	// Function that decides.
	Function string
	// Cause is the event that the decision answers; its trace context and id go
	// into what is emitted. A timer is a cause without a type: ids are derived
	// from it, but the causeid of what it emits is its own CauseID, the event
	// that set it.
	Cause Envelope
	// Now is the store's time.
	Now time.Time
	// Owner is the subject whose events, and those below it, the decision's
	// partition orders: they get a sequence. Others get none.
	Owner string
	// Epoch is that of the state that the decision was made on.
	Epoch uint32
	// Version is the one that the owner's document will have.
	Version uint64
	// Trace is the traceparent that events of the run go on from, where that is
	// not the cause's: the cause may be of another run, or a timer's. Empty: the
	// cause's if it is of the same run, else the run's own.
	Trace string

	made []Envelope
}

// sequencesPerVersion bounds the events of one decision. Sequences rise
// strictly within a subject; they have gaps.
const sequencesPerVersion = 1 << 12

// Emit makes an event and remembers it. Payloads of this package always
// encode; one that does not is a defect and panics.
func (m *Emitter) Emit(data Data) Envelope {
	id := DeriveID(m.Cause.ID, m.Function, string(data.EventType()), data.Subject(), strconv.Itoa(len(m.made)))
	cause := m.Cause.ID
	if m.Cause.Type == "" {
		cause = m.Cause.CauseID
	}
	e, err := New(id, "/relevo/"+m.Function, cause, m.Now, data)
	if err != nil {
		panic(err)
	}
	e, e.Epoch = m.traced(e), m.Epoch
	if m.Owner != "" && strings.HasPrefix(e.Subject+"/", strings.TrimSuffix(m.Owner, "/")+"/") {
		e.Sequence = m.Version*sequencesPerVersion + uint64(len(m.made))
	}
	m.made = append(m.made, e)
	return e
}

// Within lets events go on from a traceparent; see Trace.
func (m *Emitter) Within(trace string) *Emitter {
	m.Trace = trace
	return m
}

func (m *Emitter) traced(e Envelope) Envelope {
	from := m.Trace
	same := m.Cause.RunID == e.RunID || e.RunID == ""
	if from == "" && same {
		from = m.Cause.Traceparent
	}
	t := e.Traced(from)
	if e.Type == TypeRunRequested {
		// It is what whoever asked did: of theirs, not of the run that comes of it.
		if _, ok := ParseTraceparent(from); ok {
			t.Traceparent = from
		}
	}
	if same {
		t.Tracestate = m.Cause.Tracestate
	}
	return t
}

// Emitted are the events made so far, in order.
func (m *Emitter) Emitted() []Envelope { return m.made }

// Reset forgets what was made: the decision is taken again on newer state.
func (m *Emitter) Reset() { m.made = nil }
