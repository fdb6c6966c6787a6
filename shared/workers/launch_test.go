package workers_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/provider"
	"github.com/relevo-ci/relevo/shared/state"
	"github.com/relevo-ci/relevo/shared/workers"
)

// slow is a provider whose worker is being prepared.
type slow struct {
	provider.Provider
	preparing string
}

func (s *slow) Create(context.Context, execution.Launch) (provider.Status, error) {
	return provider.Status{Preparing: s.preparing}, nil
}

// TestPreparingIsToldAnew: one delivery, repeated, finds one thing after the
// other that the start waits for, and again what it found before.
func TestPreparingIsToldAnew(t *testing.T) {
	const run events.RunID = "R"
	store := memory.New(func() time.Time { return time.Unix(1000, 0) }, "test")
	runs := &state.Runs{Committer: &state.Committer{Store: store}, Policy: pipeline.DefaultPolicy()}
	spec, err := json.Marshal(pipeline.Spec{Jobs: []pipeline.JobSpec{{ID: "a", Key: "a", Name: expression.Text("a")}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := runs.Create(t.Context(), "api", events.RunRequested{RunRef: events.RunRef{Run: run}, Spec: spec}); err != nil {
		t.Fatal(err)
	}
	change := func(cause events.Envelope, decide state.Decision) {
		t.Helper()
		if _, err := runs.Change(t.Context(), "test", cause, run, decide); err != nil {
			t.Fatal(err)
		}
	}
	change(events.Envelope{ID: "1"}, func(r *pipeline.Run, em *events.Emitter, _ uint32) error { r.Start(em); return nil })
	change(events.Envelope{ID: "2"}, func(r *pipeline.Run, em *events.Emitter, epoch uint32) error {
		r.Accept(em, epoch, events.AssignmentCreated{
			For:           events.AttemptRef{JobRef: events.JobRef{Run: run, Job: "a"}, Attempt: 1},
			AssignmentRef: events.AssignmentRef{Pool: "p", Assignment: "as"}, Node: "n", Worker: "w", Provider: "slow",
		})
		return nil
	})
	p := &slow{}
	w := &workers.Workers{Runs: runs, Providers: map[string]provider.Provider{"slow": p}}
	launch := func() []events.Envelope {
		t.Helper()
		now, _, err := runs.Load(t.Context(), run)
		if err != nil {
			t.Fatal(err)
		}
		out, err := w.Launch(t.Context(), "assignment-created", events.Envelope{ID: "assigned"}, now, "a", now.Job("a").Current())
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	seen := map[string]bool{}
	for _, preparing := range strings.Fields("made pulls failed pulls failed") {
		p.preparing = preparing
		first, again := launch(), launch()
		if len(first) != 1 || len(again) != 1 || first[0].ID != again[0].ID || seen[first[0].ID] {
			t.Fatalf("%s: told %+v, then %+v", preparing, first, again)
		}
		seen[first[0].ID] = true
		change(first[0], func(r *pipeline.Run, _ *events.Emitter, _ uint32) error {
			d, err := events.Decode[events.WorkerCreated](first[0])
			r.Prepare(first[0], d.Data)
			return err
		})
		now, _, err := runs.Load(t.Context(), run)
		if err != nil || now.Job("a").Current().Preparing != preparing {
			t.Fatalf("the attempt says %q, %v; want %s", now.Job("a").Current().Preparing, err, preparing)
		}
		if known := launch(); len(known) != 0 {
			t.Errorf("%s is known, and told again: %+v", preparing, known)
		}
	}
}
