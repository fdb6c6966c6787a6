package eventemitted_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	cdevents "github.com/cdevents/sdk-go/pkg/api"
	v04 "github.com/cdevents/sdk-go/pkg/api/v04"

	"github.com/relevo-ci/relevo/events"
	eventemitted "github.com/relevo-ci/relevo/functions/event-emitted"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/state"
)

var now = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// desk has one run.
type desk struct {
	front *state.Front
	fn    fn.Function
}

func newDesk(t *testing.T, by events.Trigger) desk {
	t.Helper()
	c := &state.Committer{Store: memory.New(func() time.Time { return now }, "test")}
	runs := &state.Runs{Committer: c, Policy: pipeline.DefaultPolicy()}
	spec, err := json.Marshal(pipeline.Spec{Jobs: []pipeline.JobSpec{{ID: "build", Key: "build.0", Name: expression.Text("build")}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := runs.Create(t.Context(), "api", events.RunRequested{RunRef: events.RunRef{Run: "R"}, Trigger: by, Spec: spec}); err != nil {
		t.Fatal(err)
	}
	d := desk{front: &state.Front{Committer: c}}
	d.fn = eventemitted.New(runs, d.front, "https://ci.example.com/")
	return d
}

func emitted(t *testing.T, run events.RunID, name, about, content string) events.Envelope {
	t.Helper()
	e, err := events.New("id", "/relevo/worker", "cause", now, events.EventEmitted{
		AttemptRef: events.AttemptRef{JobRef: events.JobRef{Run: run, Job: "build.0"}, Attempt: 1},
		Index:      2, Name: name, About: about, Content: json.RawMessage(content),
	})
	if err != nil {
		t.Fatal(err)
	}
	e.Traceparent, e.Epoch, e.Sequence = "00-1-2-01", 1, 7
	return e
}

// split gives the events for Relevo itself, and those for others.
func split(es []events.Envelope) (ours, others []events.Envelope) {
	for _, e := range es {
		e.Epoch = 0
		if _, ok := events.Find(e.Type); ok {
			ours = append(ours, e)
		} else {
			others = append(others, e)
		}
	}
	return ours, others
}

// TestTheUsersOwnEvent is published, and comes in; both once, however often it
// is told.
func TestTheUsersOwnEvent(t *testing.T) {
	d := newDesk(t, events.Trigger{Hops: 2})
	want := events.Envelope{
		ID: events.DeriveID("event-emitted", "id"), Source: "/relevo/run/R/job/build.0", Type: "com.example.thing", Subject: "thing/1",
		Time: now, Data: json.RawMessage(`{"a":1}`),
		CauseID: "id", RunID: "R", PartitionKey: "R", Traceparent: "00-1-2-01",
	}
	var first events.Envelope
	for i := range 2 {
		got, err := d.fn.Handle(t.Context(), emitted(t, "R", "com.example.thing", "thing/1", `{"a":1}`))
		ours, others := split(got)
		if err != nil || len(others) != 1 || !reflect.DeepEqual(others[0], want) {
			t.Fatalf("%+v, %v, want %+v", others, err, want)
		}
		if len(ours) != 1 || ours[0].Type != events.TypeDeliveryReceived || i > 0 && ours[0].ID != first.ID {
			t.Fatalf("it comes in as %+v, first %s", ours, first.ID)
		}
		first = ours[0]
	}
	in, err := events.Decode[events.DeliveryReceived](first)
	if err != nil {
		t.Fatal(err)
	}
	delivery, body, err := d.front.Delivery(t.Context(), in.Data.Delivery)
	var back events.Envelope
	if err == nil {
		err = json.Unmarshal(body, &back)
	}
	if err != nil || !reflect.DeepEqual(back, want) || delivery.Run != "R" || delivery.Hops != 3 || delivery.Altered != 0 {
		t.Errorf("kept %s as %+v, %v", body, delivery, err)
	}
}

// TestItIsInTheOutbox: what was committed waits to be struck, for the clock.
func TestItIsInTheOutbox(t *testing.T) {
	d := newDesk(t, events.Trigger{})
	if _, err := d.fn.Handle(t.Context(), emitted(t, "R", "com.example.thing", "", "")); err != nil {
		t.Fatal(err)
	}
	ps, err := d.front.Store.Partitions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var waiting []string
	for _, p := range ps {
		records, err := d.front.Store.Outbox(t.Context(), p, 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			for _, e := range r.Emitted {
				if strings.HasPrefix(string(p), state.FrontPrefix) {
					waiting = append(waiting, string(e.Type))
				}
			}
		}
	}
	if strings.Join(waiting, " ") != string(events.TypeDeliveryReceived)+" com.example.thing" {
		t.Errorf("the outbox has %q", waiting)
	}
}

// TestOfAStranger: those who hear of it could not tell that it is a fork's.
func TestOfAStranger(t *testing.T) {
	d := newDesk(t, events.Trigger{Untrusted: true})
	if got, err := d.fn.Handle(t.Context(), emitted(t, "R", "com.example.thing", "", "")); err != nil || len(got) > 0 {
		t.Errorf("%v, %v", got, err)
	}
	list, _, err := d.front.Deliveries(t.Context(), "", 10)
	if err != nil || len(list) > 0 {
		t.Errorf("it came in as %+v, %v", list, err)
	}
}

func TestOfARunThatIsGone(t *testing.T) {
	if got, err := newDesk(t, events.Trigger{}).fn.Handle(t.Context(), emitted(t, "other", "com.example.thing", "", "")); err != nil || len(got) > 0 {
		t.Errorf("%v, %v", got, err)
	}
}

// TestNobodySpeaksForUs: a type of Relevo's own is not published, whoever asks.
func TestNobodySpeaksForUs(t *testing.T) {
	d := newDesk(t, events.Trigger{})
	for _, name := range []string{string(events.TypeRunCompleted), "dev.cdevents.x", "dev.cdevents.pipelinerun.finished", "", "a b"} {
		got, err := d.fn.Handle(t.Context(), emitted(t, "R", name, "s", ""))
		var f *fn.Fault
		if len(got) != 0 || !errors.As(err, &f) || f.Kind != fn.Invalid {
			t.Errorf("%q: %v, %v", name, got, err)
		}
	}
}

// contents are some that each kind takes.
var contents = map[string]string{
	"artifact.packaged":     `{"change":{"id":"abc","source":"https://git.example.com/shop"},"sbom":{"uri":"https://example.com/sbom.json"}}`,
	"artifact.signed":       `{"signature":"MEUC"}`,
	"artifact.published":    ``,
	"artifact.downloaded":   `{"user":"ada"}`,
	"artifact.deleted":      `{}`,
	"testcaserun.queued":    `{"environment":{"id":"ci"},"trigger":{"type":"pipeline","uri":"https://example.com"}}`,
	"testcaserun.started":   `{"environment":{"id":"ci","source":"/relevo"},"testCase":{"id":"adds","type":"unit"}}`,
	"testcaserun.finished":  `{"environment":{"id":"ci"},"outcome":"fail","severity":"high","reason":"1 is not 2","testSuiteRun":{"id":"unit"}}`,
	"testcaserun.skipped":   `{"reason":"slow"}`,
	"testsuiterun.queued":   `{"environment":{"id":"ci"},"testSuite":{"id":"unit","url":"https://example.com/a"}}`,
	"testsuiterun.started":  `{"environment":{"id":"ci"},"testSuite":{"id":"unit","uri":"https://example.com/a"}}`,
	"testsuiterun.finished": `{"environment":{"id":"ci"},"outcome":"pass"}`,
	"testoutput.published":  `{"outputType":"report","format":"junit","uri":"https://example.com/junit.xml"}`,
	"service.deployed":      `{"environment":{"id":"prod"},"artifactId":"pkg:oci/shop@sha256%3Aabc"}`,
	"service.upgraded":      `{"environment":{"id":"prod"},"artifactId":"pkg:oci/shop"}`,
	"service.rolledback":    `{"environment":{"id":"prod"},"artifactId":"pkg:oci/shop"}`,
	"service.removed":       `{"environment":{"id":"prod"}}`,
	"service.published":     `{"environment":{"id":"prod"}}`,
}

// TestCDEvents holds each kind to the SDK's validation, and that there is one of
// each.
func TestCDEvents(t *testing.T) {
	d := newDesk(t, events.Trigger{Delivery: "d1"})
	for _, kind := range execution.CDEvents() {
		content, there := contents[strings.TrimPrefix(kind, execution.CDEventPrefix)]
		if !there {
			t.Errorf("%s is not tried", kind)
			continue
		}
		got, err := d.fn.Handle(t.Context(), emitted(t, "R", kind, "pkg:oci/shop", content))
		if _, got = split(got); err != nil || len(got) != 1 {
			t.Fatalf("%s: %v, %v", kind, got, err)
		}
		e := got[0]
		read, err := v04.NewFromJsonBytes(e.Data)
		if err == nil {
			err = cdevents.Validate(read)
		}
		if err != nil {
			t.Fatalf("%s: %v\n%s", kind, err, e.Data)
		}
		if read.GetChainId() != "d1" || read.GetSubjectId() != "pkg:oci/shop" || read.GetSource() != "https://ci.example.com" || e.Source != read.GetSource() || read.GetId() != e.ID ||
			string(e.Type) != read.GetType().String() || !strings.HasPrefix(string(e.Type), kind+".0.") {
			t.Errorf("%s in %+v", e.Data, e)
		}
	}
}

// FuzzCDEvent holds that what a step may emit is valid, whatever its data.
func FuzzCDEvent(f *testing.F) {
	kinds := execution.CDEvents()
	for i, kind := range kinds {
		f.Add(i, contents[strings.TrimPrefix(kind, execution.CDEventPrefix)], "s")
	}
	for _, uri := range []string{"a:b", "1:a", "//x", "http://a:99999", "%zz", "a b", "urn:x:y#a#b", "x", "", "a/b:c", "/", "http://[::1]", "a?b", "é"} {
		raw, err := json.Marshal(map[string]any{"environment": map[string]any{"id": "x", "source": uri}, "trigger": map[string]any{"uri": uri}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(7+3, string(raw), "s")
		f.Add(5, string(raw), "s")
	}
	f.Fuzz(func(t *testing.T, kind int, content, about string) {
		e := execution.Emitted{Index: 1, Type: kinds[((kind%len(kinds))+len(kinds))%len(kinds)], Subject: about, Data: json.RawMessage(content)}
		if e.Check() != nil {
			return
		}
		got, err := newDesk(t, events.Trigger{}).fn.Handle(t.Context(), emitted(t, "R", e.Type, about, content))
		if _, got = split(got); err != nil || len(got) != 1 {
			t.Fatalf("%v, %v", got, err)
		}
		read, err := v04.NewFromJsonBytes(got[0].Data)
		if err == nil {
			err = cdevents.Validate(read)
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, got[0].Data)
		}
	})
}

// TestTooFar: pipelines that start each other in a circle end somewhere.
func TestTooFar(t *testing.T) {
	for hops, far := range map[int]bool{trigger.MostHops: false, trigger.MostHops + 1: true} {
		if got := (trigger.Arrival{Hops: hops}).TooFar(); (got != "") != far {
			t.Errorf("%d: %q", hops, got)
		}
	}
}
