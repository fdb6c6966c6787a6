package events_test

import (
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/events"
)

const incoming = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestParseTraceparent(t *testing.T) {
	for s, ok := range map[string]bool{
		incoming: true,
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00":       true,
		"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later": true,
		"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01later":  false,
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later": false,
		"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01":       false,
		"00-00000000000000000000000000000000-b7ad6b7169203331-01":       false,
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01":       false,
		"00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01":       false,
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333é-1":        false,
		"00 0af7651916cd43dd8448eb211c80319c b7ad6b7169203331 01":       false,
		"": false, "tp": false,
	} {
		if p, got := events.ParseTraceparent(s); got != ok || got && s[:2] == "00" && p.String() != s {
			t.Errorf("%q: %v, %v", s, p, got)
		}
	}
}

func FuzzParseTraceparent(f *testing.F) {
	f.Add(incoming)
	f.Fuzz(func(t *testing.T, s string) {
		p, ok := events.ParseTraceparent(s)
		if !ok {
			return
		}
		again, ok := events.ParseTraceparent(p.String())
		if !ok || again != p {
			t.Errorf("%q: %v, and again %v, %v", s, p, again, ok)
		}
	})
}

// TestEventsOfARunAreOfOneTrace, whatever another run's decision told them.
func TestEventsOfARunAreOfOneTrace(t *testing.T) {
	run := events.RunRef{Run: "R"}
	job := events.JobRef{Run: "R", Job: "a/b"}
	own := run.Context("")
	if own.Trace != events.TraceOf("R") || !own.Sampled || own.Span != events.RunSpan(own.Trace, "R") {
		t.Fatalf("%+v", own)
	}
	given := events.TraceID("0af7651916cd43dd8448eb211c80319c")
	for name, c := range map[string]struct {
		em    events.Emitter
		trace events.TraceID
	}{
		"of the same run":               {events.Emitter{Cause: events.Envelope{ID: "c", RunID: "R", Traceparent: incoming}}, given},
		"of another run":                {events.Emitter{Cause: events.Envelope{ID: "c", RunID: "S", Traceparent: incoming}}, own.Trace},
		"of another run, and it is set": {events.Emitter{Cause: events.Envelope{ID: "c", RunID: "S"}, Trace: incoming}, given},
		"a timer":                       {events.Emitter{Cause: events.Envelope{ID: "c"}}, own.Trace},
		"no trace context":              {events.Emitter{Cause: events.Envelope{ID: "c", RunID: "R", Traceparent: "tp"}}, own.Trace},
	} {
		started := c.em.Emit(events.RunStarted{RunRef: run})
		skipped := c.em.Emit(events.JobSkipped{JobRef: job})
		a, _ := events.ParseTraceparent(started.Traceparent)
		b, _ := events.ParseTraceparent(skipped.Traceparent)
		if a.Trace != c.trace || b.Trace != c.trace || a.Span != events.RunSpan(c.trace, "R") || b.Span != events.JobSpan(c.trace, job) {
			t.Errorf("%s: %+v, %+v; want %s", name, a, b, c.trace)
		}
	}
}

// TestOnlyForeignTracesAreRemembered: a run's own can be derived.
func TestOnlyForeignTracesAreRemembered(t *testing.T) {
	run := events.RunRef{Run: "R"}
	if got := run.Foreign(incoming); got != incoming {
		t.Error(got)
	}
	for _, own := range []string{run.Context("").String(), "", "tp", strings.ToUpper(incoming)} {
		if got := run.Foreign(own); got != "" {
			t.Errorf("%q: %q", own, got)
		}
	}
}

// TestDeliveriesAreTraced in the sender's trace, or their own.
func TestDeliveriesAreTraced(t *testing.T) {
	data := events.DeliveryReceived{DeliveryRef: events.DeliveryRef{Delivery: "D"}, Round: 1}
	for from, trace := range map[string]events.TraceID{"": events.TraceOf("delivery/D"), incoming: "0af7651916cd43dd8448eb211c80319c"} {
		em := events.Emitter{Cause: events.Envelope{ID: "c", Traceparent: from}}
		p, ok := events.ParseTraceparent(em.Emit(data).Traceparent)
		if !ok || p.Trace != trace || p.Span != events.DeliverySpan(trace, "D") {
			t.Errorf("from %q: %+v", from, p)
		}
	}
}
