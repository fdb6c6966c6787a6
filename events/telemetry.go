package events

import "time"

// MetricEmitted is one sample of a metric.
type MetricEmitted struct {
	// Name as in OpenTelemetry, e.g. cicd.pipeline.run.duration.
	Name string `json:"name"`
	// Value in Unit.
	Value float64 `json:"value"`
	// Unit in UCUM: s, By, {run} …
	Unit string `json:"unit,omitempty"`
	// Attributes never hold an id.
	Attributes map[string]string `json:"attributes,omitempty"`
}

// Subject is metric/<name>.
func (e MetricEmitted) Subject() string { return "metric/" + e.Name }

// TraceRecorded says that a run's spans were recorded.
type TraceRecorded struct {
	RunRef
	// TraceID is the W3C trace id, 32 hexadecimal digits.
	TraceID string `json:"traceId"`
	// Spans is how many.
	Spans int `json:"spans"`
}

// ClockTicked is the clock's tick, as a PingSource sends it. Its handler lets
// the due entries fire.
type ClockTicked struct {
	// Message is whatever the source was told to send.
	Message string `json:"message,omitempty"`
}

// Subject is clock.
func (e ClockTicked) Subject() string { return "clock" }

// AuthGranted says that a principal was let in.
type AuthGranted struct {
	// Principal is the user's or token's id; never a secret.
	Principal string `json:"principal"`
	// Scope is what was granted.
	Scope string `json:"scope"`
	// Expires is when it ends by itself.
	Expires time.Time `json:"expires"`
}

// Subject is principal/<id>.
func (e AuthGranted) Subject() string { return "principal/" + e.Principal }

// AuthRevoked says that a grant ended.
type AuthRevoked struct {
	// Principal is the user's or token's id; never a secret.
	Principal string `json:"principal"`
	// Reason says why: it expired, or who revoked it.
	Reason string `json:"reason"`
}

// Subject is principal/<id>.
func (e AuthRevoked) Subject() string { return "principal/" + e.Principal }

// UIRecorded says that a person did something in the console.
type UIRecorded struct {
	// Principal is the person's id.
	Principal string `json:"principal"`
	// Action is what was done, e.g. run.cancel.
	Action string `json:"action"`
	// Target is the subject that it was done to.
	Target string `json:"target"`
}

// Subject is principal/<id>.
func (e UIRecorded) Subject() string { return "principal/" + e.Principal }
