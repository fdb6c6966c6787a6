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

// looks counts what a tick reads beside the due entries.
type looks struct {
	protocol.Store
	outboxes, prunes int
}

func (l *looks) Outbox(ctx context.Context, p protocol.Partition, age time.Duration, n int) ([]protocol.Record, error) {
	l.outboxes++
	return l.Store.Outbox(ctx, p, age, n)
}

func (l *looks) Prune(ctx context.Context, p protocol.Partition, horizon time.Duration) (int, error) {
	l.prunes++
	return l.Store.Prune(ctx, p, horizon)
}

// TestFreshStoreHasNothingLeftOver: the first tick on a store that began with
// its process looks for nothing from before; on any other it does.
func TestFreshStoreHasNothingLeftOver(t *testing.T) {
	for _, fresh := range []bool{true, false} {
		now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		store := &looks{Store: memory.New(func() time.Time { return now }, "test")}
		c := &clockticked.Clock{
			Runs:  &state.Runs{Committer: &state.Committer{Store: store}, Policy: pipeline.DefaultPolicy()},
			Fresh: fresh,
		}
		for _, at := range []struct {
			after            time.Duration
			outboxes, prunes bool
		}{
			{0, !fresh, !fresh},
			{6 * time.Second, true, false},
			{time.Hour, true, true},
		} {
			now = now.Add(at.after)
			store.outboxes, store.prunes = 0, 0
			if _, _, err := c.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
			if (store.outboxes > 0) != at.outboxes || (store.prunes > 0) != at.prunes {
				t.Errorf("fresh %v, %v later: %d looks at outboxes, %d prunes", fresh, at.after, store.outboxes, store.prunes)
			}
		}
	}
}
