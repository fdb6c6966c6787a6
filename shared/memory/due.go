package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/shared/protocol"
)

// Overdue reads up to n entries that are due, earliest first, and when the next
// one falls due.
func (s *Store) Overdue(ctx context.Context, ps []protocol.Partition, n int) ([]protocol.DueIn, time.Time, error) {
	if err := ctx.Err(); err != nil {
		return nil, time.Time{}, fmt.Errorf("memory: read due entries: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	var due []protocol.DueIn
	var next time.Time
	for _, p := range ps {
		for name, ms := range s.peek(p).due {
			at := moment(ms)
			switch {
			case ms <= now:
				due = append(due, protocol.DueIn{Partition: p, Due: protocol.Due{Name: name, At: at}})
			case next.IsZero() || at.Before(next):
				next = at
			}
		}
	}
	slices.SortFunc(due, func(a, b protocol.DueIn) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Name, b.Name))
	})
	return due[:min(max(n, 0), len(due))], next, nil
}
