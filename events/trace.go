package events

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
)

// Every event of a run belongs to one trace: its traceparent names the trace and
// the span of the run, or of the job, that the event tells of. Ids of traces and
// spans are derived, never random, so that whoever makes spans of a run, and
// however often, makes the same ones.

// TraceID is a W3C trace id: 32 hexadecimal digits.
type TraceID string

// SpanID is a W3C parent id: 16 hexadecimal digits.
type SpanID string

// Traceparent is a W3C trace context of version 00.
type Traceparent struct {
	Trace TraceID
	Span  SpanID
	// Sampled tells that whoever called records the trace.
	Sampled bool
}

// String is the header's form.
func (p Traceparent) String() string {
	flags := "00"
	if p.Sampled {
		flags = "01"
	}
	return "00-" + string(p.Trace) + "-" + string(p.Span) + "-" + flags
}

// ParseTraceparent reads the header's form, of this and of later versions; false
// where it is none, or names no trace.
func ParseTraceparent(s string) (Traceparent, bool) {
	const length = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if len(s) < length || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return Traceparent{}, false
	}
	version, trace, span, flags := s[:2], s[3:35], s[36:52], s[53:55]
	switch {
	case !lowHex(version + trace + span + flags), version == "ff",
		strings.Trim(trace, "0") == "", strings.Trim(span, "0") == "":
		return Traceparent{}, false
	case version == "00" && len(s) != length, len(s) > length && s[length] != '-':
		return Traceparent{}, false
	}
	return Traceparent{Trace: TraceID(trace), Span: SpanID(span), Sampled: strings.IndexByte("13579bdf", flags[1]) >= 0}, true
}

func lowHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

// derived hashes what an id stands for; no id is all zeros.
func derived(bytes int, parts ...string) string {
	sum := sha256.Sum256([]byte(DeriveID(parts...)))
	sum[0] |= 0x80
	return hex.EncodeToString(sum[:bytes])
}

// TraceOf is the trace of a run, or of a delivery, that came without one.
func TraceOf(id string) TraceID { return TraceID(derived(16, "trace", id)) }

// SpanOf is the span that something has in a trace.
func SpanOf(trace TraceID, parts ...string) SpanID {
	return SpanID(derived(8, append([]string{"span", string(trace)}, parts...)...))
}

// RunSpan is the span of a run.
func RunSpan(t TraceID, run RunID) SpanID { return SpanOf(t, RunRef{run}.Subject()) }

// JobSpan is the span of a job.
func JobSpan(t TraceID, job JobRef) SpanID { return SpanOf(t, job.Subject()) }

// AttemptSpan is the span of an attempt on its worker.
func AttemptSpan(t TraceID, a AttemptRef) SpanID {
	return SpanOf(t, a.JobRef.Subject(), "attempt", strconv.Itoa(a.Attempt), a.Fence.String())
}

// StepSpan is the span of a step, by its index, of an attempt whose span is given.
func StepSpan(t TraceID, attempt SpanID, index int) SpanID {
	return SpanOf(t, string(attempt), "step", strconv.Itoa(index))
}

// AttemptContext is the trace context of what an attempt of a run does.
func AttemptContext(run Traceparent, a AttemptRef) Traceparent {
	run.Span = AttemptSpan(run.Trace, a)
	return run
}

// DeliverySpan is the span of the delivery that led to a run.
func DeliverySpan(t TraceID, id DeliveryID) SpanID { return SpanOf(t, DeliveryRef{id}.Subject()) }

// Context is the trace context of a run that continues a trace; of its own trace
// where that is none.
func (r RunRef) Context(traceparent string) Traceparent {
	p, ok := ParseTraceparent(traceparent)
	if !ok {
		p = Traceparent{Trace: TraceOf(string(r.Run)), Sampled: true}
	}
	p.Span = RunSpan(p.Trace, r.Run)
	return p
}

// Foreign gives a traceparent back where its trace is not the run's own, which
// can be derived: only then there is something to remember.
func (r RunRef) Foreign(traceparent string) string {
	if p, ok := ParseTraceparent(traceparent); !ok || p.Trace == TraceOf(string(r.Run)) {
		return ""
	}
	return traceparent
}

// Traced gives an event of a run, or a delivery, the context of its trace: that
// of a traceparent, else its own.
func (e Envelope) Traced(traceparent string) Envelope {
	switch kind, id, _ := strings.Cut(e.Subject, "/"); {
	case e.RunID != "":
		run := RunRef{RunID(e.RunID)}
		p := run.Context(traceparent)
		if _, job, ok := strings.Cut(e.Subject, run.Subject()+"/job/"); ok {
			p.Span = JobSpan(p.Trace, JobRef{Run: run.Run, Job: JobKey(job)})
		}
		e.Traceparent = p.String()
	case kind == "delivery":
		p, ok := ParseTraceparent(traceparent)
		if !ok {
			p = Traceparent{Trace: TraceOf(e.Subject), Sampled: true}
		}
		p.Span = DeliverySpan(p.Trace, DeliveryID(id))
		e.Traceparent = p.String()
	default:
		e.Traceparent = traceparent
	}
	return e
}
