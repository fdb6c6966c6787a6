package bus_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"go.uber.org/zap"
	eventing "knative.dev/eventing/pkg/apis/eventing/v1"
	"knative.dev/eventing/pkg/eventfilter"
	"knative.dev/eventing/pkg/eventfilter/attributes"
	"knative.dev/eventing/pkg/eventfilter/subscriptionsapi"
	"pgregory.net/rapid"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/bus"
)

// Few values for many attributes, so that filters often pass.
var (
	someTexts = rapid.SampledFrom([]string{
		"a", "ab", "b", "run/1", "run/12", "/relevo/x", "1", "12", "1.0",
		"application/json", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.12Z", "0001-01-01T00:00:00Z", "Z", "*",
	})
	someSources = rapid.SampledFrom([]string{"/relevo/x", "/relevo/xy", "a", "ab", "urn:b"}) // URIs
	someNames   = rapid.SampledFrom([]string{
		"specversion", "type", "source", "subject", "id", "time", "datacontenttype", "datamediatype",
		"dataschema", "schemaurl", "datacontentencoding", "causeid", "runid", "sequence", "partitionkey",
		"traceparent", "tracestate", "epoch", "nosuch", "knativearrivaltime",
	})
	oddNames = rapid.OneOf(someNames, rapid.SampledFrom([]string{"", "Type", "9a", "a-b", "é"}))
)

func drawEnvelope(r *rapid.T) events.Envelope {
	optional := rapid.OneOf(rapid.Just(""), someTexts)
	e := events.Envelope{
		ID: someTexts.Draw(r, "id"), Source: someSources.Draw(r, "source"),
		Type: events.Type(someTexts.Draw(r, "type")), Subject: optional.Draw(r, "subject"),
		CauseID: optional.Draw(r, "causeid"), RunID: optional.Draw(r, "runid"),
		Sequence:     uint64(rapid.IntRange(0, 12).Draw(r, "sequence")),
		PartitionKey: optional.Draw(r, "partitionkey"), Traceparent: optional.Draw(r, "traceparent"),
		Tracestate: optional.Draw(r, "tracestate"), Epoch: uint32(rapid.IntRange(0, 12).Draw(r, "epoch")),
	}
	if rapid.Bool().Draw(r, "timed") {
		e.Time = time.Date(2026, 1, 2, 3, 4, 5, rapid.SampledFrom([]int{0, 120e6}).Draw(r, "nanos"), time.UTC)
	}
	if rapid.Bool().Draw(r, "payload") {
		e.Data = json.RawMessage(`{}`)
	}
	return e
}

func drawFilter(r *rapid.T, depth int, names *rapid.Generator[string], texts *rapid.Generator[string]) bus.Filter {
	several := func(label string) []bus.Filter {
		list := make([]bus.Filter, rapid.IntRange(0, 3).Draw(r, label))
		for i := range list {
			list[i] = drawFilter(r, depth-1, names, texts)
		}
		return list
	}
	kind := rapid.IntRange(0, 5).Draw(r, "kind")
	if depth == 0 {
		kind %= 3
	}
	var f bus.Filter
	switch pairs := rapid.MapOfN(names, texts, 0, 2); kind {
	case 0:
		f.Exact = pairs.Draw(r, "exact")
	case 1:
		f.Prefix = pairs.Draw(r, "prefix")
	case 2:
		f.Suffix = pairs.Draw(r, "suffix")
	case 3:
		f.All = several("all")
	case 4:
		f.Any = several("any")
	case 5:
		inner := drawFilter(r, depth-1, names, texts)
		f.Not = &inner
	}
	return f
}

// theirs is the same value in another implementation's type.
func theirs[T any](r *rapid.T, ours any) T {
	raw, err := json.Marshal(ours)
	if err != nil {
		r.Fatal(err)
	}
	var other T
	if err := json.Unmarshal(raw, &other); err != nil {
		r.Fatalf("%s: %v", raw, err)
	}
	return other
}

