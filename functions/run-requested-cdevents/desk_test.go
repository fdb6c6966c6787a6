package runrequestedcdevents_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	cdevents "github.com/cdevents/sdk-go/pkg/api"
	v04 "github.com/cdevents/sdk-go/pkg/api/v04"
	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/relevo-ci/relevo/events"
	bridge "github.com/relevo-ci/relevo/functions/run-requested-cdevents"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/state"
)

const id events.RunID = "01J00000000000000000000001"

// desk has one run, and the bridge.
type desk struct {
	*testing.T
	now   time.Time
	runs  *state.Runs
	front *state.Front
	fn    fn.Function
	all   []events.Envelope // that the run emitted
	asked int
}

var jobs = []pipeline.JobSpec{
	{ID: "a", Key: "a.0", Name: expression.Text("a"), Retry: &pipeline.Retry{Max: 1}},
	{ID: "gate", Key: "gate", Name: expression.Text("The gate"), Await: &pipeline.Await{Approval: true}},
	{ID: "last", Key: "last", Name: expression.Text("last"), Needs: []string{"gate"}},
}

func newDesk(t *testing.T, public string, req events.RunRequested) *desk {
	t.Helper()
	d := &desk{T: t, now: time.Date(2030, 1, 1, 0, 0, 0, 123e6, time.UTC)}
	c := &state.Committer{Store: memory.New(func() time.Time { return d.now }, "test")}
	d.runs = &state.Runs{Committer: c, Policy: pipeline.DefaultPolicy()}
	d.front = &state.Front{Committer: c}
	d.fn = bridge.New(d.runs, d.front, public)
	spec, err := json.Marshal(pipeline.Spec{Jobs: jobs})
	if err != nil {
		t.Fatal(err)
	}
	req.RunRef, req.Spec = events.RunRef{Run: id}, spec
	res, err := d.runs.Create(t.Context(), "api", req)
	if err != nil {
		t.Fatal(err)
	}
	d.all = res.Emitted
	return d
}

// do changes the run a second later.
func (d *desk) do(decide func(r *pipeline.Run, em *events.Emitter)) {
	d.Helper()
	d.now, d.asked = d.now.Add(time.Second), d.asked+1
	cause := events.Envelope{ID: fmt.Sprint("cause", d.asked), Source: "/relevo/test", Subject: "x", Type: events.TypeClockTicked, Time: d.now, Data: []byte("{}")}
	res, err := d.runs.Change(d.Context(), "test", cause, id, func(r *pipeline.Run, em *events.Emitter, _ uint32) error {
		decide(r, em)
		return nil
	})
	if err != nil {
		d.Fatal(err)
	}
	d.all = append(d.all, res.Emitted...)
}

// attempt runs a job to its end.
func (d *desk) attempt(key events.JobKey, v events.Verdict, reason string) {
	d.Helper()
	d.now = d.now.Add(time.Minute) // past a back-off
	ref := events.AttemptRef{JobRef: events.JobRef{Run: id, Job: key}}
	run, _, err := d.runs.Load(d.Context(), id)
	if err != nil {
		d.Fatal(err)
	}
	if !run.Job(key).NotBefore.IsZero() {
		res, _, err := d.runs.Fire(d.Context(), ref.Subject(), false)
		if err != nil {
			d.Fatal(err)
		}
		d.all = append(d.all, res.Emitted...)
	}
	d.do(func(r *pipeline.Run, em *events.Emitter) {
		ref.Attempt = r.Job(key).Attempt
		offer := events.OfferFor(ref.JobRef, ref.Attempt)
		a := events.AssignmentCreated{
			AssignmentRef: events.AssignmentRef{Pool: "x", Assignment: events.AssignmentFor(offer)}, Offer: offer,
			For: ref, Node: "n", Worker: "w",
		}
		if got, _, why := r.Accept(em, 1, a); got != pipeline.Launch {
			d.Fatalf("assignment of %s: %v %s", key, got, why)
		}
		ref.Fence = r.Job(key).Current().Fence
	})
	d.do(func(r *pipeline.Run, em *events.Emitter) {
		if !r.Hello(em, ref, "w", "nonce") {
			d.Fatalf("hello of %s refused", key)
		}
	})
	d.do(func(r *pipeline.Run, em *events.Emitter) {
		r.End(em, events.JobEnded{AttemptRef: ref, Verdict: v, Reason: reason})
	})
}

// whole plays a run with all that there is to tell.
func (d *desk) whole() {
	d.Helper()
	d.do(func(r *pipeline.Run, em *events.Emitter) { r.Start(em) })
	d.attempt("a.0", events.Failed, "exit status 1")
	d.attempt("a.0", events.Succeeded, "")
	d.do(func(r *pipeline.Run, em *events.Emitter) {
		r.Match(em, events.AwaitMatched{JobRef: events.JobRef{Run: id, Job: "gate"}, By: "ada"})
	})
	d.attempt("last", events.Infra, "evicted")
	d.attempt("last", events.Infra, "evicted")
	d.attempt("last", events.Infra, "evicted")
}

// hears lets the bridge hear an event, and gives what it tells.
func (d *desk) hears(e events.Envelope) []events.Envelope {
	d.Helper()
	if !d.fn.Takes(e.Type) {
		return nil
	}
	out, err := d.fn.Handle(d.Context(), e)
	if err != nil {
		d.Fatal(err)
	}
	return out
}

// valid reads a CDEvent by the SDK, which must find nothing wrong with it, and
// make the same CloudEvent of it.
func valid(t *testing.T, e events.Envelope) cdevents.CDEventReaderV04 {
	t.Helper()
	read, err := v04.NewFromJsonBytes(e.Data)
	if err == nil {
		err = cdevents.Validate(read)
	}
	if err != nil {
		t.Fatalf("%s is not valid: %v\n%s", e.Type, err, e.Data)
	}
	want, err := cdevents.AsCloudEvent(read)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(e)
	var got event.Event
	if err != nil || json.Unmarshal(text, &got) != nil || got.Validate() != nil {
		t.Fatalf("%s is no CloudEvent (%v)", text, err)
	}
	if got.ID() != want.ID() || got.Type() != want.Type() || got.Source() != want.Source() || got.Subject() != want.Subject() || got.DataContentType() != want.DataContentType() {
		t.Errorf("sent %s\nthe SDK would %s", got, want)
	}
	return read
}

// telling is what a CDEvent says, for people who read this.
func telling(t *testing.T, e events.Envelope, ids map[string]string) string {
	t.Helper()
	read := valid(t, e)
	var body struct {
		Context struct {
			Links []struct {
				Type string `json:"linkType"`
				From struct {
					ID string `json:"contextId"`
				} `json:"from"`
			} `json:"links"`
		} `json:"context"`
		Subject struct {
			Content struct {
				Outcome, Errors, TaskName string
			} `json:"content"`
		} `json:"subject"`
	}
	if err := json.Unmarshal(e.Data, &body); err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(read.GetSubjectId(), string(id)) + " " + read.GetType().Predicate
	ids[read.GetId()] = name
	c := body.Subject.Content
	said := []string{read.GetType().Subject, name, c.TaskName, c.Outcome, c.Errors}
	for _, l := range body.Context.Links {
		said = append(said, l.Type, "of", ids[l.From.ID])
	}
	return strings.Join(strings.Fields(strings.Join(said, " ")), " ")
}
