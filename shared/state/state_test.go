package state_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/state"
)

var start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// rough is a store whose commits fail as told, before or after their effect.
type rough struct {
	protocol.Store
	mu            sync.Mutex
	before, after []error
	commits       int
}

func (s *rough) Commit(ctx context.Context, c protocol.Commit) (protocol.Receipt, error) {
	s.mu.Lock()
	s.commits++
	err := next(&s.before)
	s.mu.Unlock()
	if err != nil {
		return protocol.Receipt{}, err
	}
	r, err := s.Store.Commit(ctx, c)
	if err == nil {
		s.mu.Lock()
		err = next(&s.after)
		s.mu.Unlock()
	}
	return r, err
}

func next(list *[]error) error {
	if len(*list) == 0 {
		return nil
	}
	err := (*list)[0]
	*list = (*list)[1:]
	return err
}

var errAway = errors.New("store away")

type rig struct {
	store *rough
	now   time.Time
	runs  *state.Runs
	pools *state.Pools
}

func newRig() *rig {
	r := &rig{now: start}
	r.store = &rough{Store: memory.New(func() time.Time { return r.now }, "test")}
	c := &state.Committer{Store: r.store, Pause: func(context.Context, time.Duration) error { return nil }}
	r.runs = &state.Runs{Committer: c, Policy: pipeline.DefaultPolicy()}
	r.pools = &state.Pools{Committer: c, Settings: scheduling.Settings{OfferTTL: time.Hour, Nudge: time.Minute}}
	return r
}

