package runrequestedcdevents_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
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

var (
	now     = time.Date(2030, 1, 1, 0, 0, 0, 123e6, time.UTC)
	ref     = events.RunRef{Run: id}
	job     = events.JobRef{Run: id, Job: "a.0"}
	attempt = events.AttemptRef{JobRef: job, Attempt: 2, Fence: events.Fence{Epoch: 1, Counter: 2}}
)

// all are events that the bridge hears of, each once at least.
var all = []events.Data{
	events.RunRequested{RunRef: ref},
	events.RunStarted{RunRef: ref},
	events.RunCompleted{RunRef: ref},
	events.RunFailed{RunRef: ref, Verdict: events.Failed, Reason: "a: exit status 1"},
	events.RunFailed{RunRef: ref, Verdict: events.Infra, Reason: "evicted"},
	events.RunCancelled{RunRef: ref, Reason: "enough"},
	events.JobStarted{AttemptRef: attempt},
	events.AwaitRequested{JobRef: job},
	events.JobCompleted{AttemptRef: attempt},
	events.JobFailed{AttemptRef: attempt, Verdict: events.Timeout, Reason: "too long"},
	events.JobRetried{AttemptRef: attempt, Verdict: events.Infra, Reason: "lost"},
	events.JobCancelled{AttemptRef: attempt},
	events.JobFailed{AttemptRef: events.AttemptRef{JobRef: job}, Verdict: events.Rejected},
}

// runs has one run.
func runs(t *testing.T, req events.RunRequested) *state.Runs {
	t.Helper()
	spec, err := json.Marshal(pipeline.Spec{Jobs: []pipeline.JobSpec{{ID: "a", Key: "a.0", Name: expression.Text("a")}}})
	if err != nil {
		t.Fatal(err)
	}
	req.RunRef, req.Spec = ref, spec
	r := &state.Runs{Committer: &state.Committer{Store: memory.New(func() time.Time { return now }, "test")}, Policy: pipeline.DefaultPolicy()}
	if _, err := r.Create(t.Context(), "api", req); err != nil {
		t.Fatal(err)
	}
	return r
}

// tell gives the CDEvent for an event, as the SDK reads it.
func tell(t *testing.T, f fn.Function, d events.Data) (cdevents.CDEventReaderV04, events.Envelope) {
	t.Helper()
	e, err := events.New("e1", "/relevo/x", "", now, d)
	if err != nil {
		t.Fatal(err)
	}
	if !f.Takes(e.Type) {
		t.Fatalf("nobody hears %s", e.Type)
	}
	out, err := f.Handle(t.Context(), e)
	if err != nil || len(out) != 1 {
		t.Fatalf("%s: %v, %v", e.Type, out, err)
	}
	read, err := v04.NewFromJsonBytes(out[0].Data)
	if err != nil {
		t.Fatalf("%s: %v\n%s", e.Type, err, out[0].Data)
	}
	if err := cdevents.Validate(read); err != nil {
		t.Fatalf("%s is not valid: %v\n%s", e.Type, err, out[0].Data)
	}
	return read, out[0]
}

// TestEachIsValid holds every event to the SDK's validation, and its CloudEvent
// to what the SDK makes of it.
func TestEachIsValid(t *testing.T) {
	for _, public := range []string{"", "https://ci.example.com/"} {
		f := bridge.New(runs(t, events.RunRequested{Pipeline: "ci"}), public)
		types := map[string]bool{}
		for _, d := range all {
			read, e := tell(t, f, d)
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
			types[got.Type()] = true
		}
		want := []string{
			"dev.cdevents.pipelinerun.finished.0.2.0", "dev.cdevents.pipelinerun.queued.0.2.0", "dev.cdevents.pipelinerun.started.0.2.0",
			"dev.cdevents.taskrun.finished.0.2.0", "dev.cdevents.taskrun.started.0.2.0",
		}
		if got := slices.Sorted(maps.Keys(types)); !slices.Equal(got, want) {
			t.Errorf("types %q, want %q", got, want)
		}
	}
}

