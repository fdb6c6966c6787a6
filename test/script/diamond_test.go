package script

import (
	"path/filepath"
	"testing"

	"github.com/relevo-ci/relevo/events"
)

// sample is the path of a pipeline that all tests share.
func sample(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// wayOfAJob are the events that every job with one step passes.
var wayOfAJob = []events.Type{
	events.TypeJobRequested, events.TypeOfferCreated, events.TypeAssignmentCreated, events.TypeJobScheduled,
	events.TypeWorkerCreated, events.TypeAssignmentAccepted, events.TypeJobStarted, events.TypeStepStarted,
	events.TypeStepCompleted, events.TypeLogAppended, events.TypeJobEnded, events.TypeJobCompleted,
	events.TypeWorkerTerminated, events.TypeAssignmentReleased,
}

// diamond runs four jobs and gives what happened.
func diamond(t *testing.T, flags ...string) trace {
	t.Helper()
	s := newStage(t)
	p := s.start(append([]string{"run", sample(t, "diamond.yaml"), "--events", "out.jsonl"}, flags...)...)
	p.ends(0)
	p.prints("b got relay\n", "c got relay\n", "d got relay-b and relay-c\n")
	s.clean()
	return s.trace("out.jsonl")
}

func TestDiamondTellsEveryEventOfTheWayOfAJob(t *testing.T) {
	t.Parallel()
	tr := diamond(t)
	for _, typ := range []events.Type{events.TypeRunRequested, events.TypeRunStarted, events.TypeRunCompleted} {
		tr.only(t, typ)
	}
	for _, key := range []string{"a", "b", "c", "d"} {
		for _, typ := range wayOfAJob {
			n := 0
			for _, e := range tr.of(typ) {
				if job(e) == key {
					n++
				}
			}
			if n != 1 {
				t.Errorf("job %s has %d events of type %s, want one", key, n, typ)
			}
		}
	}
}

func TestDiamondHasOneChainOfCauses(t *testing.T) {
	t.Parallel()
	oneChain(t, diamond(t))
}

// oneChain wants every event to have the run's request as its first cause.
func oneChain(t *testing.T, tr trace) {
	t.Helper()
	for _, e := range tr {
		if e.RunID == "" {
			continue
		}
		way := tr.chain(e)
		if first := way[len(way)-1]; first.Type != events.TypeRunRequested || first.CauseID != "" {
			t.Errorf("%s does not lead back to the run's request: it ends at %s with cause %q", short(e), short(first), first.CauseID)
		}
	}
}

func TestDiamondOrdersIdsAndSequences(t *testing.T) {
	t.Parallel()
	ordered(t, diamond(t))
}

// ordered wants ids to be unique, and the events of each aggregate to stand in
// their order.
func ordered(t *testing.T, tr trace) {
	t.Helper()
	ids := map[string]bool{}
	sequences := map[string]uint64{}
	for _, e := range tr {
		if ids[e.ID] {
			t.Errorf("%s: id %s comes twice", short(e), e.ID)
		}
		ids[e.ID] = true
		if e.Sequence == 0 {
			continue // nothing orders this one
		}
		if e.Sequence <= sequences[e.Subject] {
			t.Errorf("%s: sequence %d after %d", short(e), e.Sequence, sequences[e.Subject])
		}
		sequences[e.Subject] = e.Sequence
	}
	if len(sequences) == 0 {
		t.Error("no event has a sequence")
	}
}

func TestDiamondWithABrokerThatLosesEverything(t *testing.T) {
	t.Parallel()
	tr := diamond(t, "--chaos", "lose=100")
	ordered(t, tr)
	oneChain(t, tr)
	if n := len(tr.of(events.TypeJobCompleted)); n != 4 {
		t.Errorf("%d jobs completed, want 4", n)
	}
}