func (r *rig) create(t *testing.T) state.Result {
	t.Helper()
	raw, err := json.Marshal(pipeline.Spec{Jobs: []pipeline.JobSpec{{ID: "a", Key: "a", Name: expression.Text("a")}}})
	if err != nil {
		t.Fatal(err)
	}
	res, err := r.runs.Create(t.Context(), "api", events.RunRequested{RunRef: events.RunRef{Run: "R"}, Spec: raw})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func starts(r *pipeline.Run, em *events.Emitter, _ uint32) error {
	r.Start(em)
	return nil
}

func TestCreateTwiceGivesTheFirstAnswer(t *testing.T) {
	r := newRig()
	first, second := r.create(t), r.create(t)
	if !second.Duplicate || first.Emitted[0].ID != second.Emitted[0].ID || first.Emitted[0].CauseID != "" {
		t.Errorf("first %+v, second %+v", first, second)
	}
}

func TestConflictIsDecidedAgain(t *testing.T) {
	r := newRig()
	r.create(t)
	r.store.before = []error{protocol.ErrConflict, protocol.ErrConflict}
	decided := 0
	res, err := r.runs.Change(t.Context(), "f", events.Envelope{ID: "e", Type: "t", Time: r.now}, "R", func(run *pipeline.Run, em *events.Emitter, epoch uint32) error {
		decided++
		return starts(run, em, epoch)
	})
	if err != nil || decided != 3 || len(res.Emitted) != 2 {
		t.Errorf("%d decisions, %v, %v", decided, res.Emitted, err)
	}
}

func TestLostReplyIsAskedAgain(t *testing.T) {
	r := newRig()
	r.create(t)
	r.store.after = []error{errAway}
	res, err := r.runs.Change(t.Context(), "f", events.Envelope{ID: "e", Type: "t", Time: r.now}, "R", starts)
	if err != nil || !res.Duplicate || len(res.Emitted) != 2 {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestStoreThatStaysAwayIsAnError(t *testing.T) {
	r := newRig()
	r.create(t)
	r.store.before = []error{errAway, errAway, errAway}
	_, err := r.runs.Change(t.Context(), "f", events.Envelope{ID: "e", Type: "t", Time: r.now}, "R", starts)
	if !errors.Is(err, errAway) || fn.KindOf(err) != fn.Transient {
		t.Errorf("error %v", err)
	}
}

func TestNothingDecidedNothingCommitted(t *testing.T) {
	r := newRig()
	r.create(t)
	before := r.store.commits
	_, err := r.runs.Change(t.Context(), "f", events.Envelope{ID: "e"}, "R", func(*pipeline.Run, *events.Emitter, uint32) error { return nil })
	if err != nil || r.store.commits != before {
		t.Errorf("%d commits, %v", r.store.commits-before, err)
	}
}

func TestCauseBeyondTheHorizonIsRefused(t *testing.T) {
	r := newRig()
	r.create(t)
	old := events.Envelope{ID: "e", Time: r.now.Add(-protocol.Horizon - time.Second)}
	_, err := r.runs.Change(t.Context(), "f", old, "R", starts)
	if !errors.Is(err, protocol.ErrTooOld) || fn.KindOf(err) != fn.Invalid {
		t.Errorf("error %v", err)
	}
}

// What tells of an epoch that is over has no effect: the store may have lost
// what it tells. The present epoch's answer to the same cause counts.
func TestCauseOfAFormerEpochIsDropped(t *testing.T) {
	r := newRig()
	created := r.create(t)
	if e := created.Emitted[0]; e.Epoch != 1 {
		t.Fatalf("created in epoch %d", e.Epoch)
	}
	r.store.Store.(*memory.Store).SetEpoch(2)
	cause := created.Emitted[0]
	if _, err := r.runs.Change(t.Context(), "f", cause, "R", starts); fn.KindOf(err) != fn.Stale {
		t.Errorf("error %v", err)
	}
	again := r.create(t)
	if e := again.Emitted[0]; e.Epoch != 2 || e.ID != cause.ID {
		t.Fatalf("told again: epoch %d, id %s", e.Epoch, e.ID)
	}
	res, err := r.runs.Change(t.Context(), "f", again.Emitted[0], "R", starts)
	if err != nil || len(res.Emitted) != 2 || res.Emitted[0].Epoch != 2 {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestUnknownRun(t *testing.T) {
	_, _, err := newRig().runs.Load(t.Context(), "nobody")
	if !errors.Is(err, state.ErrNoRun) {
		t.Errorf("error %v", err)
	}
}

// A record leaves the outbox with the next commit once all of its events were
// published, not before.
func TestStrikesRideAlong(t *testing.T) {
	r := newRig()
	created := r.create(t)
	r.runs.Published(created.Emitted[0].ID)
	res, err := r.runs.Change(t.Context(), "f", events.Envelope{ID: "e"}, "R", starts)
	if err != nil {
		t.Fatal(err)
	}
	outbox := func() int {
		t.Helper()
		out, err := r.store.Outbox(t.Context(), protocol.PartitionOf("R"), 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(out)
	}
	if n := outbox(); n != 1 {
		t.Fatalf("%d records in the outbox, want the second alone", n)
	}
	r.runs.Published(res.Emitted[0].ID)
	if err := r.runs.Flush(t.Context()); err != nil || outbox() != 1 {
		t.Fatalf("struck with half of its events published (%v)", err)
	}
	r.runs.Published(res.Emitted[1].ID)
	if err := r.runs.Flush(t.Context()); err != nil || outbox() != 0 {
		t.Fatalf("%d records are left (%v)", outbox(), err)
	}
}

// Two processes on one pool: what one keeps of it is found stale by its
// version, and capacity is never given twice.
func TestPoolsOfTwoProcesses(t *testing.T) {
	r := newRig()
	other := &state.Pools{Committer: &state.Committer{Store: r.store}, Settings: r.pools.Settings}
	change := func(p *state.Pools, id string, decide state.PoolDecision) {
		t.Helper()
		if _, err := p.Change(t.Context(), "f", events.Envelope{ID: id, Source: "/x", Type: events.TypeOfferCreated, Data: []byte("{}")}, "p", nil, true, decide); err != nil {
			t.Fatal(err)
		}
	}
	change(r.pools, "node", func(p *scheduling.Pool, em *events.Emitter) error {
		p.Declare(em, em.Cause, events.CapacityUpdated{Pool: "p", Node: "n", Capacity: events.Resources{Slots: 3}, Since: r.now})
		return nil
	})
	for i, p := range []*state.Pools{r.pools, other, r.pools, other, r.pools} {
		name := string(rune('a' + i))
		change(p, name, func(p *scheduling.Pool, em *events.Emitter) error {
			p.Enqueue(em, em.Cause, events.OfferCreated{
				OfferRef:     events.OfferRef{Pool: "p", Offer: events.OfferID(name)},
				Requirements: events.Requirements{Resources: events.Resources{Slots: 1}},
			})
			return nil
		})
	}
	pool, _, err := other.Look(t.Context(), "p")
	if err != nil || len(pool.Held) != 3 || len(pool.Queue) != 2 {
		t.Errorf("%d held and %d queued (%v), want 3 and 2", len(pool.Held), len(pool.Queue), err)
	}
}

// A retired run leaves a tombstone that keeps its id, and in time goes too.
func TestRetire(t *testing.T) {
	r := newRig()
	r.create(t)
	retire := func(before time.Time) int {
		t.Helper()
		gone, err := r.runs.Retire(t.Context(), protocol.PartitionOf("R"), before, nil)
		if err != nil {
			t.Fatal(err)
		}
		return len(gone)
	}
	if n := retire(start.Add(time.Hour)); n != 0 {
		t.Fatal("a run that goes on was retired")
	}
	cancel := events.CancelRequested{RunRef: events.RunRef{Run: "R"}, Reason: "enough"}
	e, err := events.New("c", "/relevo/api", "", start, cancel)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.runs.Change(t.Context(), "f", e, "R", func(run *pipeline.Run, em *events.Emitter, _ uint32) error {
		run.Cancel(em, e, cancel)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	// A run whose logs cannot be dropped stays: nobody else knows of them.
	away := errors.New("away")
	forget := func(context.Context, events.RunID) error { return away }
	if gone, err := r.runs.Retire(t.Context(), protocol.PartitionOf("R"), start.Add(time.Hour), forget); len(gone) > 0 || !errors.Is(err, away) {
		t.Errorf("retired %q, %v", gone, err)
	}
	if retire(start) != 0 || retire(start.Add(time.Hour)) != 1 || retire(start.Add(time.Hour)) != 0 {
		t.Fatal("a run is retired once, after its time")
	}
	if _, _, err := r.runs.Load(t.Context(), "R"); !errors.Is(err, state.ErrNoRun) {
		t.Errorf("error %v", err)
	}
	if res := r.create(t); !res.Duplicate || len(res.Emitted) != 0 {
		t.Errorf("its id was given again: %+v", res)
	}
	retire(start.Add(2*protocol.Horizon + time.Hour))
	if docs, err := r.store.List(t.Context(), protocol.PartitionOf("R"), "tomb"); err != nil || len(docs) != 0 {
		t.Errorf("%d tombstones are left (%v)", len(docs), err)
	}
}
