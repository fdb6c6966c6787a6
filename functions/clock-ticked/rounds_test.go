package clockticked_test

import (
	"context"
	"testing"
	"time"

	clockticked "github.com/relevo-ci/relevo/functions/clock-ticked"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/state"
)

// TestClocksThatStartForEachTick: what is past its time is looked for once an hour,
// though no clock remembers the one before.
func TestClocksThatStartForEachTick(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	store := &looks{Store: memory.New(func() time.Time { return now }, "test")}
	tick := func() int {
		c := &clockticked.Clock{Runs: &state.Runs{Committer: &state.Committer{Store: store}, Policy: pipeline.DefaultPolicy()}}
		store.prunes = 0
		for range 2 {
			if _, _, err := c.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		return store.prunes
	}
	once := tick()
	if once == 0 {
		t.Fatal("the first clock looks for nothing")
	}
	for minute := 1; minute < 60; minute++ {
		now = now.Add(time.Minute)
		if n := tick(); n != 0 {
			t.Fatalf("%d prunes after %d minutes", n, minute)
		}
	}
	now = now.Add(time.Minute)
	if n := tick(); n != once {
		t.Errorf("%d prunes after an hour, want %d", n, once)
	}
}

// TestRoundsThatCannotBeRead: what was noted is no reason to stop.
func TestRoundsThatCannotBeRead(t *testing.T) {
	store := &looks{Store: memory.New(time.Now, "test")}
	ps, err := store.Partitions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Commit(t.Context(), protocol.Commit{Partition: ps[0], Puts: []protocol.Doc{{ID: "clock/rounds", Version: 1, Body: []byte("nonsense")}}}); err != nil {
		t.Fatal(err)
	}
	c := &clockticked.Clock{Runs: &state.Runs{Committer: &state.Committer{Store: store}, Policy: pipeline.DefaultPolicy()}}
	if _, _, err := c.Tick(t.Context()); err != nil || store.prunes == 0 {
		t.Errorf("%v, %d prunes", err, store.prunes)
	}
}

// first lets another clock note something right before each commit.
type first struct {
	*looks
	other func()
}

func (f first) Commit(ctx context.Context, c protocol.Commit) (protocol.Receipt, error) {
	f.other()
	return f.looks.Commit(ctx, c)
}

// TestAnotherClockNotesSomethingElse: that is no turn taken: who lost to it comes
// again soon, not in an hour.
func TestAnotherClockNotesSomethingElse(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	store := &looks{Store: memory.New(func() time.Time { return now }, "test")}
	ps, err := store.Partitions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	times := 0
	busy := first{store, func() {
		if times++; times == 1 {
			note := protocol.Doc{ID: "clock/rounds", Version: 1, Body: []byte(`{"mend": "0000000000001/x"}`)}
			if _, err := store.Commit(t.Context(), protocol.Commit{Partition: ps[0], Puts: []protocol.Doc{note}}); err != nil {
				t.Error(err)
			}
		}
	}}
	c := &clockticked.Clock{Runs: &state.Runs{Committer: &state.Committer{Store: busy}, Policy: pipeline.DefaultPolicy()}}
	for _, want := range []bool{false, true} {
		if _, _, err := c.Tick(t.Context()); err != nil || store.prunes > 0 != want {
			t.Errorf("%d prunes, %v", store.prunes, err)
		}
		now = now.Add(10 * time.Second)
	}
}
