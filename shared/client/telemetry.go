package client

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// TraceList is a page of traces, newest first.
type TraceList struct {
	Traces []TraceSummary `json:"traces"`
	// Next is the cursor of the page that follows; empty where none does.
	Next string `json:"next,omitempty"`
}

// TraceSummary is one run's trace.
type TraceSummary struct {
	Run       string            `json:"run"`
	Trace     string            `json:"trace" doc:"The W3C trace id, 32 hexadecimal digits."`
	Pipeline  string            `json:"pipeline"`
	Project   string            `json:"project,omitempty"`
	State     string            `json:"state"`
	Requested time.Time         `json:"requested"`
	Ended     time.Time         `json:"ended,omitzero"`
	Links     map[string]string `json:"links"`
}

// Waterfall is a trace as a console draws it: spans in order, each below its
// parent.
type Waterfall struct {
	Run   string `json:"run"`
	Trace string `json:"trace"`
	// Start of the first span; offsets count from there.
	Start time.Time `json:"start"`
	// Millis that all of it took, or takes up to now.
	Millis int64           `json:"millis"`
	Spans  []WaterfallSpan `json:"spans"`
}

// WaterfallSpan is a row of it.
type WaterfallSpan struct {
	ID     string `json:"id"`
	Parent string `json:"parent,omitempty"`
	Depth  int    `json:"depth"`
	Name   string `json:"name"`
	// Offset from the start, and Millis that it took, or takes up to now.
	Offset int64 `json:"offset"`
	Millis int64 `json:"millis"`
	// Open: it goes on.
	Open    bool   `json:"open,omitempty"`
	Failed  bool   `json:"failed,omitempty"`
	Message string `json:"message,omitempty"`
	// Attributes by OpenTelemetry's names.
	Attributes map[string]any `json:"attributes,omitempty"`
}

// OTLPTraces is OTLP's JSON form of traces.
type OTLPTraces struct {
	ResourceSpans []OTLPResourceSpans `json:"resourceSpans"`
}

// OTLPResourceSpans are the spans of one source.
type OTLPResourceSpans struct {
	Resource   OTLPResource     `json:"resource"`
	ScopeSpans []OTLPScopeSpans `json:"scopeSpans"`
}

// OTLPResource is the source.
type OTLPResource struct {
	Attributes []OTLPAttribute `json:"attributes"`
}

// OTLPScopeSpans are the spans of one library.
type OTLPScopeSpans struct {
	Scope OTLPScope  `json:"scope"`
	Spans []OTLPSpan `json:"spans"`
}

// OTLPScope is the library.
type OTLPScope struct {
	Name string `json:"name"`
}

// OTLPSpan is one span. Ids are hexadecimal, times nanoseconds since 1970.
type OTLPSpan struct {
	TraceID      string          `json:"traceId"`
	SpanID       string          `json:"spanId"`
	ParentSpanID string          `json:"parentSpanId,omitempty"`
	Name         string          `json:"name"`
	Kind         int             `json:"kind" doc:"1 internal, 2 server."`
	Start        string          `json:"startTimeUnixNano"`
	End          string          `json:"endTimeUnixNano" doc:"0: it goes on."`
	Attributes   []OTLPAttribute `json:"attributes"`
	Events       []OTLPEvent     `json:"events,omitempty"`
	Status       OTLPStatus      `json:"status"`
}

// OTLPAttribute is one fact.
type OTLPAttribute struct {
	Key   string    `json:"key"`
	Value OTLPValue `json:"value"`
}

// OTLPValue has one of its fields set.
type OTLPValue struct {
	String *string `json:"stringValue,omitempty"`
	Int    *string `json:"intValue,omitempty"`
	Bool   *bool   `json:"boolValue,omitempty"`
}

// OTLPEvent is a moment within a span.
type OTLPEvent struct {
	At   string `json:"timeUnixNano"`
	Name string `json:"name"`
}

// OTLPStatus says how it went: code 2 is an error.
type OTLPStatus struct {
	Code    int    `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

// Metrics are the numbers of an installation.
type Metrics struct {
	At time.Time `json:"at"`
	// Since is from when on runs and jobs are counted.
	Since time.Time `json:"since"`
	// Runs and Jobs by state.
	Runs map[string]int `json:"runs"`
	Jobs map[string]int `json:"jobs"`
	// Deliveries by state.
	Deliveries map[string]int `json:"deliveries"`
	// DeadLetters that nobody replayed or discarded.
	DeadLetters int `json:"deadLetters"`
	// Recent is made of the newest jobs and runs alone, so many at most.
	Recent Recent       `json:"recent"`
	Pools  []PoolMetric `json:"pools"`
}

// Recent is what the newest jobs and runs say.
type Recent struct {
	Jobs int `json:"jobs" doc:"How many jobs it is made of: the newest, 5000 at most."`
	Runs int `json:"runs" doc:"How many runs it is made of: the newest, 1000 at most."`
	// Verdicts of the jobs that ended.
	Verdicts map[events.Verdict]int `json:"verdicts"`
	// Wait is from a job's request to its start; JobDuration and RunDuration of those
	// that ended.
	Wait        Quantiles `json:"wait"`
	JobDuration Quantiles `json:"jobDuration"`
	RunDuration Quantiles `json:"runDuration"`
}

// Quantiles are in seconds; all are 0 where Count is.
type Quantiles struct {
	Count int     `json:"count"`
	Sum   float64 `json:"sum"`
	P50   float64 `json:"p50"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
}

// PoolMetric is a pool's queue and capacity.
type PoolMetric struct {
	ID      events.PoolID `json:"id"`
	Waiting int           `json:"waiting"`
	// OldestSeconds is how long the one that waits longest of the queue's head does.
	OldestSeconds float64          `json:"oldestSeconds"`
	Nodes         int              `json:"nodes"`
	Workers       int              `json:"workers"`
	Capacity      events.Resources `json:"capacity"`
	Free          events.Resources `json:"free"`
}

// Traces lists traces, newest first.
func (c *Client) Traces(ctx context.Context, limit int, cursor string) (TraceList, error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	return get[TraceList](ctx, c, "/v1/traces?"+q.Encode())
}

// Trace gives a run's trace in OTLP's JSON form.
func (c *Client) Trace(ctx context.Context, run string) (OTLPTraces, error) {
	return get[OTLPTraces](ctx, c, "/v1/traces/"+url.PathEscape(run))
}

// Waterfall gives a run's trace as a console draws it.
func (c *Client) Waterfall(ctx context.Context, run string) (Waterfall, error) {
	return get[Waterfall](ctx, c, "/v1/traces/"+url.PathEscape(run)+"/waterfall")
}

// Metrics gives the numbers of the installation.
func (c *Client) Metrics(ctx context.Context) (Metrics, error) {
	return get[Metrics](ctx, c, "/v1/metrics")
}
