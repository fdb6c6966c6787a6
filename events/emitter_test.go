package events_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
)

func emitter() events.Emitter {
	return events.Emitter{
		Function: "job-ended",
		Cause:    events.Envelope{ID: "cause", Type: events.TypeJobEnded, RunID: "R", Traceparent: incoming, Tracestate: "ts"},
		Now:      time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC),
		Owner:    "run/R",
		Version:  7,
	}
}

func emitTwo(m *events.Emitter) {
	ref := events.RunRef{Run: "R"}
	m.Emit(events.RunStarted{RunRef: ref})
	m.Emit(events.RunFailed{RunRef: ref, Verdict: events.Failed})
}

// A handler that runs twice emits the same events twice.
func TestEmitterRepeats(t *testing.T) {
	a, b := emitter(), emitter()
	emitTwo(&a)
	emitTwo(&b)
	if len(a.Emitted()) != 2 || !reflect.DeepEqual(a.Emitted(), b.Emitted()) {
		t.Errorf("%+v\n%+v", a.Emitted(), b.Emitted())
	}
	first := b.Emitted()
	b.Reset()
	if len(b.Emitted()) != 0 {
		t.Errorf("after Reset there is %+v", b.Emitted())
	}
	emitTwo(&b)
	if !reflect.DeepEqual(first, b.Emitted()) {
		t.Errorf("after Reset it emits\n%+v\nbefore\n%+v", b.Emitted(), first)
	}
}

func TestEmitterTells(t *testing.T) {
	m := emitter()
	emitTwo(&m)
	for i, e := range m.Emitted() {
		if e.Source != "/relevo/job-ended" || e.CauseID != "cause" || !strings.HasPrefix(e.Traceparent, incoming[:36]) || e.Tracestate != "ts" || !e.Time.Equal(m.Now) {
			t.Errorf("event %d: %+v", i, e)
		}
	}
	first, second := m.Emitted()[0], m.Emitted()[1]
	if first.ID == second.ID {
		t.Error("two events of one decision have the same id")
	}
	later := emitter()
	later.Version++
	next := later.Emit(events.RunStarted{RunRef: events.RunRef{Run: "R"}})
	if first.Sequence >= second.Sequence || second.Sequence >= next.Sequence {
		t.Errorf("sequences %d, %d, then %d", first.Sequence, second.Sequence, next.Sequence)
	}
	other := emitter()
	other.Function = "run-cancelled"
	if other.Emit(events.RunStarted{}).ID == first.ID {
		t.Error("two functions emit the same id for one cause")
	}
}

// What a timer leads to is caused by the event that set it, and has ids of the
// timer's own.
func TestEmitterOfATimer(t *testing.T) {
	timer := emitter()
	timer.Cause = events.Envelope{ID: "timer", CauseID: "set it"}
	e := timer.Emit(events.RunStarted{})
	want := events.DeriveID("timer", "job-ended", string(events.TypeRunStarted), "run/", "0")
	if e.CauseID != "set it" || e.ID != want {
		t.Errorf("%+v", e)
	}
}

// Only what the decision's partition orders has a sequence.
func TestEmitterOrdersItsOwn(t *testing.T) {
	m := emitter()
	m.Owner = "run/R"
	for subject, c := range map[string]struct {
		data    events.Data
		ordered bool
	}{
		"run/R":        {events.RunStarted{RunRef: events.RunRef{Run: "R"}}, true},
		"run/R/job/j":  {events.JobSkipped{JobRef: events.JobRef{Run: "R", Job: "j"}}, true},
		"run/R2":       {events.RunStarted{RunRef: events.RunRef{Run: "R2"}}, false},
		"run/R2/job/j": {events.JobSkipped{JobRef: events.JobRef{Run: "R2", Job: "j"}}, false},
		"group/g":      {events.ConcurrencyReleased{GroupRef: events.GroupRef{Group: "g", Run: "R"}}, false},
	} {
		e := m.Emit(c.data)
		if e.Subject != subject || (e.Sequence > 0) != c.ordered {
			t.Errorf("%s: sequence %d of %s, ordered %t", subject, e.Sequence, e.Subject, c.ordered)
		}
	}
	m.Owner = "pool/linux/"
	for pool, ordered := range map[events.PoolID]bool{"linux": true, "linux-arm": false} {
		if e := m.Emit(events.CapacityUpdated{Pool: pool, Node: "n1"}); (e.Sequence > 0) != ordered {
			t.Errorf("%s: sequence %d, ordered %t", e.Subject, e.Sequence, ordered)
		}
	}
	m.Owner = ""
	if e := m.Emit(events.RunStarted{RunRef: events.RunRef{Run: "R"}}); e.Sequence != 0 {
		t.Errorf("without an owner the sequence is %d", e.Sequence)
	}
}