func TestWhatTheySay(t *testing.T) {
	f := bridge.New(runs(t, events.RunRequested{Pipeline: "ci"}), "https://ci.example.com/")
	for _, c := range []struct {
		d    events.Data
		want string
	}{
		{all[0], `{"pipelineName":"ci","url":"https://ci.example.com/v1/pipelines/01J00000000000000000000001"}`},
		{all[2], `{"pipelineName":"ci","url":"https://ci.example.com/v1/pipelines/01J00000000000000000000001","outcome":"success"}`},
		{all[3], `{"pipelineName":"ci","url":"https://ci.example.com/v1/pipelines/01J00000000000000000000001","outcome":"failure","errors":"a: exit status 1"}`},
		{all[4], `{"pipelineName":"ci","url":"https://ci.example.com/v1/pipelines/01J00000000000000000000001","outcome":"error","errors":"evicted"}`},
		{all[9], `{"taskName":"a.0","url":"https://ci.example.com/v1/jobs/01J00000000000000000000001.a.0","pipelineRun":{"id":"01J00000000000000000000001","source":"https://ci.example.com"},"outcome":"failure","errors":"too long"}`},
		{all[11], `{"taskName":"a.0","url":"https://ci.example.com/v1/jobs/01J00000000000000000000001.a.0","pipelineRun":{"id":"01J00000000000000000000001","source":"https://ci.example.com"},"outcome":"cancel"}`},
	} {
		_, e := tell(t, f, c.d)
		if !strings.Contains(string(e.Data), `"content":`+c.want+"}") {
			t.Errorf("%s\ndoes not say %s", e.Data, c.want)
		}
	}
}

// TestLinks holds that the links of a run lead from its end to its beginning.
func TestLinks(t *testing.T) {
	f := bridge.New(runs(t, events.RunRequested{Trigger: events.Trigger{Delivery: "d1"}}), "")
	ids := map[string]string{}
	var steps []string
	for _, d := range []events.Data{all[0], all[1], all[6], all[8], all[2]} {
		read, _ := tell(t, f, d)
		if read.GetChainId() != "d1" {
			t.Errorf("chain %q", read.GetChainId())
		}
		name := read.GetType().Subject + " " + read.GetType().Predicate
		ids[read.GetId()] = name
		links, err := json.Marshal(read.GetLinks())
		if err != nil {
			t.Fatal(err)
		}
		var back []struct {
			Type string `json:"linkType"`
			From struct {
				ID string `json:"contextId"`
			} `json:"from"`
		}
		if err := json.Unmarshal(links, &back); err != nil {
			t.Fatal(err)
		}
		for _, l := range back {
			steps = append(steps, fmt.Sprintf("%s %s %s", name, l.Type, ids[l.From.ID]))
		}
	}
	want := []string{
		"pipelinerun started PATH pipelinerun queued", "taskrun started PATH pipelinerun started",
		"taskrun finished PATH taskrun started", "pipelinerun finished END pipelinerun started",
	}
	if !slices.Equal(steps, want) {
		t.Errorf("links\n%s\nwant\n%s", strings.Join(steps, "\n"), strings.Join(want, "\n"))
	}
}

func TestToldTwiceIsOneEvent(t *testing.T) {
	f := bridge.New(runs(t, events.RunRequested{}), "")
	_, first := tell(t, f, all[1])
	if _, again := tell(t, f, all[1]); again.ID != first.ID || string(again.Data) != string(first.Data) {
		t.Errorf("first %s\nthen %s", first.Data, again.Data)
	}
}

func TestRunThatIsGone(t *testing.T) {
	r := &state.Runs{Committer: &state.Committer{Store: memory.New(time.Now, "test")}}
	e, err := events.New("e1", "/relevo/x", "", now, all[1])
	if err != nil {
		t.Fatal(err)
	}
	if out, err := bridge.New(r, "").Handle(t.Context(), e); err != nil || len(out) > 0 {
		t.Errorf("%v, %v", out, err)
	}
}

// FuzzValid holds that no name or reason makes an event that is not valid.
func FuzzValid(f *testing.F) {
	f.Add("ci", "exit status 1", "https://ci.example.com", "d1")
	f.Add("", "\xff\x00", "x y", "")
	f.Fuzz(func(t *testing.T, name, reason, public, delivery string) {
		if strings.ContainsFunc(public, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`%:[\]^{|}"<>`+"`", c) }) {
			public = "" // the settings refuse it
		}
		b := bridge.New(runs(t, events.RunRequested{Pipeline: name, Trigger: events.Trigger{Delivery: events.DeliveryID(delivery)}}), public)
		for _, d := range []events.Data{
			all[0], events.RunFailed{RunRef: ref, Verdict: events.Verdict(reason), Reason: reason}, events.JobCancelled{AttemptRef: attempt, Reason: reason},
		} {
			tell(t, b, d)
		}
	})
}
