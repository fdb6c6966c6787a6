package memory

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// pruneStep bounds what one Prune looks at, of inbox and ledger each.
const pruneStep = 100

// record is one commit in the ledger.
type record struct {
	at                protocol.Position
	absorbed, emitted []events.Envelope
}

func positions(ids []protocol.LedgerID) ([]protocol.Position, error) {
	list := make([]protocol.Position, len(ids))
	for i, id := range ids {
		var err error
		if list[i], err = id.Position(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// record appends to the ledger. A clock that steps back does not take the
// ledger with it.
func (p *partition) record(c protocol.Commit, now int64) protocol.Position {
	if now > p.last.Millis {
		p.last = protocol.Position{Millis: now}
	} else {
		p.last.Counter++
	}
	p.ledger = append(p.ledger, record{at: p.last, absorbed: protocol.Canonical(c.Absorbed), emitted: protocol.Canonical(c.Emitted)})
	if len(c.Emitted) > 0 {
		p.outbox = append(p.outbox, p.last)
	}
	return p.last
}

// find gives the index of a record, or where it would stand.
func (p *partition) find(at protocol.Position) (int, bool) {
	return slices.BinarySearchFunc(p.ledger, at, func(r record, at protocol.Position) int { return r.at.Compare(at) })
}

func (r record) public() protocol.Record {
	return protocol.Record{
		ID: r.at.ID(), At: moment(r.at.Millis),
		Absorbed: protocol.Canonical(r.absorbed), Emitted: protocol.Canonical(r.emitted),
	}
}

// Ledger reads up to n records after the one given.
func (s *Store) Ledger(ctx context.Context, p protocol.Partition, after protocol.LedgerID, n int) ([]protocol.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("memory: read ledger of %s: %w", p, err)
	}
	next := protocol.Position{Millis: math.MinInt64}
	if after != "" {
		at, err := after.Position()
		if err != nil {
			return nil, err
		}
		next = protocol.Position{Millis: at.Millis, Counter: at.Counter + 1}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.peek(p)
	i, _ := from.find(next)
	var list []protocol.Record
	for ; i < len(from.ledger) && len(list) < n; i++ {
		list = append(list, from.ledger[i].public())
	}
	return list, nil
}

// Outbox reads up to n records that nobody struck and that are age old or
// older, oldest first.
func (s *Store) Outbox(ctx context.Context, p protocol.Partition, age time.Duration, n int) ([]protocol.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("memory: read outbox of %s: %w", p, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from, latest := s.peek(p), s.now()-age.Milliseconds()
	var list []protocol.Record
	for _, at := range from.outbox {
		if len(list) >= n || at.Millis > latest {
			break
		}
		if i, ok := from.find(at); ok {
			list = append(list, from.ledger[i].public())
		}
	}
	return list, nil
}

// Prune forgets inbox entries, and records that wait in no outbox, older than
// the horizon.
func (s *Store) Prune(ctx context.Context, p protocol.Partition, horizon time.Duration) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("memory: prune %s: %w", p, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from, oldest := s.peek(p), s.now()-horizon.Milliseconds()
	return from.pruneInbox(oldest) + from.pruneLedger(oldest), nil
}

func (p *partition) pruneInbox(oldest int64) int {
	pruned := 0
	for _, key := range slices.Sorted(maps.Keys(p.inbox)) {
		if p.inbox[key].at < oldest && pruned < pruneStep {
			delete(p.inbox, key)
			pruned++
		}
	}
	return pruned
}

func (p *partition) pruneLedger(oldest int64) int {
	pruned := 0
	kept := make([]record, 0, len(p.ledger))
	for _, r := range p.ledger {
		_, waits := slices.BinarySearchFunc(p.outbox, r.at, protocol.Position.Compare)
		if waits || r.at.Millis >= oldest || pruned == pruneStep {
			kept = append(kept, r)
			continue
		}
		pruned++
	}
	p.ledger = kept
	return pruned
}
