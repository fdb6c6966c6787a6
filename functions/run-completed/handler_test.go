package runcompleted_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	runcompleted "github.com/relevo-ci/relevo/functions/run-completed"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/state"
)

const (
	run = events.RunID("01JABCDEFGHJKMNPQRSTVWXYZ0")
	sha = "1111111111111111111111111111111111111111"
)

var pushed = events.Trigger{Event: "push", Forge: "github", Repository: "o/r", SHA: sha}

type rig struct {
	t     *testing.T
	store *memory.Store
	front *state.Front
	f     fn.Function
}

func newRig(t *testing.T, started events.Trigger, name string) *rig {
	t.Helper()
	store := memory.New(time.Now, "test")
	committer := &state.Committer{Store: store}
	runs := &state.Runs{Committer: committer, Policy: pipeline.DefaultPolicy()}
	r := &rig{t: t, store: store, front: &state.Front{Committer: committer}}
	r.f = runcompleted.New(r.front, runs, "https://ci.example/")
	spec, err := json.Marshal(pipeline.Spec{Name: name, Jobs: []pipeline.JobSpec{{ID: "a", Key: "a", Name: expression.Text("a")}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := runs.Create(t.Context(), "api", events.RunRequested{RunRef: events.RunRef{Run: run}, Pipeline: name, Trigger: started, Spec: spec}); err != nil {
		t.Fatal(err)
	}
	return r
}

// hears lets the function answer an event of a run, the nth of its ledger.
func (r *rig) hears(id string, sequence uint64, d events.Data) int {
	r.t.Helper()
	e, err := events.New(id, "/relevo/test", "", time.Now(), d)
	if err != nil {
		r.t.Fatal(err)
	}
	e.Sequence = sequence
	out, err := r.f.Handle(r.t.Context(), e)
	if err != nil {
		r.t.Fatal(err)
	}
	return len(out)
}

// known is what stands of the commit: each context with its state.
func (r *rig) known() map[string]trigger.State {
	r.t.Helper()
	report, err := r.front.Report(r.t.Context(), events.ReportRef{Forge: "github", Repository: "o/r", SHA: sha})
	if err != nil {
		r.t.Fatal(err)
	}
	all := map[string]trigger.State{}
	for _, k := range report.Contexts {
		all[k.Context] = k.State
		if k.Link != "https://ci.example/v1/pipelines/"+string(run) {
			r.t.Errorf("the link is %s", k.Link)
		}
	}
	return all
}

// TestEnds: whose fault an end was decides what the author sees.
func TestEnds(t *testing.T) {
	t.Parallel()
	ref := events.RunRef{Run: run}
	for name, c := range map[string]struct {
		d    events.Data
		want trigger.State
	}{
		"asked for": {events.RunRequested{RunRef: ref, Pipeline: "build", Spec: json.RawMessage("{}")}, trigger.Pending},
		"started":   {events.RunStarted{RunRef: ref}, trigger.Pending},
		"succeeded": {events.RunCompleted{RunRef: ref}, trigger.Succeeded},
		"failed":    {events.RunFailed{RunRef: ref, Verdict: events.Failed, Reason: "a: exit 2"}, trigger.Failed},
		"too long":  {events.RunFailed{RunRef: ref, Verdict: events.Timeout, Reason: "a: it took too long"}, trigger.Failed},
		"broken":    {events.RunFailed{RunRef: ref, Verdict: events.Infra, Reason: "a: worker lost"}, trigger.Errored},
		"rejected":  {events.RunFailed{RunRef: ref, Verdict: events.Rejected, Reason: "a: no"}, trigger.Errored},
		"cancelled": {events.RunCancelled{RunRef: ref, Reason: "by dev"}, trigger.Cancelled},
	} {
		r := newRig(t, pushed, "build")
		if n := r.hears("1", 2, c.d); n != 1 {
			t.Errorf("%s: %d events", name, n)
		}
		if got := r.known(); len(got) != 1 || got["relevo/build"] != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
}

// TestLateNews take nothing back, and none is told twice.
func TestLateNews(t *testing.T) {
	t.Parallel()
	r := newRig(t, pushed, "build")
	ref := events.RunRef{Run: run}
	r.hears("3", 9, events.RunCompleted{RunRef: ref})
	for _, late := range []struct {
		id string
		at uint64
		d  events.Data
	}{{"3", 9, events.RunCompleted{RunRef: ref}}, {"2", 2, events.RunStarted{RunRef: ref}}, {"4", 12, events.RunStarted{RunRef: ref}}} {
		r.hears(late.id, late.at, late.d)
		if got := r.known(); got["relevo/build"] != trigger.Succeeded {
			t.Errorf("after %s it is %v", late.id, got)
		}
	}
	gone := events.RunRef{Run: "01JABCDEFGHJKMNPQRSTVWXYZ1"}
	if n := r.hears("5", 1, events.RunCompleted{RunRef: gone}); n != 0 || len(r.known()) != 1 {
		t.Errorf("a run that is gone is told: %d events", n)
	}
}

// TestContexts: the one that the run was given, else the pipeline's name; none
// where no forge started it.
func TestContexts(t *testing.T) {
	t.Parallel()
	pull, twin, person := pushed, pushed, pushed
	pull.PullRequest, twin.Context, person.Forge = 7, "relevo/build (.relevo/b.yaml)", ""
	for want, started := range map[string]events.Trigger{
		"relevo/build": pushed, "relevo/build (pull_request)": pull, "relevo/build (.relevo/b.yaml)": twin, "": person,
	} {
		r := newRig(t, started, " build ")
		r.hears("1", 2, events.RunStarted{RunRef: events.RunRef{Run: run}})
		got := r.known()
		if _, ok := got[want]; ok != (want != "") || len(got) > 1 {
			t.Errorf("it is told as %v, want %q", got, want)
		}
	}
}

// TestMalformed: what is no event of a run is refused for good.
func TestMalformed(t *testing.T) {
	t.Parallel()
	r := newRig(t, pushed, "build")
	_, err := r.f.Handle(t.Context(), events.Envelope{ID: "1", Type: events.TypeRunFailed, Data: json.RawMessage(`{"run": 1}`)})
	if err == nil || fn.KindOf(err).Retry() || errors.Is(err, state.ErrNoRun) {
		t.Errorf("it is answered %v", err)
	}
}

// TestAnEpochThatIsOver: what tells of a past that the store lost is dropped.
func TestAnEpochThatIsOver(t *testing.T) {
	t.Parallel()
	r := newRig(t, pushed, "build")
	r.store.SetEpoch(7)
	for epoch, want := range map[uint32]int{6: 0, 7: 1} {
		e, err := events.New("1", "/relevo/test", "", time.Now(), events.RunStarted{RunRef: events.RunRef{Run: run}})
		if err != nil {
			t.Fatal(err)
		}
		e.Sequence, e.Epoch = 2, epoch
		if out, err := r.f.Handle(t.Context(), e); err != nil || len(out) != want {
			t.Errorf("of epoch %d: %d events, %v", epoch, len(out), err)
		}
	}
}
