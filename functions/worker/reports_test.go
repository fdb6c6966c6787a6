package worker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/functions/worker"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/state"
)

const run events.RunID = "01JABCDEFGHJKMNPQRSTVWXYZ0"

// rig is an attempt and what its worker's reports lead to.
type rig struct {
	t    *testing.T
	now  time.Time
	runs *state.Runs
	logs logs.Store
	ref  events.AttemptRef
	told []string // log.appended, as offset+length
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigOf(t, events.Trigger{}, pipeline.Spec{Jobs: []pipeline.JobSpec{{ID: "a", Key: "a", Name: expression.Text("a")}}})
}

// newRigOf is of the job a of a graph.
func newRigOf(t *testing.T, trigger events.Trigger, graph pipeline.Spec) *rig {
	t.Helper()
	r := &rig{t: t, now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), logs: logs.NewMemory(1 << 20)}
	store := memory.New(func() time.Time { return r.now }, "test")
	r.runs = &state.Runs{Committer: &state.Committer{Store: store}, Policy: pipeline.DefaultPolicy()}
	spec, err := json.Marshal(graph)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.runs.Create(t.Context(), "api", events.RunRequested{RunRef: events.RunRef{Run: run}, Trigger: trigger, Spec: spec}); err != nil {
		t.Fatal(err)
	}
	for i, decide := range []state.Decision{
		func(run *pipeline.Run, em *events.Emitter, _ uint32) error { run.Start(em); return nil },
		func(run *pipeline.Run, em *events.Emitter, epoch uint32) error {
			_, a, _ := run.Accept(em, epoch, events.AssignmentCreated{
				For:           events.AttemptRef{JobRef: events.JobRef{Run: run.ID, Job: "a"}, Attempt: 1},
				AssignmentRef: events.AssignmentRef{Pool: "p", Assignment: "as"}, Node: "n", Worker: "w", Provider: "fake",
			})
			r.ref = run.AttemptRef(run.Job("a"), a)
			return nil
		},
	} {
		if _, err := r.runs.Change(t.Context(), "test", events.Envelope{ID: strconv.Itoa(i)}, run, decide); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// process is one of those that reports come to.
func (r *rig) process() *worker.Reports {
	return &worker.Reports{Runs: r.runs, Logs: r.logs, Publish: func(_ context.Context, es []events.Envelope) error {
		for _, e := range es {
			if e.Type == events.TypeLogAppended {
				d, err := events.Decode[events.LogAppended](e)
				if err != nil {
					return err
				}
				r.told = append(r.told, fmt.Sprintf("%d+%d", d.Data.Offset, d.Data.Length))
			}
		}
		return nil
	}}
}

// report reports two seconds later than the last one.
func (r *rig) report(to *worker.Reports, offset int64, text string, steps ...execution.StepEvent) {
	r.t.Helper()
	r.now = r.now.Add(2 * time.Second)
	report := execution.Report{AttemptRef: r.ref, Worker: "w", Nonce: "n", Kind: execution.Beat, Steps: steps}
	if text != "" {
		report.Logs = []execution.Chunk{{Offset: offset, Data: []byte(text)}}
	}
	if _, err := to.Report(r.t.Context(), report); err != nil {
		r.t.Fatal(err)
	}
}

// TestLogIsToldOn: a process that sees an attempt for the first time, or again
// after another had it, tells only of what it kept.
func TestLogIsToldOn(t *testing.T) {
	r := newRig(t)
	first := r.process()
	r.report(first, 0, "0123")
	r.report(first, 4, "45")
	second := r.process() // started again, or another one
	r.report(second, 6, "678")
	r.report(second, 9, "9")
	r.report(first, 10, "x")
	r.report(r.process(), 8, "89x") // sent again: all of it is there
	if got := strings.Join(r.told, " "); got != "0+4 4+2 6+3 9+1 10+1 8+3" {
		t.Errorf("told %s", got)
	}
}

// TestTheDoomedHearWhy: an agent whose worker its platform ends is told, goes on
// reporting, and its end counts.
func TestTheDoomedHearWhy(t *testing.T) {
	r := newRig(t)
	p := r.process()
	r.report(p, 0, "log")
	doomed := events.WorkerFailed{For: r.ref, Reason: "evicted", Doomed: true}
	e, err := events.New("doom", "/relevo/test", "", r.now, doomed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.runs.Change(t.Context(), "test", e, run, func(run *pipeline.Run, em *events.Emitter, _ uint32) error {
		run.Doom(em.Cause, doomed)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	report := execution.Report{AttemptRef: r.ref, Worker: "w", Nonce: "n", Kind: execution.Beat}
	if reply, err := p.Report(t.Context(), report); reply.Cancel != "evicted" || reply.Gone != "" || err != nil {
		t.Errorf("%+v, %v", reply, err)
	}
	report.Logs = []execution.Chunk{{Offset: 3, Data: []byte("ged")}}
	report.Kind, report.End = execution.End, &execution.Ending{Verdict: events.Cancelled, Reason: "evicted", LogBytes: 6}
	if reply, err := p.Report(t.Context(), report); reply.Acknowledged != 6 || err != nil {
		t.Errorf("%+v, %v", reply, err)
	}
	now, _, err := r.runs.Load(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	if j := now.Job("a"); j.State != pipeline.Pending || j.Lost != 1 || j.Current().Verdict != events.Infra || j.Current().Reason != "evicted" {
		t.Errorf("job %+v, attempt %+v", j, j.Current())
	}
}

// TestSummariesAreKept: once, also where the report comes again, and apart from
// the log.
func TestSummariesAreKept(t *testing.T) {
	r := newRig(t)
	done := func(i int, id, text string) execution.StepEvent {
		return execution.StepEvent{Index: i, ID: id, Name: id, At: r.now, Summary: text, Result: &events.StepResult{ID: id, Outcome: "success", Conclusion: "success"}}
	}
	for range 2 {
		r.report(r.process(), 0, "log", done(0, "build", "# Built\n"), done(1, "1", ""), done(2, "test", "é\x00"))
	}
	r.report(r.process(), 3, "more", done(3, "late", "ok"))
	got, err := logs.Summaries(t.Context(), r.logs, r.ref)
	if err != nil || len(got) != 3 || got["build"] != "# Built\n" || got["test"] != "é\x00" || got["late"] != "ok" {
		t.Errorf("%q, %v", got, err)
	}
	if _, size, _, err := r.logs.Read(t.Context(), r.ref, 0, nil); size != 7 || err != nil {
		t.Errorf("the log has %d bytes, %v", size, err)
	}
	if err := r.logs.Remove(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	if got, err := logs.Summaries(t.Context(), r.logs, r.ref); len(got) != 0 || err != nil {
		t.Errorf("of a run that is gone: %q, %v", got, err)
	}
}

// TestASummaryAfterATornOne: one that a crash cut off spoils none behind it.
func TestASummaryAfterATornOne(t *testing.T) {
	r := newRig(t)
	torn := r.ref
	torn.Job += "\x00summaries"
	if _, err := r.logs.Append(t.Context(), torn, 0, []byte(`{"step":"a","te`)); err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{"a", "b"} {
		if err := logs.AddSummary(t.Context(), r.logs, r.ref, step, "of "+step); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := logs.Summaries(t.Context(), r.logs, r.ref); err != nil || len(got) != 2 || got["a"] != "of a" || got["b"] != "of b" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestASummaryThatCannotBeKept holds up nobody: there is no room, or it is of no
// agent of ours, which cut theirs.
func TestASummaryThatCannotBeKept(t *testing.T) {
	for room, length := range map[int64]int{10: 100, 1 << 20: execution.SummaryMax + 1} {
		r := newRig(t)
		r.logs = logs.NewMemory(room)
		r.report(r.process(), 0, "log", execution.StepEvent{ID: "a", Summary: strings.Repeat("x", length), Result: &events.StepResult{ID: "a", Outcome: "success"}})
		if got, err := logs.Summaries(t.Context(), r.logs, r.ref); len(got) != 0 || err != nil {
			t.Errorf("room for %d: %d summaries, %v", room, len(got), err)
		}
	}
}
