// Package views_test holds the read models to what they are made of: after a
// mixed workload through all functions, live rows, rows rebuilt from the
// documents and rows of the runs that the ledger replays to are the same bytes.
package views_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/state"
	"github.com/relevo-ci/relevo/shared/view"
	"github.com/relevo-ci/relevo/shared/view/viewtest"
)

// pipelines end in every way that there is.
var pipelines = []string{
	"name: fine\njobs:\n  build:\n    steps: [{run: fine}]\n  test:\n    needs: build\n    steps: [{run: fine}]\n",
	"name: matrix\njobs:\n  each:\n    strategy: {matrix: {os: [a, b, c], go: [x, y]}}\n    steps: [{run: fine}]\n",
	"name: broken\njobs:\n  build:\n    steps: [{run: broken}]\n  never:\n    needs: build\n    steps: [{run: fine}]\n  anyway:\n    needs: build\n    if: always()\n    steps: [{run: fine}]\n",
	"name: flaky\njobs:\n  build:\n    retry: {max: 2, backoff: 0s}\n    steps: [{run: flaky}]\n",
	"name: unlucky\njobs:\n  build:\n    steps: [{run: unlucky}]\n",
	"name: doomed\njobs:\n  build:\n    steps: [{run: doomed}]\n",
	"name: one at a time\nconcurrency: deploy\njobs:\n  build:\n    steps: [{run: fine}]\n",
	"name: waits\njobs:\n  approve:\n    await: {approval: true, timeout: 1h}\n  then:\n    needs: approve\n    steps: [{run: fine}]\n",
}

const runs = 64

// TestLedgerReplayGivesTheReadModels is the requirement, by name.
func TestLedgerReplayGivesTheReadModels(t *testing.T) {
	r := newRig(t)
	rng := rand.New(rand.NewPCG(1, 5))
	var ids []string
	for n := range runs {
		got, err := r.client.Submit(t.Context(), client.Submission{
			Source: pipelines[n%len(pipelines)], Project: []string{"acme/web", "", "acme/api"}[n%3],
			Trigger: &client.Trigger{Event: "push", Actor: fmt.Sprint("actor ", n%5), Repository: "acme/web", Ref: fmt.Sprint("refs/heads/b", n%7), SHA: fmt.Sprintf("%040x", n)},
		}, fmt.Sprint("run-", n))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, got.ID)
		if n%3 == 0 {
			r.deliver(n)
		}
		if rng.IntN(4) == 0 {
			r.cancel(ids[rng.IntN(len(ids))])
		}
		if rng.IntN(4) == 0 {
			r.answer(ids[rng.IntN(len(ids))])
		}
	}
	r.rest(ids)

	rebuilt := view.NewMemory()
	views := &state.Views{Store: r.store, View: rebuilt}
	for at := ""; ; {
		step, err := views.Rebuild(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		if at = step.Next; at == "" {
			break
		}
	}
	want := viewtest.Dump(t, rebuilt)
	live := r.settled(want)
	same(t, "live", live, "rebuilt from the documents", want)
	viewtest.Consistent(t, r.view)

	replayed := view.NewMemory()
	for _, run := range replay(t, r.store) {
		rows, err := view.OfAll(run, 1)
		if err == nil {
			err = replayed.Put(t.Context(), rows...)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	same(t, "replayed", viewtest.Dump(t, replayed), "live, but for deliveries", without(live, view.Deliveries))
	for _, state := range []string{"SUCCEEDED", "FAILED", "CANCELLED", "SKIPPED", "TERMINATED"} {
		if n, err := r.view.Count(t.Context(), view.Jobs, view.Index{Field: "state", Value: state}); err != nil || n[0] == 0 {
			t.Errorf("no job ended as %s: %v", state, err)
		}
	}
}

// replay makes every run of its ledger alone.
func replay(t *testing.T, s protocol.Store) []*pipeline.Run {
	t.Helper()
	var all []*pipeline.Run
	ps, err := s.Partitions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range ps {
		runs := map[string]*pipeline.Run{}
		for after := protocol.LedgerID(""); ; {
			records, err := s.Ledger(t.Context(), p, after, 100)
			if err != nil {
				t.Fatal(err)
			}
			if len(records) == 0 || strings.Contains(string(p), ":") {
				break
			}
			for _, record := range records {
				after = record.ID
				for _, e := range append(record.Absorbed, record.Emitted...) {
					if runs[e.RunID] == nil {
						runs[e.RunID] = &pipeline.Run{}
					}
					if err := runs[e.RunID].Replay(e); err != nil {
						t.Fatalf("replay %s: %v", e.Type, err)
					}
				}
			}
		}
		for id, run := range runs {
			stored(t, s, p, id, run)
			all = append(all, run)
		}
	}
	return all
}

// stored holds a replayed run to its document.
func stored(t *testing.T, s protocol.Store, p protocol.Partition, id string, run *pipeline.Run) {
	t.Helper()
	docs, _, err := s.Load(t.Context(), p, protocol.DocID("run/"+id))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := json.Marshal(run); err != nil || string(got) != string(docs[0].Body) {
		t.Errorf("replayed %s\nstored   %s\n%v", got, docs[0].Body, err)
	}
}

// same compares dumps line by line.
func same(t *testing.T, a, left, b, right string) {
	t.Helper()
	if left == right {
		return
	}
	x, y := strings.Split(left, "\n"), strings.Split(right, "\n")
	for i := range max(len(x), len(y)) {
		if i >= len(x) || i >= len(y) || x[i] != y[i] {
			t.Fatalf("%s has %d rows, %s %d; row %d is\n%.1500s\nand\n%.1500s", a, len(x), b, len(y), i, strings.Join(x[min(i, len(x)):], "\n"), strings.Join(y[min(i, len(y)):], "\n"))
		}
	}
}

func without(dump string, kind view.Kind) string {
	var b strings.Builder
	for line := range strings.Lines(dump) {
		if !strings.HasPrefix(line, string(kind)+" ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// settled is the live read model once it says what is wanted, or what it says
// after a while: events may still be on their way.
func (r *rig) settled(want string) string {
	r.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		got := viewtest.Dump(r, r.view)
		if got == want || time.Now().After(end) {
			return got
		}
		r.pause()
	}
}
