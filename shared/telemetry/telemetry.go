// Package telemetry hands the spans of runs to an OpenTelemetry collector, by
// OTLP over HTTP. What is sent twice has the same ids, so that the collector's
// store can tell.
package telemetry

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/relevo-ci/relevo/shared/domain/telemetry"
)

// Scope names who made the spans.
const Scope = "github.com/relevo-ci/relevo"

// Settings are where the collector is. What else the standard variables
// OTEL_EXPORTER_OTLP_* say, such as certificates, OpenTelemetry's exporter reads.
type Settings struct {
	// Endpoint is the collector's base URL, as OTEL_EXPORTER_OTLP_ENDPOINT says it:
	// traces go to /v1/traces below it.
	Endpoint string
	// Headers of each request, as OTEL_EXPORTER_OTLP_HEADERS says them.
	Headers map[string]string
	// Timeout of one request; 0: 10 s. It is tried again for twice that.
	Timeout time.Duration
	// Rest is how long nothing is sent after three failures in a row; 0: 30 s.
	Rest time.Duration
	// Now is the clock of that; nil: time.Now.
	Now func() time.Time
}

// Exporter sends spans. It is safe for use by many at once.
type Exporter struct {
	client otlptrace.Client
	rest   time.Duration
	now    func() time.Time

	mu     sync.Mutex
	failed int
	until  time.Time
}

// ErrResting: the collector was away lately, and is left in peace for a while.
var ErrResting = errors.New("telemetry: the collector was away, and is asked again later")

// mostFailures in a row are followed by a rest.
const mostFailures = 3

// New makes an exporter. It sends nothing yet.
func New(s Settings) *Exporter {
	if s.Timeout == 0 {
		s.Timeout = 10 * time.Second
	}
	e := &Exporter{rest: s.Rest, now: s.Now}
	if e.rest == 0 {
		e.rest = 30 * time.Second
	}
	if e.now == nil {
		e.now = time.Now
	}
	e.client = otlptracehttp.NewClient(
		otlptracehttp.WithEndpointURL(strings.TrimSuffix(s.Endpoint, "/")+"/v1/traces"),
		otlptracehttp.WithHeaders(s.Headers),
		otlptracehttp.WithTimeout(s.Timeout),
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: 200 * time.Millisecond, MaxInterval: s.Timeout / 4, MaxElapsedTime: 2 * s.Timeout,
		}),
	)
	return e
}

// Export sends spans that have ended; those that go on are left out. An error
// means that they may not have arrived: send them again.
func (e *Exporter) Export(ctx context.Context, spans []telemetry.Span) error {
	if err := e.may(); err != nil {
		return err
	}
	err := e.client.UploadTraces(ctx, []*tracepb.ResourceSpans{resource(spans)})
	e.note(ctx, err)
	if err != nil {
		return fmt.Errorf("telemetry: export %d spans: %w", len(spans), err)
	}
	return nil
}

func (e *Exporter) may() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.now().Before(e.until) {
		return ErrResting
	}
	return nil
}

func (e *Exporter) note(ctx context.Context, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case err == nil:
		e.failed = 0
	case ctx.Err() == nil:
		if e.failed++; e.failed >= mostFailures {
			e.until = e.now().Add(e.rest)
		}
	}
}

func resource(spans []telemetry.Span) *tracepb.ResourceSpans {
	scope := &tracepb.ScopeSpans{Scope: &commonpb.InstrumentationScope{Name: Scope}}
	for _, s := range spans {
		if !s.End.IsZero() {
			scope.Spans = append(scope.Spans, span(s))
		}
	}
	return &tracepb.ResourceSpans{
		Resource:   &resourcepb.Resource{Attributes: attributes([]telemetry.Attribute{{Key: "service.name", Value: "relevo"}})},
		ScopeSpans: []*tracepb.ScopeSpans{scope},
	}
}

func span(s telemetry.Span) *tracepb.Span {
	out := &tracepb.Span{
		TraceId: id(string(s.Trace)), SpanId: id(string(s.ID)), ParentSpanId: id(string(s.Parent)), Name: s.Name,
		Kind:              tracepb.Span_SPAN_KIND_INTERNAL,
		StartTimeUnixNano: nanos(s.Start), EndTimeUnixNano: nanos(s.End), Attributes: attributes(s.Attributes),
		Status: &tracepb.Status{},
		Flags:  uint32(tracepb.SpanFlags_SPAN_FLAGS_TRACE_FLAGS_MASK) & 1,
	}
	if s.Kind == telemetry.Server {
		out.Kind = tracepb.Span_SPAN_KIND_SERVER
	}
	if s.Failed {
		out.Status = &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR, Message: s.Message}
	}
	for _, e := range s.Events {
		out.Events = append(out.Events, &tracepb.Span_Event{Name: e.Name, TimeUnixNano: nanos(e.At), Attributes: attributes(e.Attributes)})
	}
	return out
}

// id decodes one of ours, which are hexadecimal.
func id(s string) []byte {
	raw, err := hex.DecodeString(s)
	if err != nil {
		return nil
	}
	return raw
}

// nanos are since 1970; no span of ours is older.
func nanos(t time.Time) uint64 { return uint64(max(0, t.UnixNano())) } //nolint:gosec // it is not negative

func attributes(list []telemetry.Attribute) []*commonpb.KeyValue {
	out := make([]*commonpb.KeyValue, 0, len(list))
	for _, a := range list {
		v := &commonpb.AnyValue{}
		switch value := a.Value.(type) {
		case string:
			v.Value = &commonpb.AnyValue_StringValue{StringValue: strings.ToValidUTF8(value, "\uFFFD")}
		case int64:
			v.Value = &commonpb.AnyValue_IntValue{IntValue: value}
		case bool:
			v.Value = &commonpb.AnyValue_BoolValue{BoolValue: value}
		default:
			continue
		}
		out = append(out, &commonpb.KeyValue{Key: a.Key, Value: v})
	}
	return out
}
