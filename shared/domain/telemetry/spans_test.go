package telemetry_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/telemetry"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

const runID events.RunID = "01JABCDEFGHJKMNPQRSTVWXYZ0"

var zero = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return zero.Add(time.Duration(seconds) * time.Second) }

// loaded makes a run of a document as it is stored.
func loaded(t *testing.T, doc pipeline.Run, started events.Trigger) *pipeline.Run {
	t.Helper()
	doc.ID = runID
	body, err := json.Marshal(&doc)
	if err != nil {
		t.Fatal(err)
	}
	request, err := json.Marshal(events.RunRequested{RunRef: events.RunRef{Run: runID}, Trigger: started, Spec: []byte(`{"jobs":[]}`)})
	if err != nil {
		t.Fatal(err)
	}
	run, err := pipeline.Load(body, request, pipeline.DefaultPolicy())
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// twice is a run whose job lost its first worker, and one that waits.
func twice(t *testing.T, trace string) *pipeline.Run {
	placed := func(n string) events.Placement {
		return events.Placement{Pool: "linux", Node: "n1", Worker: events.WorkerID("w" + n), Provider: "docker"}
	}
	return loaded(t, pipeline.Run{
		Pipeline: "ci", Project: "github/o/r", State: pipeline.RunFailed, Trace: trace,
		Requested: at(2), Started: at(3), Ended: at(60), Verdict: events.Failed, Reason: "job build failed",
		Jobs: []*pipeline.Job{
			{
				Key: "build", Name: "Build it", State: pipeline.Failed, Attempt: 2, AskedAt: at(30), Ended: at(59), Verdict: events.Failed, Reason: "step test: exited with 1",
				Attempts: []*pipeline.Attempt{
					{Number: 1, State: pipeline.AttemptTerminated, Fence: events.Fence{Epoch: 1, Counter: 1}, Placement: placed("1"), Asked: at(3), Scheduled: at(5), Ended: at(29), Verdict: events.Infra, Reason: "it never said hello"},
					{Number: 2, State: pipeline.AttemptFailed, Fence: events.Fence{Epoch: 1, Counter: 2}, Placement: placed("2"), Asked: at(30), Scheduled: at(31), Started: at(35), Ended: at(59), Verdict: events.Failed, Reason: "step test: exited with 1"},
				},
				Steps: []events.StepResult{
					{ID: "0", Name: "checkout", Outcome: "success", Conclusion: "success", Millis: 2000},
					{ID: "test", Name: "test", Outcome: "failure", Conclusion: "failure", Exit: 1, Offset: 5000, Millis: 60_000},
					{ID: "2", Name: "upload", Outcome: "skipped", Conclusion: "skipped", Exit: -1},
				},
			},
			{Key: "deploy", State: pipeline.Skipped, Reason: "build failed", Ended: at(60)},
			{Key: "later"},
			{
				Key: "lint", State: pipeline.Succeeded, Ended: at(2), Verdict: events.Succeeded, Reason: "carried over from another run",
				Carried: &events.Carried{Run: "01JABCDEFGHJKMNPQRSTVWXYZ9", Attempt: 1},
			},
		},
	}, events.Trigger{Event: "pull_request", Forge: "github", Repository: "o/r", Ref: "refs/pull/7/merge", SHA: "abc", Head: "topic", Base: "main", PullRequest: 7, Clone: "https://forge.example/o/r.git", Delivery: "D"})
}

var delivery = &trigger.Delivery{
	ID: "D", Arrival: trigger.Arrival{Source: "github", Event: "pull_request"}, State: trigger.Done, Received: at(0), Ended: at(2), Round: 1,
}

// shown is one line a span: what is below what, when, and how it went.
func shown(spans []telemetry.Span) string {
	var b strings.Builder
	for _, s := range spans {
		end := "…"
		if !s.End.IsZero() {
			end = fmt.Sprint(s.End.Sub(zero).Seconds())
		}
		failed := ""
		if s.Failed {
			failed = " !" + s.Message
		}
		fmt.Fprintf(&b, "%s%s [%v %s]%s\n", strings.Repeat("  ", s.Depth), s.Name, s.Start.Sub(zero).Seconds(), end, failed)
	}
	return b.String()
}

func TestTheTree(t *testing.T) {
	spans := telemetry.Spans(twice(t, ""), delivery, "https://ci.example/")
	want := `webhook pull_request [0 2]
  RUN ci [2 60] !job build failed
    Build it [3 59] !step test: exited with 1
      queued [3 5]
      worker docker [5 29] !it never said hello
        launching [5 29]
      queued [30 31]
      worker docker [31 59] !step test: exited with 1
        launching [31 35]
        checkout [35 37]
        test [40 59] !step test: exit 1
        upload [59 59]
    deploy [60 60]
`
	if got := shown(spans); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	whole(t, spans)
	for _, attribute := range []string{
		"cicd.pipeline.name=ci", "cicd.pipeline.result=failure", "vcs.provider.name=github", "vcs.owner.name=o", "vcs.repository.name=r",
		"vcs.repository.url.full=https://forge.example/o/r", "vcs.ref.head.name=topic", "vcs.ref.head.revision=abc", "vcs.ref.head.type=branch",
		"vcs.ref.base.name=main", "vcs.change.id=7", "error.type=failed", "cicd.pipeline.run.url.full=https://ci.example/v1/pipelines/" + string(runID),
	} {
		if all := attributes(spans[1]); !strings.Contains(all, " "+attribute+" ") {
			t.Errorf("the run has no %s:%s", attribute, all)
		}
	}
	if all := attributes(spans[7]); !strings.Contains(all, " cicd.worker.id=w2 ") || !strings.Contains(all, " relevo.attempt=2 ") {
		t.Errorf("the worker has%s", all)
	}
	if all := attributes(spans[12]); !strings.Contains(all, " cicd.pipeline.task.run.result=skip ") {
		t.Errorf("what was skipped has%s", all)
	}
}

func attributes(s telemetry.Span) string {
	all := " "
	for _, a := range s.Attributes {
		all += fmt.Sprintf("%s=%v ", a.Key, a.Value)
	}
	return all
}

// whole checks that it is one tree of one trace, with ids that exist and differ.
func whole(t *testing.T, spans []telemetry.Span) {
	t.Helper()
	known := map[events.SpanID]int{}
	for i, s := range spans {
		p := events.Traceparent{Trace: s.Trace, Span: s.ID}
		if _, ok := events.ParseTraceparent(p.String()); !ok || s.Trace != spans[0].Trace {
			t.Errorf("%s: %s is no context of the trace %s", s.Name, p, spans[0].Trace)
		}
		depth, there := known[s.Parent]
		if _, twice := known[s.ID]; twice || i > 0 && (!there || depth != s.Depth-1) {
			t.Errorf("%s: a second one of %s, or below nothing: %s", s.Name, s.ID, s.Parent)
		}
		known[s.ID] = s.Depth
	}
}

// TestTheSameSpansEachTime, and others in another trace.
func TestTheSameSpansEachTime(t *testing.T) {
	const incoming = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	first, again := telemetry.Spans(twice(t, ""), delivery, ""), telemetry.Spans(twice(t, ""), delivery, "")
	given := *delivery
	given.Header = map[string]string{"traceparent": incoming}
	other := telemetry.Spans(twice(t, incoming), &given, "")
	if len(first) != len(again) || len(first) != len(other) {
		t.Fatal(len(first), len(again), len(other))
	}
	for i := range first {
		if first[i].ID != again[i].ID || first[i].ID == other[i].ID {
			t.Errorf("%s: %s, %s, and in another trace %s", first[i].Name, first[i].ID, again[i].ID, other[i].ID)
		}
	}
	if other[0].Trace != "0af7651916cd43dd8448eb211c80319c" || other[0].Parent != "b7ad6b7169203331" || first[0].Parent != "" {
		t.Errorf("roots below %q of %s, and %q", other[0].Parent, other[0].Trace, first[0].Parent)
	}
	whole(t, other)
}

// TestWithoutTheDelivery the run is the root; of one that a caller's span led to it
// is below that.
func TestWithoutTheDelivery(t *testing.T) {
	spans := telemetry.Spans(twice(t, ""), nil, "")
	if spans[0].Name != "RUN ci" || spans[0].Parent != "" {
		t.Errorf("%+v", spans[0])
	}
	whole(t, spans)
	run := loaded(t, pipeline.Run{Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Requested: at(0)}, events.Trigger{Event: "manual"})
	if spans := telemetry.Spans(run, nil, ""); spans[0].Parent != "b7ad6b7169203331" || !spans[0].End.IsZero() {
		t.Errorf("%+v", spans[0])
	}
}

// TestWhatGoesOn has no end, and a job that waits has a queue.
func TestWhatGoesOn(t *testing.T) {
	run := loaded(t, pipeline.Run{
		Pipeline: "ci", State: pipeline.RunRunning, Requested: at(0),
		Jobs: []*pipeline.Job{
			{Key: "a", State: pipeline.Pending, Attempt: 1, AskedAt: at(1)},
			{Key: "b", State: pipeline.Running, Attempt: 1, AskedAt: at(1), Attempts: []*pipeline.Attempt{
				{Number: 1, State: pipeline.AttemptRunning, Fence: events.Fence{Epoch: 1, Counter: 1}, Asked: at(1), Scheduled: at(2), Started: at(3)},
			}},
		},
	}, events.Trigger{})
	want := `RUN ci [0 …]
  a [1 …]
    queued [1 …]
  b [1 …]
    queued [1 2]
    worker [2 …]
      launching [2 3]
`
	if got := shown(telemetry.Spans(run, nil, "")); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
