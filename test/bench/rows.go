package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/view"
)

func marshal(v any) (json.RawMessage, error) { return json.Marshal(v) }

var firstRun = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func benchRun(n int) events.RunID { return events.RunID(fmt.Sprintf("01K%023d", n)) }

func requested(n int) time.Time { return firstRun.Add(time.Duration(n) * 3 * time.Second) }

func commit(n int) string {
	sum := sha256.Sum256(fmt.Append(nil, n))
	return hex.EncodeToString(sum[:20])
}

// putRows puts the rows of so many runs, the last few of which are under way.
func putRows(ctx context.Context, s view.Store, runs int) error {
	spec, err := marshal(chain(jobsEach))
	if err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(uint64(runs), 1))
	var rows []view.Row
	for n := range runs {
		run, err := madeUp(n, runs-n < 50, spec, r)
		if err != nil {
			return err
		}
		some, err := view.OfAll(run, 12)
		if err != nil {
			return err
		}
		if rows = append(rows, some...); len(rows) < 600 && n < runs-1 {
			continue
		}
		if err := s.Put(ctx, rows...); err != nil {
			return err
		}
		rows = rows[:0]
	}
	return nil
}

// madeUp is a run like many.
func madeUp(n int, running bool, spec json.RawMessage, r *rand.Rand) (*pipeline.Run, error) {
	repository := "acme/r" + zipf(r, 200)
	request, err := marshal(events.RunRequested{
		RunRef: events.RunRef{Run: benchRun(n)}, Spec: spec, Trigger: events.Trigger{
			Event: []string{"push", "push", "pull_request", "schedule"}[r.IntN(4)], Actor: "person" + zipf(r, 300), Repository: repository,
			Ref: "refs/heads/feature/" + zipf(r, 2000), SHA: commit(n), Forge: "github",
		},
	})
	if err != nil {
		return nil, err
	}
	at := requested(n)
	run := pipeline.Run{
		ID: benchRun(n), Pipeline: "ci" + zipf(r, 50), Project: "github/" + repository, State: pipeline.RunSucceeded,
		Requested: at, Started: at.Add(time.Second), Ended: at.Add(time.Minute), Verdict: events.Succeeded,
	}
	job := pipeline.Succeeded
	switch fate := r.IntN(100); {
	case running:
		run.State, run.Verdict, run.Ended, job = pipeline.RunRunning, "", time.Time{}, pipeline.Running
	case fate < 4:
		run.State, run.Verdict, run.Reason, job = pipeline.RunFailed, events.Failed, "job j0 failed: exit status 1", pipeline.Failed
	case fate < 6:
		run.State, run.Verdict, run.Reason, job = pipeline.RunCancelled, events.Cancelled, "superseded", pipeline.Cancelled
	}
	for i := range jobsEach {
		run.Jobs = append(run.Jobs, &pipeline.Job{
			Key: events.JobKey(fmt.Sprint("j", i)), Name: fmt.Sprint("Job ", i), State: job, Attempt: 1, AskedAt: at, Ended: run.Ended, Verdict: run.Verdict, Reason: run.Reason,
			Attempts: []*pipeline.Attempt{{Number: 1, Started: at.Add(2 * time.Second), Placement: events.Placement{
				Pool: events.PoolID("pool" + zipf(r, 5)), Node: events.NodeID(fmt.Sprint("n", r.IntN(100))), Provider: "kubernetes", Worker: events.WorkerID(fmt.Sprintf("w-%d-%d", n, i)),
			}}},
		})
	}
	document, err := marshal(run)
	if err != nil {
		return nil, err
	}
	return pipeline.Load(document, request, pipeline.Policy{})
}
