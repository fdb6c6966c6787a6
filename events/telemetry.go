package events

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
