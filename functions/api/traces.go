package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/relevo-ci/relevo/events"
	runcompletedtelemetry "github.com/relevo-ci/relevo/functions/run-completed-telemetry"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/telemetry"
	"github.com/relevo-ci/relevo/shared/view"
)

// Telemetry is what is told of runs as traces and numbers.
type Telemetry struct {
	// Retention is how long after its request a run has a trace and is counted; 0:
	// for as long as it is kept.
	Retention time.Duration
	// Public is the address that links in traces begin with; empty: there are none.
	Public string
}

// registerTelemetry adds the operations on traces and numbers.
func (a *API) registerTelemetry(mux *http.ServeMux, h huma.API) {
	huma.Register(h, operation(h, "listTraces", http.MethodGet, "/v1/traces", "List the traces of runs, newest first"), a.listTraces)
	huma.Register(h, operation(h, "showTrace", http.MethodGet, "/v1/traces/{id}", "Show a run's trace, as OTLP has it"), a.showTrace)
	huma.Register(h, operation(h, "showWaterfall", http.MethodGet, "/v1/traces/{id}/waterfall", "Show a run's trace, as a page draws it"), a.showWaterfall)
	huma.Register(h, operation(h, "showMetrics", http.MethodGet, "/v1/metrics", "Show the numbers of the installation"), a.showMetrics)
	a.registerScrape(mux, h)
}

type tracesInput struct {
	Page
	From
}

type tracesOutput struct {
	Body client.TraceList
}

// now is the store's time, and from when on there is telemetry; zero: from the
// beginning.
func (a *API) retained(ctx context.Context) (now, since time.Time, err error) {
	_, moment, err := a.Runs.Store.Load(ctx, "p00")
	if err != nil {
		return now, since, a.fault(ctx, "look at the time", err)
	}
	if a.Telemetry.Retention > 0 {
		since = moment.Now.Add(-a.Telemetry.Retention)
	}
	return moment.Now, since, nil
}

func (a *API) listTraces(ctx context.Context, in *tracesInput) (*tracesOutput, error) {
	_, since, err := a.retained(ctx)
	if err != nil {
		return nil, err
	}
	if in.Since.Before(since) {
		in.Since = since
	}
	found, err := a.find(ctx, view.Runs, in.From, in.Page, nil)
	if err != nil {
		return nil, err
	}
	runs, err := bodies[view.Run](found.Rows)
	if err != nil {
		return nil, a.fault(ctx, "read the list", err)
	}
	out := &tracesOutput{Body: client.TraceList{Traces: make([]client.TraceSummary, len(runs)), Next: string(found.Next)}}
	for i, r := range runs {
		trace := r.Trace
		if trace == "" {
			trace = events.TraceOf(string(r.ID))
		}
		out.Body.Traces[i] = client.TraceSummary{
			Run: string(r.ID), Trace: string(trace), Pipeline: r.Pipeline, Project: r.Project, State: string(r.State),
			Requested: r.Requested, Ended: r.Ended, Links: traceLinks(r.ID),
		}
	}
	return out, nil
}

func traceLinks(run events.RunID) map[string]string {
	self := "/v1/traces/" + string(run)
	return map[string]string{"self": self, "waterfall": self + "/waterfall", "run": "/v1/pipelines/" + string(run)}
}

// spans are those of a run, and the time of now.
func (a *API) spans(ctx context.Context, id string) (*pipeline.Run, []telemetry.Span, time.Time, error) {
	run, moment, err := a.run(ctx, events.RunID(id))
	if err != nil {
		return nil, nil, moment.Now, err
	}
	if r := a.Telemetry.Retention; r > 0 && moment.Now.Sub(run.Requested) > r {
		return nil, nil, moment.Now, refuse(http.StatusNotFound, "its trace was kept for %v", r)
	}
	d, err := runcompletedtelemetry.Delivery(ctx, a.Doors, run)
	if err != nil {
		return nil, nil, moment.Now, a.fault(ctx, "look at the delivery", err)
	}
	return run, telemetry.Spans(run, d, a.Telemetry.Public), moment.Now, nil
}

type traceOutput struct {
	Body client.OTLPTraces
}

func (a *API) showTrace(ctx context.Context, in *RunInput) (*traceOutput, error) {
	_, spans, _, err := a.spans(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	scope := client.OTLPScopeSpans{Scope: client.OTLPScope{Name: "github.com/relevo-ci/relevo"}, Spans: make([]client.OTLPSpan, len(spans))}
	for i, s := range spans {
		scope.Spans[i] = otlpSpan(s)
	}
	return &traceOutput{Body: client.OTLPTraces{ResourceSpans: []client.OTLPResourceSpans{{
		Resource:   client.OTLPResource{Attributes: otlpAttributes([]telemetry.Attribute{{Key: "service.name", Value: "relevo"}})},
		ScopeSpans: []client.OTLPScopeSpans{scope},
	}}}}, nil
}

func otlpSpan(s telemetry.Span) client.OTLPSpan {
	out := client.OTLPSpan{
		TraceID: string(s.Trace), SpanID: string(s.ID), ParentSpanID: string(s.Parent), Name: s.Name, Kind: 1,
		Start: nanos(s.Start), End: "0", Attributes: otlpAttributes(s.Attributes),
	}
	if s.Kind == telemetry.Server {
		out.Kind = 2
	}
	if !s.End.IsZero() {
		out.End = nanos(s.End)
	}
	if s.Failed {
		out.Status = client.OTLPStatus{Code: 2, Message: s.Message}
	}
	for _, e := range s.Events {
		out.Events = append(out.Events, client.OTLPEvent{At: nanos(e.At), Name: e.Name})
	}
	return out
}

func nanos(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

func otlpAttributes(list []telemetry.Attribute) []client.OTLPAttribute {
	out := make([]client.OTLPAttribute, 0, len(list))
	for _, a := range list {
		var v client.OTLPValue
		switch value := a.Value.(type) {
		case string:
			v.String = &value
		case int64:
			text := strconv.FormatInt(value, 10)
			v.Int = &text
		case bool:
			v.Bool = &value
		}
		out = append(out, client.OTLPAttribute{Key: a.Key, Value: v})
	}
	return out
}

type waterfallOutput struct {
	Body client.Waterfall
}

func (a *API) showWaterfall(ctx context.Context, in *RunInput) (*waterfallOutput, error) {
	run, spans, now, err := a.spans(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	w := client.Waterfall{Run: string(run.ID), Trace: string(run.Context().Trace), Start: spans[0].Start, Spans: make([]client.WaterfallSpan, len(spans))}
	for _, s := range spans {
		if s.Start.Before(w.Start) {
			w.Start = s.Start
		}
	}
	for i, s := range spans {
		end := s.End
		if end.IsZero() {
			end = now
		}
		row := client.WaterfallSpan{
			ID: string(s.ID), Parent: string(s.Parent), Depth: s.Depth, Name: s.Name,
			Offset: s.Start.Sub(w.Start).Milliseconds(), Millis: max(0, end.Sub(s.Start).Milliseconds()),
			Open: s.End.IsZero(), Failed: s.Failed, Message: s.Message, Attributes: map[string]any{},
		}
		for _, at := range s.Attributes {
			row.Attributes[at.Key] = at.Value
		}
		w.Millis = max(w.Millis, row.Offset+row.Millis)
		w.Spans[i] = row
	}
	return &waterfallOutput{Body: w}, nil
}
