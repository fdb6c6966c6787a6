package functions_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/functions"
	clockticked "github.com/relevo-ci/relevo/functions/clock-ticked"
	"github.com/relevo-ci/relevo/functions/worker"
	"github.com/relevo-ci/relevo/providers/fake"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/provider"
	"github.com/relevo-ci/relevo/shared/state"
	"github.com/relevo-ci/relevo/shared/workers"
)

// TestTheWayOfAJob holds the marks in the table to what a run really needs
// until its worker runs: the functions without which the worker would not be
// launched, and the one that it reports to.
func TestTheWayOfAJob(t *testing.T) {
	all := functions.All(functions.Deps{Workers: &workers.Workers{}, Reports: &worker.Reports{}, Clock: &clockticked.Clock{}})
	marked := []string{"run-requested-concurrency"} // needed by a run with a group alone
	for _, f := range all {
		needed := f.Name == "worker" || f.Handle != nil && launches(t, "") && !launches(t, f.Name)
		if needed && !slices.Contains(marked, f.Name) {
			marked = append(marked, f.Name)
		}
		if f.Way != slices.Contains(marked, f.Name) {
			t.Errorf("%s is marked %v", f.Name, f.Way)
		}
	}
}

// launches tells whether a run of one job gets its worker where one function
// does not answer.
func launches(t *testing.T, without string) bool {
	t.Helper()
	commit := &state.Committer{Store: memory.New(time.Now, "test")}
	runs := &state.Runs{Committer: commit, Policy: pipeline.DefaultPolicy()}
	launched := false
	provided := fake.New()
	provided.Launched = func(execution.Launch) { launched = true }
	table := functions.All(functions.Deps{
		Runs: runs, Groups: &state.Groups{Committer: commit, Nudge: time.Minute}, Routes: scheduling.Pools{Default: "linux"},
		Pools:   &state.Pools{Committer: commit, Settings: scheduling.Settings{OfferTTL: time.Hour, Nudge: time.Minute}},
		Workers: &workers.Workers{Runs: runs, Providers: map[string]provider.Provider{"fake": provided}},
		Clock:   &clockticked.Clock{}, Reports: &worker.Reports{Runs: runs},
	})
	deliver := func(queue []events.Envelope) {
		for ; len(queue) > 0; queue = queue[1:] {
			for _, f := range table {
				if f.Handle == nil || f.Name == without || !f.Takes(queue[0].Type) {
					continue
				}
				out, err := f.Handle(t.Context(), queue[0])
				if err != nil {
					t.Fatal(err)
				}
				queue = append(queue, out...)
			}
		}
	}
	node, err := events.New("n", "/relevo/test", "", time.Now(), events.CapacityUpdated{
		Pool: "linux", Node: "n", Provider: "fake", Capacity: events.Resources{CPU: 4000, Memory: 8 << 30, Slots: 1}, Since: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	declared := without
	without = "" // the node is there already
	deliver([]events.Envelope{node})
	without = declared
	spec, err := json.Marshal(pipeline.Spec{Jobs: []pipeline.JobSpec{{ID: "a", Key: "a", Name: expression.Text("a")}}})
	if err != nil {
		t.Fatal(err)
	}
	res, err := runs.Create(t.Context(), "api", events.RunRequested{RunRef: events.RunRef{Run: "01JABCDEFGHJKMNPQRSTVWXYZ0"}, Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	deliver(res.Emitted)
	return launched
}
