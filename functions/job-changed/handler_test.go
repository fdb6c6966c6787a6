package jobchanged_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	jobchanged "github.com/relevo-ci/relevo/functions/job-changed"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/provider"
	"github.com/relevo-ci/relevo/shared/state"
	"github.com/relevo-ci/relevo/shared/workers"
)

const run events.RunID = "01JABCDEFGHJKMNPQRSTVWXYZ0"

// rig is a run whose one job has an attempt.
type rig struct {
	runs *state.Runs
	ref  events.AttemptRef
	at   events.Placement
	pod  pod
}

// pod is a provider that can look at the worker's.
type pod struct {
	provider.Provider
	says provider.Change
	ok   bool
	err  error
}

func (p *pod) Look(_ context.Context, id events.WorkerID, fence events.Fence) (provider.Change, bool, error) {
	if id != "w1" || fence.IsZero() {
		return provider.Change{}, false, nil
	}
	return p.says, p.ok, p.err
}

func newRig(t *testing.T) *rig {
	t.Helper()
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	store := memory.New(func() time.Time { return start }, "here")
	r := &rig{runs: &state.Runs{Committer: &state.Committer{Store: store}, Policy: pipeline.DefaultPolicy()}}
	spec, err := json.Marshal(pipeline.Spec{Jobs: []pipeline.JobSpec{{ID: "build", Key: "build", Name: expression.Text("build")}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.runs.Create(t.Context(), "api", events.RunRequested{RunRef: events.RunRef{Run: run}, Spec: spec}); err != nil {
		t.Fatal(err)
	}
	assigned := events.AssignmentCreated{
		For:           events.AttemptRef{JobRef: events.JobRef{Run: run, Job: "build"}, Attempt: 1},
		AssignmentRef: events.AssignmentRef{Pool: "linux", Assignment: "as1"}, Node: "n1", Worker: "w1", Provider: "kubernetes",
	}
	r.change(t, "start", func(run *pipeline.Run, em *events.Emitter, _ uint32) error {
		run.Start(em)
		return nil
	})
	r.change(t, "accept", func(run *pipeline.Run, em *events.Emitter, epoch uint32) error {
		answer, a, why := run.Accept(em, epoch, assigned)
		if answer != pipeline.Launch {
			t.Fatalf("%v %s", answer, why)
		}
		r.ref, r.at = run.AttemptRef(run.Job("build"), a), a.Placement
		return nil
	})
	return r
}

func (r *rig) change(t *testing.T, id string, decide state.Decision) {
	t.Helper()
	if _, err := r.runs.Change(t.Context(), "test", events.Envelope{ID: id}, run, decide); err != nil {
		t.Fatal(err)
	}
}

// lose ends the attempt.
func (r *rig) lose(t *testing.T) {
	t.Helper()
	r.change(t, "lose", func(run *pipeline.Run, em *events.Emitter, _ uint32) error {
		run.Lose(em, r.ref, "test", true)
		return nil
	})
}

func (r *rig) annotations() map[string]string {
	return map[string]string{
		provider.AnnotationInstallation: "here", provider.AnnotationWorker: string(r.at.Worker), provider.AnnotationFence: r.ref.Fence.String(),
		provider.AnnotationRun: string(run), provider.AnnotationJob: "build", provider.AnnotationAttempt: "1",
		provider.AnnotationPool: "linux", provider.AnnotationAssignment: "as1",
	}
}

// object is a Job as the API server writes it.
func object(t *testing.T, annotations map[string]string, metadata, status string) json.RawMessage {
	t.Helper()
	a, err := json.Marshal(annotations)
	if err != nil {
		t.Fatal(err)
	}
	return json.RawMessage(`{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"relevo-x","namespace":"relevo-jobs","uid":"uid-1",` +
		`"annotations":` + string(a) + metadata + `},"spec":{"backoffLimit":0},"status":` + status + `}`)
}

func (r *rig) handle(t *testing.T, typ events.Type, id string, raw json.RawMessage) ([]events.Envelope, error) {
	t.Helper()
	f := jobchanged.New(r.runs, &workers.Workers{Providers: map[string]provider.Provider{"kubernetes": &r.pod}})
	if !f.Takes(typ) {
		t.Fatalf("it does not take %s", typ)
	}
	return f.Handle(t.Context(), events.Envelope{ID: id, Source: "https://kubernetes.default.svc", Type: typ, Data: raw})
}

const (
	complete = `{"succeeded":1,"conditions":[{"type":"SuccessCriteriaMet","status":"True"},{"type":"Complete","status":"True"}]}`
	failed   = `{"failed":1,"conditions":[{"type":"FailureTarget","status":"True"},{"type":"Failed","status":"True","reason":"%","message":"a\n message"}]}`
)

func TestStatuses(t *testing.T) {
	withReason := func(reason string) string { return strings.Replace(failed, "%", reason, 1) }
	const deleting = `,"deletionTimestamp":"2030-01-01T00:00:00Z"`
	for name, c := range map[string]struct {
		typ      events.Type
		metadata string
		status   string
		over     bool // the attempt is
		want     events.Type
		reason   string
	}{
		"made":            {typ: jobchanged.TypeAdded, status: `{}`},
		"runs":            {status: `{"active":1,"ready":1,"terminating":0}`},
		"suspended":       {status: `{"conditions":[{"type":"Suspended","status":"True"}]}`},
		"about to fail":   {status: `{"active":1,"conditions":[{"type":"FailureTarget","status":"True","reason":"DeadlineExceeded"}]}`},
		"no longer":       {status: `{"conditions":[{"type":"Failed","status":"False","reason":"DeadlineExceeded"}]}`},
		"being deleted":   {metadata: deleting, status: `{"active":1}`},
		"complete":        {status: complete, want: events.TypeWorkerFailed, reason: "it exited, and told no result"},
		"found complete":  {typ: jobchanged.TypeAdded, status: complete, want: events.TypeWorkerFailed, reason: "it exited, and told no result"},
		"failed":          {status: withReason("BackoffLimitExceeded"), want: events.TypeWorkerFailed, reason: "its pod failed"},
		"deadline":        {status: withReason("DeadlineExceeded"), want: events.TypeWorkerFailed, reason: "its Job passed its deadline (activeDeadlineSeconds)"},
		"policy":          {status: withReason("PodFailurePolicy"), want: events.TypeWorkerFailed, reason: "its pod was evicted, preempted, or lost its node"},
		"another reason":  {status: withReason("Sunspots"), want: events.TypeWorkerFailed, reason: "its Job failed: Sunspots: a message"},
		"no reason":       {status: withReason(""), want: events.TypeWorkerFailed, reason: "its Job failed: a message"},
		"fails, deleting": {metadata: deleting, status: withReason("BackoffLimitExceeded"), want: events.TypeWorkerFailed, reason: "its pod failed"},
		"deleted":         {typ: jobchanged.TypeDeleted, status: `{"active":1}`, want: events.TypeWorkerFailed, reason: "its Job was deleted"},
		"deleted failed":  {typ: jobchanged.TypeDeleted, status: withReason("BackoffLimitExceeded"), want: events.TypeWorkerFailed, reason: "its pod failed"},

		"over: runs":                   {status: `{"active":1}`, over: true},
		"over: complete":               {status: complete, over: true},
		"over: failed":                 {status: withReason("BackoffLimitExceeded"), over: true},
		"over: deleted with a pod":     {typ: jobchanged.TypeDeleted, status: `{"active":1}`, over: true},
		"over: deleted, its pod going": {typ: jobchanged.TypeDeleted, status: `{"terminating":1}`, over: true},
		"over: deleted":                {typ: jobchanged.TypeDeleted, status: complete, over: true, want: events.TypeWorkerTerminated, reason: "it exited, and told no result"},
		"over: deleted at once":        {typ: jobchanged.TypeDeleted, status: `{}`, over: true, want: events.TypeWorkerTerminated, reason: "its Job was deleted"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			if c.over {
				r.lose(t)
			}
			if c.typ == "" {
				c.typ = jobchanged.TypeUpdated
			}
			raw := object(t, r.annotations(), c.metadata, c.status)
			got, err := r.handle(t, c.typ, "random", raw)
			if err != nil || (len(got) > 0) != (c.want != "") {
				t.Fatalf("%+v, %v", got, err)
			}
			if c.want == "" {
				return
			}
			var d struct {
				For    events.AttemptRef `json:"for"`
				Worker events.WorkerID   `json:"worker"`
				Reason string            `json:"reason"`
			}
			if err := json.Unmarshal(got[0].Data, &d); err != nil {
				t.Fatal(err)
			}
			if got[0].Type != c.want || d.For != r.ref || d.Worker != "w1" || strings.TrimPrefix(d.Reason, "its worker is gone: ") != c.reason {
				t.Errorf("%s %s", got[0].Type, got[0].Data)
			}
			again, err := r.handle(t, c.typ, "another id", raw)
			toldAgain(t, got[0], again, err)
		})
	}
}

// toldAgain: a failure its run knows by now, a removal is the same event.
func toldAgain(t *testing.T, first events.Envelope, again []events.Envelope, err error) {
	t.Helper()
	switch {
	case err != nil:
		t.Error(err)
	case first.Type == events.TypeWorkerFailed && len(again) > 0 && again[0].Type == first.Type:
		t.Error("its run knows, and is told again")
	case first.Type == events.TypeWorkerTerminated && (len(again) != 1 || again[0].ID != first.ID):
		t.Errorf("told again: %+v", again)
	}
}

// TestThePodKnowsWhy: what its Job does not say the provider sees.
func TestThePodKnowsWhy(t *testing.T) {
	const going, over = `{"terminating":1}`, `{"conditions":[{"type":"Failed","status":"True","reason":"PodFailurePolicy"}]}`
	ended := provider.Change{Status: provider.Status{Reason: "evicted: exited 13"}}
	doomed := provider.Change{Status: provider.Status{Running: true, Reason: "evicted: told to end"}, Doomed: true}
	never := provider.Change{Failed: &provider.Failure{Reason: "no such image", Permanent: true}}
	for name, c := range map[string]struct {
		status, metadata string
		pod              pod
		reason           string // empty: nothing is told
		state            pipeline.JobState
	}{
		"is being ended":               {status: going, pod: pod{says: doomed, ok: true}, reason: "evicted: told to end", state: pipeline.Scheduled},
		"is being ended, and has":      {status: going, pod: pod{says: ended, ok: true}, reason: "its worker is gone: evicted: exited 13", state: pipeline.Pending},
		"is being ended, nobody knows": {status: going, state: pipeline.Scheduled},
		"is being ended, no answer":    {status: going, pod: pod{err: errors.New("away")}, state: pipeline.Scheduled},
		"is being ended with its Job":  {status: going, metadata: `,"deletionTimestamp":"2030-01-01T00:00:00Z"`, pod: pod{says: doomed, ok: true}, state: pipeline.Scheduled},
		"failed":                       {status: over, pod: pod{says: ended, ok: true}, reason: "its worker is gone: evicted: exited 13", state: pipeline.Pending},
		"failed before it began":       {status: over, pod: pod{says: never, ok: true}, reason: "no such image", state: pipeline.Terminated},
		"failed, its pod is gone":      {status: over, reason: "its worker is gone: its pod was evicted, preempted, or lost its node", state: pipeline.Pending},
		"failed, no answer":            {status: over, pod: pod{err: errors.New("away")}, reason: "its worker is gone: its pod was evicted, preempted, or lost its node", state: pipeline.Pending},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.pod = c.pod
			got, err := r.handle(t, jobchanged.TypeUpdated, "1", object(t, r.annotations(), c.metadata, c.status))
			if err != nil || (len(got) > 0) != (c.reason != "") {
				t.Fatalf("%+v, %v", got, err)
			}
			run, _, err := r.runs.Load(t.Context(), run)
			if err != nil || run.Job("build").State != c.state {
				t.Errorf("its job is %s, %v", run.Job("build").State, err)
			}
			if c.reason == "" {
				return
			}
			var d events.WorkerFailed
			if err := json.Unmarshal(got[0].Data, &d); err != nil || d.Reason != c.reason || d.Doomed != (c.state == pipeline.Scheduled) {
				t.Errorf("%s, %v", got[0].Data, err)
			}
			a := run.Job("build").Current()
			if said := cmp.Or(a.Reason, a.Doom); said != c.reason {
				t.Errorf("the attempt says %q", said)
			}
		})
	}
}

