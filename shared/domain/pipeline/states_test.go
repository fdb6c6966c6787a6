package pipeline_test

import (
	"slices"
	"testing"

	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

var jobStates = []pipeline.JobState{
	pipeline.Waiting, pipeline.Pending, pipeline.Scheduled, pipeline.Running, pipeline.Succeeded,
	pipeline.Failed, pipeline.Cancelled, pipeline.Terminated, pipeline.Skipped,
}

// Every pair of states, against the table of the architecture written a second
// way: what may follow what.
func TestJobTableIsWhatItShouldBe(t *testing.T) {
	follow := map[pipeline.JobState][]pipeline.JobState{
		pipeline.Waiting:   {pipeline.Pending, pipeline.Skipped, pipeline.Failed, pipeline.Cancelled, pipeline.Succeeded},
		pipeline.Pending:   {pipeline.Pending, pipeline.Scheduled, pipeline.Succeeded, pipeline.Failed, pipeline.Cancelled},
		pipeline.Scheduled: {pipeline.Running, pipeline.Pending, pipeline.Terminated, pipeline.Cancelled},
		pipeline.Running:   {pipeline.Succeeded, pipeline.Failed, pipeline.Pending, pipeline.Terminated, pipeline.Cancelled},
	}
	for _, from := range jobStates {
		for _, to := range jobStates {
			want := slices.Contains(follow[from], to)
			if got := pipeline.Allowed(pipeline.JobTable, from, to); got != want {
				t.Errorf("%q to %q: %v, want %v", from, to, got, want)
			}
		}
	}
}

func TestFinalIsFinal(t *testing.T) {
	for _, row := range pipeline.JobTable {
		if row.From.Final() {
			t.Errorf("%s is final and goes to %s", row.From, row.To)
		}
	}
	for _, row := range pipeline.RunTable {
		if row.From.Final() {
			t.Errorf("%s is final and goes to %s", row.From, row.To)
		}
	}
	order := []pipeline.AttemptState{pipeline.AttemptCreated, pipeline.AttemptLaunched, pipeline.AttemptRunning}
	for _, row := range pipeline.AttemptTable {
		if row.From.Over() {
			t.Errorf("attempt %s is over and goes to %s", row.From, row.To)
		}
		if from, to := slices.Index(order, row.From), slices.Index(order, row.To); to >= 0 && to <= from {
			t.Errorf("attempt goes back from %s to %s", row.From, row.To)
		}
	}
}
