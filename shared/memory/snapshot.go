package memory

import (
	"maps"
	"slices"

	"github.com/relevo-ci/relevo/shared/protocol"
)

// Snapshot is the state of a store at one time.
type Snapshot struct {
	partitions map[protocol.Partition]*partition
}

// Snapshot copies the whole state. It may be restored any number of times.
func (s *Store) Snapshot() Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Snapshot{partitions: copyAll(s.partitions)}
}

// Restore takes the store back to a snapshot, as a restart does that lost the
// last writes, and raises the epoch above the present one. Ledger ids go on from
// the highest ever given: a new record never takes the id of a lost one.
func (s *Store) Restore(snap Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.partitions
	s.partitions = copyAll(snap.partitions)
	for name, lost := range before {
		kept, ok := s.partitions[name]
		if !ok {
			kept = newPartition()
			s.partitions[name] = kept
		}
		if kept.last.Compare(lost.last) < 0 {
			kept.last = lost.last
		}
	}
	s.epoch++
}

func copyAll(from map[protocol.Partition]*partition) map[protocol.Partition]*partition {
	to := make(map[protocol.Partition]*partition, len(from))
	for name, p := range from {
		to[name] = p.copy()
	}
	return to
}

func (p *partition) copy() *partition {
	c := &partition{
		docs:  make(map[string]map[protocol.DocID]protocol.Doc, len(p.docs)),
		inbox: maps.Clone(p.inbox), due: maps.Clone(p.due), queue: maps.Clone(p.queue),
		// The ledger is only ever appended to, so that its start can be shared.
		ledger: slices.Clip(p.ledger), outbox: slices.Clone(p.outbox), last: p.last,
	}
	for kind, docs := range p.docs {
		c.docs[kind] = maps.Clone(docs)
	}
	return c
}
