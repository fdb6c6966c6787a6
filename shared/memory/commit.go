package memory

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/shared/protocol"
)

// Commit applies c, or changes nothing and returns an error.
func (s *Store) Commit(ctx context.Context, c protocol.Commit) (protocol.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return protocol.Receipt{}, fmt.Errorf("memory: commit to %s: %w", c.Partition, err)
	}
	if err := c.Validate(); err != nil {
		return protocol.Receipt{}, err
	}
	struck, err := positions(c.Struck)
	if err != nil {
		return protocol.Receipt{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.partitions[c.Partition]
	if !ok {
		p = newPartition()
		s.partitions[c.Partition] = p
	}
	now := s.now()
	if c.Inbox != "" {
		if first, ok := p.inbox[c.Inbox]; ok {
			return p.repeated(first), nil
		}
		if err := young(c, now); err != nil {
			return protocol.Receipt{}, err
		}
	}
	if c.Epoch != 0 && c.Epoch != s.epoch {
		return protocol.Receipt{}, fmt.Errorf("%w: epoch is %d, decided in %d", protocol.ErrConflict, s.epoch, c.Epoch)
	}
	if err := p.check(c); err != nil {
		return protocol.Receipt{}, err
	}
	return p.write(c, struck, now), nil
}

// young refuses a cause that is older than the inbox remembers: it may have
// been answered and forgotten.
func young(c protocol.Commit, now int64) error {
	if len(c.Absorbed) == 0 || c.Absorbed[0].Time.IsZero() {
		return nil
	}
	if t := c.Absorbed[0].Time; now-t.UnixMilli() > protocol.Horizon.Milliseconds() {
		return fmt.Errorf("%w: %s is of %s", protocol.ErrTooOld, c.Absorbed[0].ID, t.UTC().Format(time.RFC3339))
	}
	return nil
}

func (p *partition) repeated(first answer) protocol.Receipt {
	r := protocol.Receipt{Duplicate: true}
	if first.record != (protocol.Position{}) {
		r.Record = first.record.ID()
	}
	if i, ok := p.find(first.record); ok {
		r.Emitted = protocol.Canonical(p.ledger[i].emitted)
	}
	return r
}

func (p *partition) check(c protocol.Commit) error {
	for _, d := range c.Checks {
		if got := p.docs[d.ID.Kind()][d.ID].Version; got != d.Version {
			return fmt.Errorf("%w: %q has version %d, not %d", protocol.ErrConflict, d.ID, got, d.Version)
		}
	}
	for _, d := range c.Puts {
		if got := p.docs[d.ID.Kind()][d.ID].Version; got+1 != d.Version {
			return fmt.Errorf("%w: %q has version %d, put as %d", protocol.ErrConflict, d.ID, got, d.Version)
		}
	}
	return nil
}

// write applies what was checked; nothing in it can fail.
func (p *partition) write(c protocol.Commit, struck []protocol.Position, now int64) protocol.Receipt {
	for _, d := range c.Puts {
		p.put(d)
	}
	for _, d := range c.Due {
		if d.At.IsZero() {
			delete(p.due, d.Name)
		} else {
			p.due[d.Name] = d.At.UnixMilli()
		}
	}
	for _, q := range c.Queue {
		if q.Remove {
			delete(p.queue, q.Member)
		} else {
			p.queue[q.Member] = q.Score
		}
	}
	for _, at := range struck {
		if i, ok := slices.BinarySearchFunc(p.outbox, at, protocol.Position.Compare); ok {
			p.outbox = slices.Delete(p.outbox, i, i+1)
		}
	}
	var r protocol.Receipt
	var at protocol.Position
	if len(c.Absorbed)+len(c.Emitted) > 0 {
		at = p.record(c, now)
		r = protocol.Receipt{Record: at.ID(), Emitted: protocol.Canonical(c.Emitted)}
	}
	if c.Inbox != "" {
		p.inbox[c.Inbox] = answer{at: now, record: at}
	}
	return r
}

func (p *partition) put(d protocol.Doc) {
	kind := d.ID.Kind()
	if d.Body == nil {
		delete(p.docs[kind], d.ID)
		return
	}
	if p.docs[kind] == nil {
		p.docs[kind] = map[protocol.DocID]protocol.Doc{}
	}
	d.Body = bytes.Clone(d.Body)
	p.docs[kind][d.ID] = d
}
