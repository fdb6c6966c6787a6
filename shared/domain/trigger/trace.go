package trigger

import "github.com/relevo-ci/relevo/events"

// Traceparent is the trace that whoever sent it goes on with, as the request's
// header or the event's extension says; empty: none.
func (a Arrival) Traceparent() string {
	if t := a.Header["traceparent"]; len(t) > 0 {
		if _, ok := events.ParseTraceparent(t); ok {
			return t
		}
	}
	return ""
}

// cause is what the event that asks for this round is derived from, in the
// sender's trace.
func (d *Delivery) cause() events.Envelope {
	c := CauseOf(d.ID, d.Round)
	c.Traceparent, c.Tracestate = d.Traceparent(), d.Header["tracestate"]
	return c
}