func TestFiltersAgreeWithKnative(t *testing.T) {
	passed, refused := 0, 0
	rapid.Check(t, func(r *rapid.T) {
		filters := make([]bus.Filter, rapid.IntRange(0, 3).Draw(r, "filters"))
		for i := range filters {
			filters[i] = drawFilter(r, 3, someNames, someTexts)
		}
		match, err := bus.Compile(filters)
		if err != nil {
			refused++
			return
		}
		trigger := theirs[[]eventing.SubscriptionsAPIFilter](r, filters)
		for range 3 {
			e := drawEnvelope(r)
			// A new one for each event, and never its Cleanup: theirs reorders itself
			// as it learns which part refuses most, and races with itself on both.
			knative := subscriptionsapi.CreateSubscriptionsAPIFilters(zap.NewNop(), trigger)
			want := knative.Filter(t.Context(), theirs[event.Event](r, e)) != eventfilter.FailFilter
			if got := match.Match(e); got != want {
				r.Fatalf("filters %+v, event %+v: we say %v, Knative %v", filters, e, got, want)
			}
			if want {
				passed++
			}
		}
	})
	if passed == 0 || refused == 0 {
		t.Errorf("the generator is one-sided: %d passed, %d filters refused", passed, refused)
	}
}

func TestAttributesAgreeWithKnative(t *testing.T) {
	passed := 0
	rapid.Check(t, func(r *rapid.T) {
		want := rapid.MapOfN(someNames, rapid.OneOf(rapid.Just(""), someTexts), 0, 3).Draw(r, "attributes")
		knative := attributes.NewAttributesFilter(want)
		for range 10 {
			e := drawEnvelope(r)
			theirs := knative.Filter(t.Context(), theirs[event.Event](r, e)) != eventfilter.FailFilter
			if got := bus.Attributes(want).Match(e); got != theirs {
				r.Fatalf("attributes %v, event %+v: we say %v, Knative %v", want, e, got, theirs)
			}
			if theirs {
				passed++
			}
		}
	})
	if passed == 0 {
		t.Error("nothing ever passed")
	}
}

// TestWhatKnativeRefusesIsRefused holds the other half: a Trigger's filters
// that its webhook refuses do not compile either.
func TestWhatKnativeRefusesIsRefused(t *testing.T) {
	refused := 0
	rapid.Check(t, func(r *rapid.T) {
		f := drawFilter(r, 2, oddNames, rapid.OneOf(rapid.Just(""), someTexts))
		if rapid.IntRange(0, 4).Draw(r, "second dialect") == 0 {
			f.Suffix = map[string]string{"id": "a"}
		}
		list := []bus.Filter{f}
		errs := eventing.ValidateSubscriptionAPIFiltersList(t.Context(), theirs[[]eventing.SubscriptionsAPIFilter](r, list))
		_, err := bus.Compile(list)
		if errs != nil && err == nil {
			r.Fatalf("%+v: Knative refuses it (%v) and we do not", f, errs)
		}
		if errs != nil {
			refused++
		}
	})
	if refused == 0 {
		t.Error("nothing was ever refused")
	}
}

func TestCompileSaysWhere(t *testing.T) {
	ok := bus.Filter{Exact: map[string]string{"type": "x"}}
	for name, c := range map[string]struct {
		filter bus.Filter
		want   string
	}{
		"nothing":  {bus.Filter{}, "bus: invalid filter: filters[1]: 0 expressions, want one"},
		"two":      {bus.Filter{Exact: ok.Exact, Prefix: ok.Exact}, "bus: invalid filter: filters[1]: 2 expressions, want one"},
		"cesql":    {bus.Filter{CESQL: "TRUE"}, "bus: invalid filter: filters[1]: cesql is not supported here: say it with all, any, not, exact, prefix, suffix"},
		"in not":   {bus.Filter{Not: &bus.Filter{}}, "bus: invalid filter: filters[1].not: 0 expressions, want one"},
		"in any":   {bus.Filter{Any: []bus.Filter{ok, {}}}, "bus: invalid filter: filters[1].any[1]: 0 expressions, want one"},
		"in all":   {bus.Filter{All: []bus.Filter{{CESQL: "x"}}}, "bus: invalid filter: filters[1].all[0]: cesql is not supported here: say it with all, any, not, exact, prefix, suffix"},
		"no text":  {bus.Filter{Suffix: map[string]string{"type": ""}}, "bus: invalid filter: filters[1].suffix: the text for type is empty"},
		"bad name": {bus.Filter{Prefix: map[string]string{"Type": "x"}}, `bus: invalid filter: filters[1].prefix: "Type" is not an attribute's name: a letter, then letters and digits, all lower case`},
	} {
		_, err := bus.Compile([]bus.Filter{ok, c.filter})
		if !errors.Is(err, bus.ErrFilter) || err.Error() != c.want {
			t.Errorf("%s:\n got %v\nwant %s", name, err, c.want)
		}
	}
}