// TestDoomedThenFailed: why its pod was about to end is why it was lost.
func TestDoomedThenFailed(t *testing.T) {
	r := newRig(t)
	r.pod = pod{ok: true, says: provider.Change{Status: provider.Status{Reason: "evicted"}, Doomed: true}}
	for _, status := range []string{`{"terminating":1}`, `{"terminating":1}`, strings.Replace(failed, "%", "PodFailurePolicy", 1)} {
		if _, err := r.handle(t, jobchanged.TypeUpdated, "1", object(t, r.annotations(), "", status)); err != nil {
			t.Fatal(err)
		}
	}
	now, _, err := r.runs.Load(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	if a := now.Job("build").Current(); a.State != pipeline.AttemptTerminated || a.Verdict != events.Infra || a.Reason != "evicted" {
		t.Errorf("attempt %+v", a)
	}
}

// TestWhoseJob: what is not a worker of this installation is passed over.
func TestWhoseJob(t *testing.T) {
	r := newRig(t)
	for key, value := range map[string]string{
		provider.AnnotationInstallation: "elsewhere", provider.AnnotationFence: "1.99", provider.AnnotationRun: "01JABCDEFGHJKMNPQRSTVWXYZ1",
		provider.AnnotationJob: "test", provider.AnnotationAttempt: "2", provider.AnnotationWorker: "", provider.AnnotationPool: "",
	} {
		a := maps.Clone(r.annotations())
		a[key] = value
		got, err := r.handle(t, jobchanged.TypeUpdated, "1", object(t, a, "", complete))
		if len(got) > 0 || err != nil {
			t.Errorf("%s=%q: %+v, %v", key, value, got, err)
		}
	}
	if got, err := r.handle(t, jobchanged.TypeUpdated, "1", object(t, nil, "", complete)); len(got) > 0 || err != nil {
		t.Errorf("a Job of somebody else: %+v, %v", got, err)
	}
}

// TestMalformed: what is no Job is refused for good, not tried again.
func TestMalformed(t *testing.T) {
	r := newRig(t)
	for _, raw := range []string{``, `null`, `[]`, `{}`, `{"kind":"Job","name":"x"}`, `{"kind":"Pod","metadata":{"uid":"u"}}`, `{"kind":"Job","metadata":{"uid":7}}`} {
		got, err := r.handle(t, jobchanged.TypeUpdated, "1", json.RawMessage(raw))
		if len(got) > 0 || fn.KindOf(err) != fn.Invalid {
			t.Errorf("%s: %+v, %v", raw, got, err)
		}
	}
}

// TestStrangersJobsAreAnotherProviders: the pool says whose namespace it is.
func TestStrangersJobsAreAnotherProviders(t *testing.T) {
	r := newRig(t)
	marks := r.annotations()
	marks[provider.AnnotationPool] = "linux-untrusted"
	out, err := r.handle(t, jobchanged.TypeUpdated, "1", object(t, marks, "", complete))
	if err != nil || len(out) == 0 {
		t.Fatalf("%v, %v", out, err)
	}
	e, err := events.Decode[events.WorkerFailed](out[0])
	if err != nil || e.Data.Provider != "kubernetes-untrusted" {
		t.Errorf("it is told as %+v, %v", e.Data, err)
	}
}
