// Package state loads an aggregate, lets a decision change it, and commits what
// came of it: the load → decide → commit part of every handler. Conflicts are
// decided again, commits whose outcome is not known are repeated.
package state

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// Result is what a change came to.
type Result struct {
	// Emitted are to be published by whoever called.
	Emitted []events.Envelope
	// Duplicate: the inbox knew the cause; Emitted is the first answer.
	Duplicate bool
}

// Committer commits to a store with strikes riding along.
type Committer struct {
	Store protocol.Store
	// Committed, where set, sees what every commit emitted, in the order of each
	// partition's ledger; a repeated answer is seen again. It must be quick.
	Committed func([]events.Envelope)
	// Pause waits between repeats of a commit; a test or the simulator may
	// replace it. Nil: a real wait.
	Pause func(context.Context, time.Duration) error

	mu     sync.Mutex
	locks  map[protocol.Partition]*sync.Mutex
	open   map[string]*openRecord // by event id
	struck map[protocol.Partition][]protocol.LedgerID
}

type openRecord struct {
	partition protocol.Partition
	record    protocol.LedgerID
	left      int
}

// tries bounds how often one delivery decides again or repeats a commit; the
// next delivery goes on from there.
const tries = 8

// lock keeps the handlers of this process from conflicting with each other on
// one partition; between processes the versions decide.
func (c *Committer) lock(p protocol.Partition) func() {
	c.mu.Lock()
	if c.locks == nil {
		c.locks = map[protocol.Partition]*sync.Mutex{}
	}
	l, ok := c.locks[p]
	if !ok {
		l = &sync.Mutex{}
		c.locks[p] = l
	}
	c.mu.Unlock()
	l.Lock()
	return l.Unlock
}

// commit sends one commit, repeated while its outcome is not known.
func (c *Committer) commit(ctx context.Context, m protocol.Commit) (Result, error) {
	m.Struck = c.takeStruck(m.Partition)
	for try := 1; ; try++ {
		receipt, err := c.Store.Commit(ctx, m)
		if err == nil {
			c.watch(m.Partition, receipt)
			if c.Committed != nil {
				c.Committed(receipt.Emitted)
			}
			return Result{Emitted: stamped(receipt.Emitted, m.Epoch), Duplicate: receipt.Duplicate}, nil
		}
		known := errors.Is(err, protocol.ErrConflict) || errors.Is(err, protocol.ErrTooOld) || errors.Is(err, protocol.ErrInvalid)
		if known || try == 3 {
			c.strikeAgain(m.Partition, m.Struck)
			return Result{}, err
		}
		if err := c.pause(ctx, time.Duration(try)*50*time.Millisecond); err != nil {
			return Result{}, err
		}
	}
}

func (c *Committer) pause(ctx context.Context, d time.Duration) error {
	if c.Pause != nil {
		return c.Pause(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// retry decides again after a conflict, at most tries times.
func (c *Committer) retry(ctx context.Context, once func() (Result, error)) (Result, error) {
	for try := 1; ; try++ {
		res, err := once()
		if err == nil || !errors.Is(err, protocol.ErrConflict) || try == tries {
			return res, classed(err)
		}
		if err := c.pause(ctx, time.Duration(try*try)*time.Millisecond); err != nil {
			return Result{}, err
		}
	}
}

func classed(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, protocol.ErrTooOld), errors.Is(err, protocol.ErrInvalid):
		return fn.Faultf(fn.Invalid, "%w", err)
	}
	return err
}

// current refuses a cause that tells of an epoch that is over, since the store
// may have lost what it tells, and one that the inbox may have forgotten.
func current(cause events.Envelope, m protocol.Moment) error {
	if cause.Epoch != 0 && cause.Epoch < m.Epoch {
		return fn.Faultf(fn.Stale, "state: event of epoch %d, it is %d", cause.Epoch, m.Epoch)
	}
	if cause.Time.IsZero() || m.Now.Sub(cause.Time) <= protocol.Horizon {
		return nil
	}
	return fmt.Errorf("%w: %s is of %s", protocol.ErrTooOld, cause.ID, cause.Time.Format(time.RFC3339))
}

// stamped gives events that stand in the store in an epoch, whenever they were
// made.
func stamped(es []events.Envelope, epoch uint32) []events.Envelope {
	if epoch == 0 {
		return es
	}
	out := slices.Clone(es)
	for i := range out {
		out[i].Epoch = epoch
	}
	return out
}

// watch remembers which events a record is made of until they are published.
func (c *Committer) watch(p protocol.Partition, r protocol.Receipt) {
	if r.Record == "" || len(r.Emitted) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[string]*openRecord{}
	}
	o := &openRecord{partition: p, record: r.Record, left: len(r.Emitted)}
	for _, e := range r.Emitted {
		c.open[e.ID] = o
	}
}

// Published strikes an event: once all of a record's events are published, the
// record leaves the outbox with the partition's next commit. Strikes that are
// lost with this process cost a second publication, no more.
func (c *Committer) Published(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o, ok := c.open[id]
	if !ok {
		return
	}
	delete(c.open, id)
	if o.left--; o.left > 0 {
		return
	}
	if c.struck == nil {
		c.struck = map[protocol.Partition][]protocol.LedgerID{}
	}
	c.struck[o.partition] = append(c.struck[o.partition], o.record)
}

// maxStruck bounds what rides on one commit.
const maxStruck = 64

func (c *Committer) takeStruck(p protocol.Partition) []protocol.LedgerID {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.struck[p]
	n := min(len(s), maxStruck)
	if n == 0 {
		return nil
	}
	c.struck[p] = append([]protocol.LedgerID(nil), s[n:]...)
	if len(c.struck[p]) == 0 {
		delete(c.struck, p)
	}
	return s[:n]
}

func (c *Committer) strikeAgain(p protocol.Partition, ids []protocol.LedgerID) {
	if len(ids) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.struck[p] = append(c.struck[p], ids...)
}

// Strike takes a record of the outbox out at once: the clock published it.
func (c *Committer) Strike(ctx context.Context, p protocol.Partition, ids []protocol.LedgerID) error {
	_, err := c.Store.Commit(ctx, protocol.Commit{Partition: p, Struck: ids})
	return err
}

// inboxKey names one delivery for one function.
func inboxKey(function string, cause events.Envelope) string { return function + "/" + cause.ID }

// Flush commits the strikes that no other commit carried.
func (c *Committer) Flush(ctx context.Context) error {
	c.mu.Lock()
	var ps []protocol.Partition
	for p := range c.struck {
		ps = append(ps, p)
	}
	c.mu.Unlock()
	slices.Sort(ps)
	for _, p := range ps {
		ids := c.takeStruck(p)
		if len(ids) == 0 {
			continue
		}
		if err := c.Strike(ctx, p, ids); err != nil {
			c.strikeAgain(p, ids)
			return fmt.Errorf("state: strike: %w", err)
		}
	}
	return nil
}
