// Package memory is the store in memory: exact to the port's letter, the same
// on every run, and at home in the simulator and in tests.
package memory

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/relevo-ci/relevo/shared/protocol"
)

// Store is a protocol.Store that lives as long as the process. It is safe for
// use by many goroutines.
type Store struct {
	clock        func() time.Time
	installation string

	mu         sync.Mutex
	epoch      uint32
	partitions map[protocol.Partition]*partition
}

var _ protocol.Store = (*Store)(nil)

// New gives an empty store in its first epoch. The clock is the store's time;
// it is asked once per call.
func New(clock func() time.Time, installation string) *Store {
	s := &Store{
		clock: clock, installation: installation, epoch: 1,
		partitions: make(map[protocol.Partition]*partition, protocol.RunPartitions),
	}
	for i := range protocol.RunPartitions {
		s.partitions[runPartition(i)] = newPartition()
	}
	return s
}

func runPartition(i int) protocol.Partition {
	return protocol.Partition(fmt.Sprintf("p%02d", i))
}

// partition is the state of one partition. Bodies and events in it are
// replaced, never written to, so that a snapshot may share them.
type partition struct {
	docs   map[string]map[protocol.DocID]protocol.Doc // by kind
	inbox  map[string]answer
	due    map[string]int64 // milliseconds by name
	queue  map[string]float64
	ledger []record            // by position
	outbox []protocol.Position // rising
	last   protocol.Position   // of the newest record that there ever was
}

// answer is what the inbox remembers of a commit.
type answer struct {
	at     int64             // milliseconds
	record protocol.Position // zero: none was written
}

func newPartition() *partition {
	return &partition{
		docs:  map[string]map[protocol.DocID]protocol.Doc{},
		inbox: map[string]answer{},
		due:   map[string]int64{},
		queue: map[string]float64{},
	}
}

// peek gives a partition to read, an empty one where there is none.
func (s *Store) peek(p protocol.Partition) *partition {
	if got, ok := s.partitions[p]; ok {
		return got
	}
	return newPartition()
}

func (s *Store) now() int64 { return s.clock().UnixMilli() }

func moment(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// SetEpoch makes e the store's epoch.
func (s *Store) SetEpoch(e uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch = e
}

// Load reads documents and the store's time in one go.
func (s *Store) Load(ctx context.Context, p protocol.Partition, ids ...protocol.DocID) ([]protocol.Doc, protocol.Moment, error) {
	if err := ctx.Err(); err != nil {
		return nil, protocol.Moment{}, fmt.Errorf("memory: load %s: %w", p, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.peek(p)
	docs := make([]protocol.Doc, len(ids))
	for i, id := range ids {
		docs[i] = from.doc(id)
	}
	return docs, protocol.Moment{Now: moment(s.now()), Epoch: s.epoch, Installation: s.installation}, nil
}

// doc gives a copy of a document, with version 0 where there is none.
func (p *partition) doc(id protocol.DocID) protocol.Doc {
	d := p.docs[id.Kind()][id]
	d.ID, d.Body = id, bytes.Clone(d.Body)
	return d
}

// List reads every document of a kind, in order of id.
func (s *Store) List(ctx context.Context, p protocol.Partition, kind string) ([]protocol.Doc, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("memory: list %s of %s: %w", kind, p, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.peek(p)
	ids := slices.Sorted(maps.Keys(from.docs[kind]))
	docs := make([]protocol.Doc, len(ids))
	for i, id := range ids {
		docs[i] = from.doc(id)
	}
	return docs, nil
}

// Head reads the first n members of the partition's queue, and its length.
func (s *Store) Head(ctx context.Context, p protocol.Partition, n int) ([]string, int, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, fmt.Errorf("memory: head of %s: %w", p, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.peek(p).queue
	members := slices.SortedFunc(maps.Keys(queue), func(a, b string) int {
		return cmp.Or(cmp.Compare(queue[a], queue[b]), cmp.Compare(a, b))
	})
	return members[:min(max(n, 0), len(members))], len(queue), nil
}

// Partitions lists the run partitions and every other that a commit was ever
// tried on.
func (s *Store) Partitions(ctx context.Context) ([]protocol.Partition, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("memory: list partitions: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	run := make(map[protocol.Partition]bool, protocol.RunPartitions)
	all := make([]protocol.Partition, 0, len(s.partitions))
	for i := range protocol.RunPartitions {
		all = append(all, runPartition(i))
		run[runPartition(i)] = true
	}
	for _, p := range slices.Sorted(maps.Keys(s.partitions)) {
		if !run[p] {
			all = append(all, p)
		}
	}
	return all, nil
}
