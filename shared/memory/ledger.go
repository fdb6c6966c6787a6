package memory

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// pruneStep bounds what one Prune looks at, of inbox and ledger each.
const pruneStep = 100

// position is a ledger id, taken apart.
type position struct {
	ms int64
	n  uint64
}

// record is one commit in the ledger.
type record struct {
	at                position
	absorbed, emitted []events.Envelope
}

func (a position) compare(b position) int {
	return cmp.Or(cmp.Compare(a.ms, b.ms), cmp.Compare(a.n, b.n))
}

func (a position) id() protocol.LedgerID {
	return protocol.LedgerID(strconv.FormatInt(a.ms, 10) + "-" + strconv.FormatUint(a.n, 10))
}

func parsePosition(id protocol.LedgerID) (position, error) {
	ms, n, ok := strings.Cut(string(id), "-")
	p := position{}
	var err1, err2 error
	p.ms, err1 = strconv.ParseInt(ms, 10, 64)
	p.n, err2 = strconv.ParseUint(n, 10, 64)
	if !ok || err1 != nil || err2 != nil || p.id() != id {
		return position{}, fmt.Errorf("%w: ledger id %q", protocol.ErrInvalid, id)
	}
	return p, nil
}

func positions(ids []protocol.LedgerID) ([]position, error) {
	list := make([]position, len(ids))
	for i, id := range ids {
		var err error
		if list[i], err = parsePosition(id); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// record appends to the ledger. A clock that steps back does not take the
// ledger with it.
func (p *partition) record(c protocol.Commit, now int64) position {
	if now > p.last.ms {
		p.last = position{ms: now}
	} else {
		p.last.n++
	}
	p.ledger = append(p.ledger, record{at: p.last, absorbed: protocol.Canonical(c.Absorbed), emitted: protocol.Canonical(c.Emitted)})
	if len(c.Emitted) > 0 {
		p.outbox = append(p.outbox, p.last)
	}
	return p.last
}

// find gives the index of a record, or where it would stand.
func (p *partition) find(at position) (int, bool) {
	return slices.BinarySearchFunc(p.ledger, at, func(r record, at position) int { return r.at.compare(at) })
}

func (r record) public() protocol.Record {
	return protocol.Record{
		ID: r.at.id(), At: moment(r.at.ms),
		Absorbed: protocol.Canonical(r.absorbed), Emitted: protocol.Canonical(r.emitted),
	}
}

// Ledger reads up to n records after the one given.
func (s *Store) Ledger(ctx context.Context, p protocol.Partition, after protocol.LedgerID, n int) ([]protocol.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("memory: read ledger of %s: %w", p, err)
	}
	next := position{ms: math.MinInt64}
	if after != "" {
		at, err := parsePosition(after)
		if err != nil {
			return nil, err
		}
		next = position{ms: at.ms, n: at.n + 1}
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
		if len(list) >= n || at.ms > latest {
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
		_, waits := slices.BinarySearchFunc(p.outbox, r.at, position.compare)
		if waits || r.at.ms >= oldest || pruned == pruneStep {
			kept = append(kept, r)
			continue
		}
		pruned++
	}
	p.ledger = kept
	return pruned
}
