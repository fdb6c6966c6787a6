package clockticked

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/state"
	"github.com/relevo-ci/relevo/shared/view"
)

// rounds is what clocks remember together: one that is started for each tick has
// no memory of its own, and would begin with all that is done now and then.
type rounds struct {
	// Retired is when what is past its time was looked for.
	Retired time.Time `json:"retired,omitzero"`
	// Mend is where to go on with the rows of live runs.
	Mend view.Cursor `json:"mend,omitempty"`
}

const roundsDoc protocol.DocID = "clock/rounds"

func (c *Clock) rounds(ctx context.Context, p protocol.Partition) (r rounds, version uint64, err error) {
	docs, _, err := c.Runs.Store.Load(ctx, p, roundsDoc)
	if err != nil {
		return r, 0, fmt.Errorf("clock-ticked: read what was done when: %w", err)
	}
	if version = docs[0].Version; version > 0 && json.Unmarshal(docs[0].Body, &r) != nil {
		r = rounds{} // of another version, perhaps: done once more it does no harm
	}
	return r, version, nil
}

// note keeps what was done. It tells false where another clock was first.
func (c *Clock) note(ctx context.Context, p protocol.Partition, r rounds, version uint64) (bool, error) {
	body, err := json.Marshal(r)
	if err == nil {
		_, err = c.Runs.Store.Commit(ctx, protocol.Commit{Partition: p, Puts: []protocol.Doc{{ID: roundsDoc, Version: version + 1, Body: body}}})
	}
	if errors.Is(err, protocol.ErrConflict) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("clock-ticked: note what was done when: %w", err)
	}
	return true, nil
}

// turn takes the turn of looking for what is past its time; else it tells how long
// to wait for it.
func (c *Clock) turn(ctx context.Context, p protocol.Partition, now time.Time) (wait time.Duration, err error) {
	r, version, err := c.rounds(ctx, p)
	if err != nil {
		return 0, err
	}
	if next := r.Retired.Add(retireEvery); now.Before(next) {
		return next.Sub(now), nil
	}
	r.Retired = now
	first, err := c.note(ctx, p, r, version)
	if !first { // another clock noted something: what, the next look tells
		wait = outboxEvery
	}
	return wait, err
}

// retire drops what is past its time: finished runs with their logs, inbox
// entries, ledger records. What stays is projected again: a row that is behind for
// whatever reason is so for an hour.
func (c *Clock) retire(ctx context.Context, ps []protocol.Partition, now time.Time) error {
	if !c.passed(&c.retireAt, now, retireEvery) {
		return nil
	}
	wait, err := c.turn(ctx, ps[0], now)
	if err != nil || wait > 0 {
		c.mu.Lock()
		c.retireAt = now.Add(wait)
		c.mu.Unlock()
		return c.away(err)
	}
	var errs []error
	for _, p := range ps {
		_, err := c.Runs.Store.Prune(ctx, p, protocol.Horizon)
		errs = append(errs, err)
		if c.Front != nil && strings.HasPrefix(string(p), state.FrontPrefix) {
			errs = append(errs, c.Front.Retire(ctx, p, now.Add(-protocol.Horizon)), c.again(ctx, p))
		}
		if strings.Contains(string(p), ":") {
			continue // a pool, a group or a front door holds no runs
		}
		_, err = c.Runs.Retire(ctx, p, now.Add(-protocol.Horizon), c.Forget)
		errs = append(errs, err, c.again(ctx, p))
	}
	if c.Audit != nil {
		errs = append(errs, c.Audit.Retire(ctx, now))
	}
	return c.away(errors.Join(errs...))
}

// again projects what stands in a partition once more.
func (c *Clock) again(ctx context.Context, p protocol.Partition) error {
	if c.Views == nil {
		return nil
	}
	return c.Views.Again(ctx, p)
}

// fill shows the runs that time works on, where they have no rows.
func (c *Clock) fill(ctx context.Context, due []protocol.DueIn) error {
	seen := map[events.RunID]bool{}
	for _, d := range due {
		if run, _, ok := pipeline.ParseSubject(d.Name); ok && !strings.Contains(string(d.Partition), ":") {
			seen[run] = true
		}
	}
	if c.Views == nil || len(seen) == 0 {
		return nil
	}
	return c.away(c.Views.Fill(ctx, slices.Sorted(maps.Keys(seen))...))
}

// mend puts right the rows of live runs, so many at a time.
func (c *Clock) mend(ctx context.Context, p protocol.Partition, m protocol.Moment) error {
	if c.Views == nil || !c.passed(&c.mendAt, m.Now, mendEvery) {
		return nil
	}
	w := c.Beside.begin(ctx)
	w.do("mend", func(ctx context.Context) error {
		r, version, err := c.rounds(ctx, p)
		if err != nil {
			return c.away(err)
		}
		if m.Epoch != c.seenIn { // versions may have been lost, and given again
			c.seen, c.seenIn = nil, m.Epoch
		}
		done, err := c.Views.Mend(ctx, r.Mend, c.seen)
		c.seen = done.Seen
		if err == nil && done.Next != r.Mend {
			r.Mend = done.Next
			_, err = c.note(ctx, p, r, version)
		}
		return c.away(err)
	})
	return w.wait()
}
